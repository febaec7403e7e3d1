import Core
import Postgres
import TestSupport
import Testing

/// The books of a database that was dumped and restored on another server, whose transaction ids
/// are far lower: what was open there closes whole, and what was sealed stays sealed.
@Suite struct MovedBooks {
    /// What the nights say, without what names a run, a time or a server.
    private func books(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT concat_ws(' ', d.day, d.entries, d.usage_lines, d.figures::text) AS line
            FROM holdfast.business_day d
            UNION ALL SELECT a::text FROM holdfast.account_day a
            UNION ALL SELECT m::text FROM holdfast.model_day m
            UNION ALL SELECT u::text FROM holdfast.usage_day u
            """
        ).map { try $0.text("line") }.sorted()
    }

    /// A day that is sealed, with entries; and entries of the day that is open, with ids that another
    /// collation orders otherwise.
    private func scene() async throws -> NightScene {
        let scene = try await NightScene(jobs: 60, accounts: 12)
        #expect(try await scene.run().status == 0)
        let connection = try scene.line.database.connect()
        for account in ["B_2", "a", "b-1", "Ä", "_x", "A-1"] {
            try connection.execute(
                "SELECT holdfast.grant_credits(\(account), 100, \("grant \(account)"))")
            try connection.execute(
                """
                SELECT holdfast.open_job(\("job " + account), \(account), 'kie', 'm', 'video', 10)
                """)
        }
        try connection.execute(
            "SELECT holdfast.finish_job('job a', 'failed', reason => 'no more wanted')")
        return scene
    }

    private func breaks(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT class || ' ' || subject AS name FROM holdfast.break WHERE closed_at IS NULL
            """
        ).map { try $0.text("name") }.sorted()
    }

    /// Where the transaction ids are far lower than those of what is brought there.
    private func younger(collation: String?) throws -> MovedDatabase {
        let moved = try MovedDatabase(collation: collation)
        try moved.fallBehind(TestCluster.shared().connect())
        return moved
    }

    @Test(arguments: [(nil, true), ("en-US", false)] as [(String?, Bool)])
    func `open days close with all their entries, and sealed ones verify`(
        collation: String?, hasRoles: Bool
    ) async throws {
        let moved = try younger(collation: collation)
        let scene = try await scene()
        let source = try scene.line.database.connect()
        try await moved.restore(from: scene.line.database.url, hasRoles: hasRoles)
        let there: [String: String?] = ["HOLDFAST_DATABASE_URL": moved.url]
        if !hasRoles {
            let setUp = try await scene.line.run("holdfast", ["setup"], there)
            #expect(setUp.status == 0, "\(setUp.stderr)")
        }
        let target = try moved.connect()
        try #require(
            try target.query(
                """
                SELECT pg_current_xact_id() < (SELECT min(xact) FROM holdfast.transfer) AS is_lower
                """
            ).single().bool("is_lower"))
        // Life goes on in both alike.
        for statement: SQL in [
            "SELECT holdfast.grant_credits('b-1', 5, 'after the move')",
            "SELECT holdfast.open_job('after', 'b-1', 'kie', 'm', 'video', 20)",
        ] {
            try source.execute(statement)
            try target.execute(statement)
        }
        var here: [Int32] = []
        for night in 1...2 {
            here.append(try await scene.run(night: night).status)
        }
        #expect(here.allSatisfy { $0 <= 1 })
        let said = try await scene.line.run(
            "holdfast", ["installation", "moved", "--reason", "new server"], there)
        #expect(said.status == 0, "\(said.stderr)")
        for night in 1...2 {
            let moved = try await scene.line.run(
                "ledger-reconciler", [], offset: scene.offset(night: night), there)
            #expect(moved.status == here[night - 1], "\(moved.stdout)")
        }
        #expect(try books(target) == books(source))
        #expect(try breaks(target) == breaks(source))
        let invented = ["closed-period-entry", "seal-broken", "balance-drift"]
        #expect(try breaks(target).allSatisfy { name in !invented.contains { name.hasPrefix($0) } })
        let verified = try await scene.line.run("holdfast", ["books", "verify"], there)
        #expect(verified.status == 0, "\(verified.stdout)\(verified.stderr)")
    }

    @Test func `page by page nothing is left out under another collation`() async throws {
        let scene = try await scene()
        let moved = try MovedDatabase(collation: "en-US")
        try await moved.restore(from: scene.line.database.url)
        let target = try moved.connect()
        var (after, walked): (String?, Int) = ("", 0)
        while let last = after {
            let row = try target.query(
                """
                SELECT examined, next_account FROM holdfast.match_accounts(\(last), 3)
                WHERE found IS NULL
                """
            ).first
            walked += try row?.int("examined") ?? 0
            after = try row?.optionalText("next_account")
        }
        let all = try target.query("SELECT count(*) AS n FROM holdfast.account").single()
        #expect(try walked == all.int("n"))
    }
}
