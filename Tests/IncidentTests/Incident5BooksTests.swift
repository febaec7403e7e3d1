import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Twenty-minute videos behind a five-minute limit: yesterday's books.
@Suite(.serialized) struct Incident5Books {
    /// Jobs that ended in every way that leaves the books in order.
    private func goodDay(_ line: RescueLine) async throws {
        try line.open("delivered", taskID: "task-delivered")
        try line.open(
            "partial", outputs: 2, taskID: "task-partial",
            task: .init([.init(key: "outputs", value: 1)]))
        try line.open("free", credits: 0, taskID: "task-free")
        try line.open(
            "failed", taskID: "task-failed", task: .init([.init(key: "outcome", value: "fail")]))
        try line.open("late", taskID: "task-late")
        try line.sql("SELECT holdfast.return_credits('late', 'gave up')")
        try line.open("waived", taskID: "task-waived")
        try line.sql("SELECT holdfast.return_credits('waived', 'gave up')")
        try line.sql(
            "SELECT holdfast.open_job('spent', 'account-waived', 'kie', 'm', 'video', 100)")
        try line.sql("SELECT holdfast.dismiss_job('spent', 'a phantom')")
        try line.sql(
            "SELECT holdfast.open_job('again', 'account-waived', 'kie', 'm', 'video', 100)")
        try line.open("dismissed", taskID: nil)
        try line.sql("SELECT holdfast.dismiss_job('dismissed', 'a phantom')")
        try line.open("refunded", taskID: "task-refunded")
        try await line.minute(offset: "+6m", ["HOLDFAST_RETRIGGER_URL": nil])
        try line.sql("SELECT holdfast.return_credits('refunded', 'goodwill')")
        try line.sql("SELECT holdfast.finish_job('again', 'failed', '{}', 'the customer left')")
    }

