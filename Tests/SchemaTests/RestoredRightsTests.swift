import Core
import Glibc
import Postgres
import Schema
import TestSupport
import Testing

/// A dump that was restored where its roles were not: setup brings owners, rights and sequences into
/// order, and doctor says what is not.
@Suite struct RestoredRights {
    /// A copy of a small living database, restored without owners and rights, as `pg_restore` leaves
    /// one behind where every `REVOKE ...; GRANT ... TO role` of the dump has failed whole.
    private func restored() async throws -> ScratchDatabase {
        let line = try RescueLine(providers: [])
        try line.open("j1", taskID: "t1", task: nil)
        let copy = try ScratchDatabase()
        let tools = try line.sql("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .single().text("setting")
        let file = scratchFile()
        defer { unlink(file) }
        let dumped = try await Executable.run(
            "\(tools)/pg_dump", arguments: ["-Fc", "-f", file, line.database.url])
        try #require(dumped.status == 0, "\(dumped.stderr)")
        let restored = try await Executable.run(
            "\(tools)/pg_restore",
            arguments: ["--no-owner", "--no-acl", "-d", copy.url, file])
        try #require(restored.status == 0, "\(restored.stderr)")
        return copy
    }

    private func scratchFile() -> String { "/tmp/holdfast-dump-" + RunID.make() }

    private func holdfast(
        _ database: ScratchDatabase, _ arguments: String...
    ) async throws -> Finished {
        try await Executable.run(
            "holdfast", arguments: arguments,
            environment: ["HOLDFAST_DATABASE_URL": database.url])
    }

    /// Functions of ours that everybody may run.
    private func open(_ connection: borrowing Connection) throws -> Int {
        try connection.query(
            """
            SELECT count(*) AS n FROM pg_proc p
            WHERE p.pronamespace = 'holdfast'::regnamespace AND EXISTS (
                SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee = 0)
            """
        ).single().int("n")
    }

    @Test func `setup gives owners and rights back, and takes from everybody what is not theirs`()
        async throws
    {
        let database = try await restored()
        let before = try await holdfast(database, "doctor")
        #expect(before.stdout.contains("fail  rights") || before.stdout.contains("fail rights"))
        let setUp = try await holdfast(database, "setup")
        #expect(setUp.status == 0, "\(setUp.stderr)")
        let connection = try database.connect()
        #expect(try open(connection) == 0)
        let owners = try connection.query(
            """
            SELECT DISTINCT pg_get_userbyid(o.owner)::text AS owner FROM (
                SELECT nspowner FROM pg_namespace WHERE nspname = 'holdfast'
                UNION SELECT relowner FROM pg_class WHERE relnamespace = 'holdfast'::regnamespace
                UNION SELECT proowner FROM pg_proc WHERE pronamespace = 'holdfast'::regnamespace
                UNION SELECT typowner FROM pg_type WHERE typnamespace = 'holdfast'::regnamespace
            ) o (owner)
            """
        ).map { try $0.text("owner") }
        #expect(owners == ["holdfast_owner"])
        // The application can work, and can do no more than its contract.
        let app = try database.connect(role: "holdfast_app")
        try app.execute("SELECT holdfast.grant_credits('a', 10, 'after the move')")
        #expect(throws: PostgresError.self) {
            try app.execute("SELECT holdfast.settle('{}')")
        }
        let jobs = try database.connect(role: "holdfast_jobs")
        try jobs.execute("SELECT count(*) FROM holdfast.job")
        let report = try database.connect(role: "holdfast_report")
        try report.execute("SELECT count(*) FROM holdfast.account_balance")
        let after = try await holdfast(database, "doctor")
        #expect(!after.stdout.contains("fail  rights") && !after.stdout.contains("fail rights"))
        #expect(after.stdout.contains("rights"), "\(after.stdout)")
    }

    @Test func `what others granted on views stays, and a repeated setup changes nothing`() throws {
        let database = try ScratchDatabase(RescueLine.template)
        let connection = try database.connect()
        try connection.script("GRANT SELECT ON holdfast.job_status TO pg_monitor")
        let rights: SQL = """
            SELECT string_agg(line, ' ' ORDER BY line) AS all_rights FROM (
                SELECT p.oid::regprocedure || ' ' || p.proowner || ' ' || p.proacl::text AS line
                FROM pg_proc p WHERE p.pronamespace = 'holdfast'::regnamespace
                UNION ALL SELECT c.oid::regclass || ' ' || c.relowner || ' ' || c.relacl::text
                FROM pg_class c WHERE c.relnamespace = 'holdfast'::regnamespace) r
            """
        func sorted(_ text: String) -> [Character] { text.sorted() }
        let before = try connection.query(rights).single().text("all_rights")
        _ = try Installer().setUp(connection)
        let after = try connection.query(rights).single().text("all_rights")
        // The order of entries within a list of rights is of no consequence.
        #expect(sorted(before) == sorted(after))
    }

    @Test func `sequences that stayed behind, as after a switch-over, are named and moved on`()
        async throws
    {
        let line = try RescueLine(providers: [])
        for number in 1...3 { try line.open("j\(number)", taskID: "t\(number)", task: nil) }
        let connection = try line.database.connect()
        try connection.script(
            """
            SELECT setval(pg_get_serial_sequence('holdfast.transfer', 'sequence'), 1);
            SELECT setval(pg_get_serial_sequence('holdfast.job_event', 'event_id'), 1);
            """)
        let sick = try await holdfast(line.database, "doctor")
        #expect(sick.stdout.contains("sequences"), "\(sick.stdout)")
        #expect(sick.stdout.contains("transfer.sequence"), "\(sick.stdout)")
        #expect(try await holdfast(line.database, "setup").status == 0)
        let well = try await holdfast(line.database, "doctor")
        #expect(!well.stdout.contains("transfer.sequence"), "\(well.stdout)")
        try line.open("j4", taskID: "t4", task: nil)
        let unique = try line.sql(
            "SELECT count(DISTINCT sequence) = count(*) AS is_so FROM holdfast.transfer")
        #expect(try unique.single().bool("is_so"))
    }
}
