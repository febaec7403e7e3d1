import Core
import Postgres
import TestSupport
import Testing

/// Every class of break: found where it was planted and nowhere else, mended or left to a person, and
/// closed.
@Suite struct NightBreaks {
    @Test(arguments: 1...20)
    func `every planted break is found and none is invented`(_ seed: Int) async throws {
        let scene = try await NightScene(jobs: 1200, seed: seed)
        try scene.plant(2)
        let night = try await scene.report()
        #expect(night["exit_status"]?.int == 1)
        let (planted, open) = (try scene.planted(), try scene.open())
        // Of 38 classes one each; an address that is shared is a break of two jobs, a content of all.
        #expect(planted.count == 2 * (38 + 3))
        #expect(open.subtracting(planted) == [], "invented, seed \(seed)")
        #expect(planted.subtracting(open) == [], "missed, seed \(seed)")
        #expect(night["outcomes"]?["breaks_found"]?.int == Int64(planted.count))
        // Another night over the same books finds the same, under the same numbers.
        let again = try await scene.report()
        #expect(again["outcomes"]?["breaks_found"] == nil)
        #expect(again["outcomes"]?["breaks_open"]?.int == Int64(planted.count))
        #expect(try scene.open() == planted)
        #expect(
            try scene.line.value("SELECT count(*) FROM holdfast.break") == "\(planted.count)")
    }

    @Test func `a night that is worth two connections comes to the same`() async throws {
        let scene = try await NightScene(jobs: 12_000, accounts: 800)
        try scene.plant(5)
        let night = try await scene.report()
        #expect(try scene.open() == scene.planted())
        #expect(night["outcomes"]?["breaks_found"]?.int == 205)
        let jobs = try scene.line.value("SELECT count(*) FROM holdfast.job")
        #expect(night["examined"]?.text == jobs)
        #expect(try await scene.line.run("holdfast", ["books", "verify"]).status == 0)
    }

    @Test func `a clean night has no break, and no day of it either`() async throws {
        let scene = try await NightScene(jobs: 1500)
        let night = try await scene.run()
        #expect(night.status == 0, "\(night.stdout)")
        #expect(night.stdout.contains("invariants hold; no open breaks"))
    }

    /// What `--apply` does about a class, and how its break is closed then.
    static let fixes: [(kind: String, outcome: String, credits: String)] = [
        ("completed-not-charged", "done", "capture"), ("completed-hold-open", "done", "void"),
        ("failed-still-held", "done", "void"), ("failed-but-charged", "done", "refund"),
        ("asset-without-completion", "done", "capture"), ("double-charge", "done", "refund"),
        ("capture-exceeds-hold", "done", "refund"), ("orphan-hold", "done", "void"),
        ("succeeded-without-files", "done", "void"), ("hold-past-timeout", "asked", ""),
        ("callback-not-applied", "asked", ""), ("asset-expiring", "asked", ""),
        ("overdue", "asked", ""),
    ]

    @Test(arguments: fixes.indices)
    func `what needs no judgement is mended once, and the plan is kept to`(
        _ number: Int
    ) async throws {
        let (kind, outcome, credits) = Self.fixes[number]
        let scene = try await NightScene()
        try scene.plant(3, [kind])
        let rehearsed = try await scene.report(["--dry-run", "--apply"])
        #expect(try scene.open() == [], "a dry run writes nothing")
        let night = try await scene.report(["--apply"])
        #expect(night["plan"]?["digest"] == rehearsed["plan"]?["digest"], "\(kind)")
        #expect(night["plan"]?["fixes"]?.array?.count == 3)
        let fixed = night["fixes"]?.array ?? []
        #expect(fixed.map { $0["outcome"]?.text } == [outcome, outcome, outcome], "\(night)")
        let isDone = outcome == "done"
        #expect(night["outcomes"]?["fixed"]?.int == (isDone ? 3 : nil))
        #expect(night["exit_status"]?.int == (isDone ? 0 : 1))
        #expect(try scene.closings(kind) == Array(repeating: isDone ? "fixed" : "open", count: 3))
        if isDone {
            #expect(fixed.allSatisfy { $0["settled"]?.text == credits }, "\(fixed)")
            #expect(
                try scene.line.value(
                    "SELECT count(*) FROM holdfast.break_fix WHERE undo IS NOT NULL") == "3")
        }
        // Once more: nothing is left to do, and nothing moves.
        let before = try scene.line.value("SELECT count(*) FROM holdfast.transfer")
        let again = try await scene.report(["--apply"])
        #expect(again["outcomes"]?["fixed"] == nil)
        #expect(try scene.line.value("SELECT count(*) FROM holdfast.transfer") == before)
    }

    /// A customer who paid too much gets it back; one who paid too little is not asked for more.
    @Test func `a price that differs is mended in the customer's favour alone`() async throws {
        let scene = try await NightScene()
        try scene.plant(12, ["price-mismatch"])
        let dearer = try scene.line.value(
            """
            SELECT count(*) FROM holdfast.job j JOIN night.planted p ON p.subject = j.job_id
            WHERE j.captured > 100
            """)
        let night = try await scene.report(["--apply"])
        #expect(night["outcomes"]?["fixed"]?.text ?? "0" == dearer)
        #expect(night["outcomes"]?["breaks_open"]?.text == "\(12 - (Int64(dearer) ?? 0))")
    }

    /// Classes that a person decides about.
    static let reported = [
        "charged-without-asset", "refunded-but-delivered", "capture-after-void", "double-refund",
        "job-without-hold",
        "refund-without-cause", "provider-billed-no-job", "duplicate-provider-tasks",
        "provider-billed-failed-job", "job-not-billed", "provider-cost-mismatch",
        "status-divergence", "provider-balance-drift", "balance-drift", "unbalanced-transfer",
        "negative-available", "key-conflict", "closed-period-entry", "delivered-without-files",
        "blocked", "stray-task", "callback-unmatched", "callback-unread",
    ]

    @Test(arguments: reported)
    func `what needs a person is left alone, answered, and closed by the next night`(
        _ kind: String
    ) async throws {
        let scene = try await NightScene()
        try scene.plant(2, [kind])
        let before = try scene.line.value("SELECT count(*) FROM holdfast.transfer")
        let night = try await scene.report(["--apply"])
        #expect(night["exit_status"]?.int == 1)
        #expect(night["fixes"]?.array == [], "\(night)")
        #expect(try scene.open() == scene.planted())
        #expect(try scene.line.value("SELECT count(*) FROM holdfast.transfer") == before)
        let fix = try scene.line.value("SELECT min(fix) FROM holdfast.break WHERE class = \(kind)")
        #expect(!fix.isEmpty && !fix.contains("--apply"), "\(kind): \(fix)")

        for id in try scene.line.sql("SELECT break_id::text AS id FROM holdfast.break") {
            let answer = try await scene.line.run(
                "holdfast", ["break", "resolve", try id.text("id"), "--reason", "seen"])
            #expect(answer.status == 0, "\(answer.stderr)")
        }
        let next = try await scene.report()
        #expect(next["outcomes"]?["breaks_closed"]?.int == 2, "\(next)")
        #expect(try scene.closings(kind) == ["resolved", "resolved"])
        #expect(next["exit_status"]?.int == 0, "\(next)")
        // The same facts stay answered.
        let later = try await scene.report()
        #expect(later["outcomes"]?["breaks_found"] == nil)
        #expect(try scene.closings(kind) == ["resolved", "resolved"])
    }

    @Test func `all at once, what can be mended is, and the rest stays`() async throws {
        let contradictions = [
            "balance-drift", "unbalanced-transfer", "key-conflict", "negative-available",
        ]
        let scene = try await NightScene(jobs: 1500, accounts: 200)
        try scene.plant(
            2, Self.fixes.map(\.kind) + Self.reported.filter { !contradictions.contains($0) })
        let night = try await scene.report(["--apply"])
        #expect(night["exit_status"]?.int == 1, "\(night)")
        let done = Set(Self.fixes.filter { $0.outcome == "done" }.map(\.kind))
        let left = try scene.planted().filter { name in
            !done.contains(String(name.prefix { $0 != " " }))
        }
        #expect(try scene.open() == left)
        #expect(night["outcomes"]?["fixed"]?.int == Int64(2 * done.count))
    }

    @Test func `a break whose facts change after the answer is opened anew`() async throws {
        let scene = try await NightScene()
        try scene.plant(1, ["double-refund"])
        _ = try await scene.run()
        _ = try await scene.line.run("holdfast", ["break", "resolve", "1", "--reason", "seen"])
        _ = try await scene.run()
        #expect(try scene.closings("double-refund") == ["resolved"])
        try scene.line.database.connect().script(
            """
            SET session_replication_role = replica;
            UPDATE holdfast.transfer SET amount = amount + 1
            WHERE kind = 'refund' AND transfer_id !~ ':0$';
            UPDATE holdfast.job j SET refunded = refunded + 1
            FROM night.planted p WHERE p.subject = j.job_id;
            SELECT night.balance();
            """)
        _ = try await scene.run()
        #expect(try scene.closings("double-refund") == ["resolved", "open"])
    }

    @Test func `what heals by itself is closed as healed`() async throws {
        let scene = try await NightScene()
        try scene.plant(1, ["stray-task"])
        _ = try await scene.run()
        try scene.line.sql("DELETE FROM holdfast.stray_task")
        let night = try await scene.report()
        #expect(night["outcomes"]?["breaks_closed"]?.int == 1)
        #expect(night["exit_status"]?.int == 0)
        #expect(try scene.closings("stray-task") == ["healed"])
    }

    @Test func `books that contradict themselves stop the mending, of the account or of all`()
        async throws
    {
        let one = try await NightScene()
        try one.plant(1, ["failed-still-held"])
        try one.line.database.connect().script(
            """
            SET session_replication_role = replica;
            UPDATE holdfast.account a SET granted = granted + 7, available = available + 7
            FROM night.planted p JOIN holdfast.job j ON j.job_id = p.subject
            WHERE a.account_id = j.account_id
            """)
        let held = try await one.report(["--apply"])
        #expect(held["fixes"]?.array == [])
        #expect(held["plan"]?["held_back"]?.array?.count == 1)
        let many = try await NightScene()
        try many.plant(2, ["failed-still-held", "key-conflict"])
        let stopped = try await many.report(["--apply"])
        #expect(stopped["fixes"]?.array == [])
        #expect(stopped["plan"]?["fixes"]?.array == [])
        #expect(many.line.database.name.isEmpty == false)
    }

    @Test func `the brakes hold at night as well`() async throws {
        let scene = try await NightScene()
        try scene.plant(6, ["failed-still-held"])
        try scene.line.sql(
            "INSERT INTO holdfast.policy (key, value) VALUES ('brake_jobs', 'total=2')")
        let night = try await scene.report(["--apply"])
        let outcomes = (night["fixes"]?.array ?? []).compactMap { $0["outcome"]?.text }.sorted()
        #expect(outcomes == ["braked", "braked", "braked", "braked", "done", "done"])
    }

    @Test func `a seal that is broken is found by the night and by hand`() async throws {
        let scene = try await NightScene()
        #expect(try await scene.run().status == 0)
        try scene.line.database.connect().script(
            """
            SET session_replication_role = replica;
            UPDATE holdfast.transfer SET amount = amount + 1
            WHERE transfer_id = (SELECT min(transfer_id) FROM holdfast.transfer WHERE kind = 'grant')
            """)
        let verified = try await scene.line.run("holdfast", ["books", "verify"])
        #expect(verified.status == 1)
        #expect(verified.stdout.contains("its entries are not those that were counted"))
        let night = try await scene.report(night: 0)
        let kinds = Set((night["breaks"]?.array ?? []).compactMap { $0["kind"]?.text })
        #expect(kinds.contains("seal-broken"), "\(night)")
        #expect(night["exit_status"]?.int == 1)
    }
}