    @Test func `I-5g books that are right: status 0, and the day's movements`() async throws {
        let line = try RescueLine()
        try await goodDay(line)
        let expected = [
            ("delivered", "delivered/captured"), ("partial", "delivered/captured"),
            ("free", "delivered/none"), ("failed", "failed/voided/provider_failed"),
            ("late", "delivered/late_charged"), ("waived", "delivered/waived"),
            ("dismissed", "dismissed/voided"), ("refunded", "delivered/refunded"),
            ("again", "failed/voided/application"),
        ]
        for (id, outcome) in expected { #expect(try line.outcome(id) == outcome) }

        let night = try await line.run("ledger-reconciler", offset: "+24h")
        #expect(night.status == 0, "\(night.stdout)")
        #expect(night.stdout.contains("invariants hold; no open breaks"), "\(night.stdout)")
        #expect(night.stderr == "")
        let report = try await line.report("ledger-reconciler", offset: "+24h")
        #expect(report["breaks"]?.array == [])
        #expect(report["outcomes"]?.object?.members.isEmpty == true)
        for kind in ["grant", "hold", "capture", "void", "charge", "refund"] {
            let moved = try line.value(
                """
                SELECT coalesce(sum(amount), 0) FROM holdfast.transfer WHERE kind = \(kind)
                    AND (created_at AT TIME ZONE 'UTC')::date = \(report["day"]?.text ?? "")::date
                """)
            #expect(report["day_credits"]?[kind]?.text ?? "0" == moved, "\(kind)")
        }
        // Every capture has its files; every delivered job is settled or free.
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.transfer t WHERE t.kind IN ('capture', 'charge')
                    AND NOT EXISTS (SELECT FROM holdfast.asset a
                        WHERE a.job_id = t.job_id AND a.state = 'stored')
                """) == "0")
    }

    // MARK: Blocked

    @Test(arguments: ["brake", "crashed", "submission_unknown", "person"])
    func `I-5g whatever is blocked is listed`(_ why: String) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.sql(
            "UPDATE holdfast.job SET blocked = \(why), blocked_reason = 'this is the reason'")
        let night = try await line.run("ledger-reconciler", offset: "+24h")
        #expect(night.status == 1)
        #expect(night.stdout.contains("blocked job-1: \(why)"), "\(night.stdout)")
        #expect(night.stdout.contains("this is the reason"))
        #expect(night.stdout.contains("100 credits"))
        #expect(night.stdout.contains("    next: ") && night.stdout.contains("holdfast "))
        let report = try await line.report("ledger-reconciler", offset: "+24h")
        #expect(report["breaks"]?.array?.map { $0["kind"]?.text } == ["blocked"])
        #expect(report["breaks"]?.array?.first?["credits"]?.int == 100)
    }

    @Test func `I-5g what a brake stopped is listed with what would have moved`() async throws {
        let line = try RescueLine()
        try line.setPolicy("brake_jobs", "account=1")
        for n in 1...3 {
            try line.open(
                "job-\(n)", account: "shared", taskID: "task-\(n)",
                task: .init([.init(key: "outcome", value: "fail")]))
        }
        let sweep = try await line.report("stuck-sweeper", offset: "+6m")
        #expect(sweep["outcomes"]?["failed"]?.int == 1)
        #expect(sweep["outcomes"]?["braked"]?.int == 2)
        #expect(sweep["exit_status"]?.int == 1)
        let night = try await line.report("ledger-reconciler", offset: "+24h")
        let breaks = night["breaks"]?.array ?? []
        #expect(breaks.map { $0["kind"]?.text } == ["blocked", "blocked"])
        #expect(
            breaks.allSatisfy { $0["detail"]?.text?.contains("would have become failed") == true })
        #expect(
            breaks.allSatisfy {
                $0["fix"]?.text?.hasPrefix("holdfast policy release-brake") == true
            })
        #expect(try line.balance("shared") == "100/200/0")
    }

    // MARK: Planted damage

    /// Damage that no code of ours can do: by hand, past triggers and constraints.
    static let damages: [(invariant: String, subject: String, deed: String)] = [
        (
            "balance-drift", "account-delivered",
            "UPDATE holdfast.account SET granted = granted + 7, available = available + 7"
                + " WHERE account_id = 'account-delivered'"
        ),
        (
            "balance-drift", "account-delivered",
            """
            ALTER TABLE holdfast.account DROP CONSTRAINT account_never_below_zero;
            UPDATE holdfast.account SET granted = granted - 5, available = available - 5
            WHERE account_id = 'account-delivered'
            """
        ),
        (
            "balance-drift", "account-failed",
            "UPDATE holdfast.account SET held = held + 3, available = available - 3"
                + " WHERE account_id = 'account-failed'"
        ),
        (
            "unbalanced-transfer", "delivered",
            """
            ALTER TABLE holdfast.transfer DISABLE TRIGGER transfer_is_immutable;
            DELETE FROM holdfast.transfer WHERE transfer_id = 'hold:delivered'
            """
        ),
        (
            "balance-drift", "delivered",
            "UPDATE holdfast.job SET refunded = 10 WHERE job_id = 'delivered'"
        ),
        (
            "balance-drift", "delivered",
            """
            ALTER TABLE holdfast.transfer DISABLE TRIGGER transfer_is_immutable;
            UPDATE holdfast.transfer SET amount = 90 WHERE transfer_id = 'capture:delivered'
            """
        ),
        (
            "balance-drift", "delivered",
            """
            ALTER TABLE holdfast.job DROP CONSTRAINT hold_resolved_once;
            UPDATE holdfast.job SET voided = 100 WHERE job_id = 'delivered'
            """
        ),
        (
            "balance-drift", "refunded",
            """
            ALTER TABLE holdfast.job DROP CONSTRAINT refund_within_paid;
            UPDATE holdfast.job SET refunded = 101 WHERE job_id = 'refunded'
            """
        ),
        (
            "failed-still-held", "open",
            """
            ALTER TABLE holdfast.job DROP CONSTRAINT closed_job_is_settled;
            ALTER TABLE holdfast.job DISABLE TRIGGER job_state_order;
            UPDATE holdfast.job SET state = 'failed', error_code = 'provider_failed'
            WHERE job_id = 'open'
            """
        ),
        (
            "charged-without-asset", "delivered",
            "UPDATE holdfast.asset SET state = 'lost' WHERE job_id = 'delivered'"
        ),
        ("delivered-without-files", "free", "DELETE FROM holdfast.asset WHERE job_id = 'free'"),
        (
            "failed-but-charged", "delivered",
            """
            ALTER TABLE holdfast.job DISABLE TRIGGER job_state_order;
            UPDATE holdfast.job SET state = 'failed', error_code = 'result_lost'
            WHERE job_id = 'delivered'
            """
        ),
    ]

    @Test(arguments: damages.indices)
    func `I-5g planted damage is found by name`(_ number: Int) async throws {
        let (invariant, subject, deed) = Self.damages[number]
        let line = try RescueLine()
        try await goodDay(line)
        try line.open("open", taskID: "task-open")
        let before = try await line.run("ledger-reconciler", offset: "+30m")
        #expect(before.status == 0, "\(before.stdout)")
        try line.database.connect().script(deed)

        let night = try await line.run("ledger-reconciler", offset: "+30m")
        #expect(night.status == 1)
        #expect(night.stdout.contains("INVARIANTS VIOLATED"), "\(night.stdout)")
        #expect(night.stdout.contains("  \(invariant) \(subject): "), "\(night.stdout)")
        let report = try await line.report("ledger-reconciler", offset: "+30m")
        let found = report["breaks"]?.array?.first {
            $0["kind"]?.text == invariant && $0["subject"]?.text == subject
        }
        #expect(found?["invariant"]?.bool == true, "\(JSON.write(report))")
        // The law that it breaks is named by the database itself as well.
        #expect(try line.violations() != [])
        // It is kept, under one identity from night to night.
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.break WHERE class = \(invariant)
                    AND subject = \(subject) AND closed_at IS NULL
                """) == "1")
    }

    @Test func `I-5g a break is opened once, seen again each night, and closed when it is gone`()
        async throws
    {
        let line = try RescueLine()
        try await goodDay(line)
        let connection = try line.database.connect()
        let shift: @Sendable (Int) -> String = { credits in
            """
            UPDATE holdfast.account SET granted = granted + \(credits),
                available = available + \(credits) WHERE account_id = 'account-failed'
            """
        }
        try connection.script(shift(7))
        let nights = [("+24h", 1), ("+48h", nil), ("+72h", nil)] as [(String, Int64?)]
        for (offset, found) in nights {
            let report = try await line.report("ledger-reconciler", offset: offset)
            #expect(report["outcomes"]?["breaks_found"]?.int == found)
            #expect(report["outcomes"]?["breaks_open"]?.int == 1)
            #expect(report["exit_status"]?.int == 1)
        }
        try connection.script(shift(-7))
        let mended = try await line.report("ledger-reconciler", offset: "+96h")
        #expect(mended["outcomes"]?["breaks_closed"]?.int == 1)
        #expect(mended["exit_status"]?.int == 0)
        #expect(try line.value("SELECT count(*) FROM holdfast.break") == "1")
        // The same damage again is a new break.
        try connection.script(shift(7))
        let again = try await line.report("ledger-reconciler", offset: "+120h")
        #expect(again["outcomes"]?["breaks_found"]?.int == 1)
        #expect(try line.value("SELECT count(*) FROM holdfast.break") == "2")
    }

    // MARK: Breaks that are no invariants

    @Test func `I-5g stored and not delivered is listed, and mended with --apply`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        // As a crash between the two could only leave it if they were not one transaction.
        try line.sql(
            """
            UPDATE holdfast.asset SET state = 'stored', object_key = 'a/video/job-1_0.mp4',
                sha256 = repeat('0', 64), bytes = 1, public_url = 'https://cdn.example.com/a'
            """)
        let night = try await line.report("ledger-reconciler", offset: "+20m")
        #expect(night["breaks"]?.array?.map { $0["kind"]?.text } == ["asset-without-completion"])
        #expect(try line.outcome("job-1") == "succeeded/held")
        let rehearsed = try await line.report(
            "ledger-reconciler", ["--apply", "--dry-run"], offset: "+20m")
        #expect(rehearsed["exit_status"]?.int == 1)
        #expect(try line.outcome("job-1") == "succeeded/held")
        let mended = try await line.report("ledger-reconciler", ["--apply"], offset: "+20m")
        #expect(mended["outcomes"]?["fixed"]?.int == 1)
        #expect(mended["outcomes"]?["breaks_closed"]?.int == 1)
        #expect(mended["credits"]?["captured"]?.int == 100)
        #expect(mended["exit_status"]?.int == 0)
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
    }

    @Test func `I-5g a surplus task, an unmatched callback and an overdue job are listed`()
        async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-2')")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        try line.sql("UPDATE holdfast.task SET state = 'succeeded', finished_at = now()")
        try line.callBack(#"{"data":{"taskId":"a-stranger","state":"success"}}"#)
        _ = try await line.run("stuck-sweeper", offset: "+7m")
        try line.open("job-2", taskID: "task-9", task: nil)

        let night = try await line.report("ledger-reconciler", offset: "+3h")
        let kinds = night["breaks"]?.array?.map { $0["kind"]?.text ?? "" } ?? []
        #expect(
            kinds == ["callback-unmatched", "duplicate-provider-tasks", "hold-past-timeout"],
            "\(JSON.write(night))")
        #expect(night["exit_status"]?.int == 1)
    }

    @Test func `I-5g delivered with its credits given back is listed`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.sql("SELECT holdfast.return_credits('job-1', 'gave up')")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.database.connect().script(
            """
            ALTER TABLE holdfast.job DISABLE TRIGGER job_state_order;
            UPDATE holdfast.job SET state = 'delivered';
            UPDATE holdfast.asset SET state = 'stored', object_key = 'a/video/job-1_0.mp4',
                sha256 = repeat('0', 64), bytes = 1, public_url = 'https://cdn.example.com/a'
            """)
        let night = try await line.report("ledger-reconciler", offset: "+20m")
        #expect(night["breaks"]?.array?.map { $0["kind"]?.text } == ["completed-not-charged"])
    }

    // MARK: Two hosts, a crash

    @Test func `I-5g two hosts at once keep one break each, and a crash loses none`() async throws {
        let line = try RescueLine()
        for n in 1...5 { try line.open("job-\(n)", taskID: "task-\(n)", task: nil) }
        try line.sql("UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'look'")
        let holder = try line.database.connect()
        try holder.execute("BEGIN")
        try holder.execute("LOCK TABLE holdfast.break IN ACCESS EXCLUSIVE MODE")
        try await line.crash("ledger-reconciler", offset: "+24h", when: "it wants to write") {
            try line.waits("ledger-reconciler")
        }
        try holder.execute("ROLLBACK")
        #expect(try line.value("SELECT count(*) FROM holdfast.break") == "0")
        for finished in try await line.twoHosts("ledger-reconciler", offset: "+25h") {
            #expect(finished.status == 1, "\(finished.stderr)")
        }
        #expect(try line.value("SELECT count(*) FROM holdfast.break") == "5")
        #expect(try line.violations() == [])
    }

    @Test func `I-5g the day that is added up can be named`() async throws {
        let line = try RescueLine()
        try await goodDay(line)
        let today = try line.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')")
        let named = try await line.report("ledger-reconciler", ["--day", today])
        #expect(named["day"]?.text == today)
        #expect(named["day_credits"]?["capture"]?.int ?? 0 > 0)
        let empty = try await line.report("ledger-reconciler", ["--day", "2020-02-29"])
        #expect(empty["day_credits"]?.object?.members.isEmpty == true)
        #expect(empty["exit_status"]?.int == 0)
    }
}
