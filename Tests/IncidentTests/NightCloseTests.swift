import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// The close of a business day: whole or not at all, once, chained, and the same for ever.
@Suite struct NightCloses {
    @Test func `opening and activity give the closing, of each account and in total`()
        async throws
    {
        let scene = try await NightScene(jobs: 900)
        #expect(try await scene.run().status == 0)
        let line = scene.line
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.account_day d JOIN holdfast.account a USING (account_id)
                WHERE (d.closing_available, d.closing_held, d.closing_spent)
                    IS DISTINCT FROM (a.available, a.held, a.spent)
                """) == "0")
        #expect(
            try line.value(
                """
                SELECT d.figures -> 'closing' = jsonb_build_object('available', s.available, 'held',
                    s.held, 'spent', s.spent) AND d.entries = (SELECT count(*) FROM holdfast.transfer)
                FROM holdfast.business_day d, (SELECT sum(available) AS available,
                    sum(held) AS held, sum(spent) AS spent FROM holdfast.account) s
                ORDER BY d.day DESC LIMIT 1
                """) == "t")
        #expect(
            try line.value(
                "SELECT sum(earned) = sum(captured + charged - refunded) FROM holdfast.model_day m FULL JOIN holdfast.account_day a ON false"
            ) == "t")
    }

    @Test func `a day is closed once, and its figures cannot be touched`() async throws {
        let scene = try await NightScene()
        let first = try await scene.report()
        #expect(first["outcomes"]?["days_closed"]?.int == 1)
        let digest = try scene.line.value(
            "SELECT string_agg(digest, ' ' ORDER BY day) FROM holdfast.business_day")
        let again = try await scene.report()
        #expect(again["outcomes"]?["days_closed"] == nil)
        #expect(
            try scene.line.value(
                "SELECT string_agg(digest, ' ' ORDER BY day) FROM holdfast.business_day") == digest)
        for deed in [
            "UPDATE holdfast.business_day SET entries = 0",
            "DELETE FROM holdfast.business_day",
            "UPDATE holdfast.account_day SET entries = entries + 1",
            "DELETE FROM holdfast.account_day", "UPDATE holdfast.model_day SET earned = 0",
            "INSERT INTO holdfast.model_day (day, provider, model, kind) SELECT day, 'x', 'x', 'x' FROM holdfast.business_day",
            "DELETE FROM holdfast.usage_day",
        ] {
            #expect(throws: PostgresError.self, "\(deed)") {
                try scene.line.database.connect().script(deed)
            }
        }
        let verified = try await scene.line.run("holdfast", ["books", "verify"])
        #expect(verified.stdout.contains("2 days"), "\(verified.stdout)")
        #expect(verified.status == 0)
    }

    @Test func `nights that were missed are made up for, each with its own figures`()
        async throws
    {
        let scene = try await NightScene()
        let report = try await scene.report(night: 4)
        #expect(report["outcomes"]?["days_closed"]?.int == 5)
        #expect(report["days_sealed"]?.array?.count == 5)
        #expect(
            try scene.line.value(
                """
                SELECT bool_and(d.previous_digest = coalesce(b.digest, '') AND d.starts_at =
                    coalesce(b.ends_at, d.starts_at)) FROM holdfast.business_day d
                LEFT JOIN holdfast.business_day b ON b.day = d.day - 1
                """) == "t")
        #expect(
            try scene.line.value(
                """
                SELECT count(*) FROM holdfast.business_day d WHERE d.figures -> 'closing' <>
                    (SELECT n.figures -> 'opening' FROM holdfast.business_day n
                        WHERE n.day = d.day + 1)
                """) == "0")
    }

    /// A transaction that was open while the day was closed, and commits afterwards.
    @Test func `an entry that commits late belongs to the next day, and is listed`() async throws {
        let scene = try await NightScene()
        let slow = try scene.line.database.connect()
        try slow.execute("BEGIN")
        try slow.execute(
            """
            INSERT INTO holdfast.transfer (transfer_id, kind, account_id, debit, credit, amount, actor,
                created_at)
            SELECT 'grant:slow', 'grant', account_id, 'issued', 'available', 5, 'slow',
                night.now() - interval '4 hours'
            FROM holdfast.account ORDER BY 1 LIMIT 1
            """)
        // The account is locked by it; the close reads past that.
        #expect(try await scene.run().status == 0)
        try slow.execute("COMMIT")
        let next = try await scene.report(night: 1)
        #expect(
            (next["breaks"]?.array ?? []).map { $0["kind"]?.text } == ["closed-period-entry"])
        #expect(
            try scene.line.value(
                "SELECT string_agg(entries::text, ' ' ORDER BY day) FROM holdfast.business_day WHERE entries < 10"
            ) == "0 1")
        #expect(try await scene.line.run("holdfast", ["books", "verify"]).status == 0)
    }

    @Test(arguments: 0..<6)
    func `killed at any moment, the day is closed as if nothing had been`(_ round: Int) async throws
    {
        let seed = SeededGenerator.chosenSeed() &+ UInt64(round)
        var chance = SeededGenerator(seed: seed)
        let scene = try await NightScene(jobs: 3000, accounts: 200)
        try scene.plant(2)
        for _ in 0..<6 {
            let victim = try Executable.start(
                "ledger-reconciler", arguments: ["--apply"],
                environment: scene.line.environment(offset: scene.offset(night: 0)))
            // The moment is the experiment, not a wait for something.
            usleep(UInt32.random(in: 20_000...700_000, using: &chance))
            victim.kill(SIGKILL)
            _ = await victim.wait()
            try scene.line.cut("ledger-reconciler")
            // The places of runs that died are free again when their lease is over.
            try scene.line.sql("UPDATE holdfast.run_slot SET run_id = NULL, expires_at = NULL")
        }
        _ = try await scene.run(["--apply"])
        #expect(
            try scene.line.value(
                "SELECT count(*) FILTER (WHERE state = 'sealed') || ' ' || count(*) FROM holdfast.business_day"
            ) == "2 2", "\(chance)")
        #expect(try scene.open() == scene.planted(), "\(chance)")
        #expect(try await scene.line.run("holdfast", ["books", "verify"]).status == 0)
        #expect(
            try scene.line.value(
                """
                SELECT d.entries = count(t.*) FROM holdfast.business_day d, holdfast.transfer t
                WHERE t.created_at < d.ends_at GROUP BY d.day ORDER BY d.day DESC LIMIT 1
                """) == "t")
    }

    @Test func `two hosts close a day once`() async throws {
        let scene = try await NightScene(jobs: 3000)
        let offset = scene.offset(night: 0)
        for finished in try await scene.line.twoHosts("ledger-reconciler", offset: offset) {
            #expect(finished.status == 0, "\(finished.stderr)")
        }
        #expect(try scene.line.value("SELECT count(*) FROM holdfast.business_day") == "2")
        #expect(try await scene.line.run("holdfast", ["books", "verify"]).status == 0)
    }

    @Test func `the day is cut where zone and cut-off say, also over a change of the clocks`()
        async throws
    {
        let scene = try await NightScene(jobs: 1)
        try scene.line.sql(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('business_zone', 'Europe/Berlin'),
                ('business_cutoff', '04:00')
            """)
        _ = try await scene.run(night: 1)
        _ = try await scene.run(night: 400)
        #expect(
            try scene.line.value(
                """
                SELECT bool_and((ends_at AT TIME ZONE 'Europe/Berlin')::time = '04:00')
                FROM holdfast.business_day WHERE zone = 'Europe/Berlin'
                """) == "t")
        // Two days of the year are not 24 hours long.
        #expect(
            try scene.line.value(
                """
                SELECT count(*) FROM holdfast.business_day
                WHERE zone = 'Europe/Berlin' AND ends_at - starts_at IN ('23 hours', '25 hours')
                """) != "0")
        #expect(
            try scene.line.value(
                """
                SELECT count(*) FROM holdfast.business_day d WHERE d.starts_at <> (SELECT b.ends_at
                    FROM holdfast.business_day b WHERE b.day < d.day ORDER BY b.day DESC LIMIT 1)
                """) == "0")
    }
}
