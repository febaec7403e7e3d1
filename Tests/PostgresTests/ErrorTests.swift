import Core
import TestSupport
import Testing

@testable import Postgres

@Suite(.timeLimit(.minutes(2)))
struct ErrorTests {
    static let secret = "hunter2-prompt-of-a-customer"

    static let quoted = "\"\(secret)\""

    /// Statements that fail because of the value bound to them.
    static let leaky: [(state: String, statement: SQL)] = [
        ("22P02", "SELECT \(secret)::bigint"),
        ("22P02", "SELECT \(secret)::boolean"),
        ("22P02", "SELECT \(secret)::jsonb"),
        ("22P02", "SELECT \([secret])::bigint[]"),
        ("22007", "SELECT \(secret)::timestamptz"),
        ("22003", "SELECT \("99999999999999999999")::bigint"),
        ("22001", "INSERT INTO short VALUES (\(secret))"),
        ("23505", "INSERT INTO single VALUES (\(secret)), (\(secret))"),
        ("23514", "INSERT INTO checked VALUES (\(secret))"),
        ("23502", "INSERT INTO filled VALUES (\(secret), NULL)"),
        ("42P01", "SELECT \(secret)::regclass"),
        ("42704", "SELECT \(quoted)::regtype"),
        ("22023", "SELECT set_config('work_mem', \(secret), true)"),
        ("22021", "SELECT \(secret + "\0")::text"),
        ("2201B", "SELECT 'a' ~ \("(" + secret)"),
    ]

    static let template = DatabaseTemplate(name: "refusing", digest: "2", roles: []) {
        try $0.script(
            """
            CREATE TABLE short (words varchar(4));
            CREATE TABLE single (words text CONSTRAINT single_words UNIQUE);
            CREATE TABLE checked (words text CONSTRAINT checked_words CHECK (length(words) < 4));
            CREATE TABLE filled (words text, other text NOT NULL);
            CREATE FUNCTION refuse(state text, words text) RETURNS void LANGUAGE plpgsql AS
              $$ BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = words, DETAIL = 'more'; END $$;
            """)
    }

    @Test(arguments: leaky.indices)
    func noErrorHoldsABoundValue(index: Int) throws {
        let (state, statement) = Self.leaky[index]
        let database = try ScratchDatabase(Self.template).connect()
        let error = #expect(throws: PostgresError.self) { _ = try database.query(statement) }
        guard let error else { return }
        #expect(error.sqlState == state)
        #expect(!error.message.isEmpty)
        for text in ["\(error)", "\(error.failure)", String(reflecting: error)] {
            #expect(!text.contains(Self.secret))
            #expect(!text.contains("99999999999999999999"))
        }
        #expect(error.failure.status == .defect)
        // The connection is as good as before.
        #expect(try database.query("SELECT 1 AS one").single().int("one") == 1)
    }

    @Test(arguments: ["HF001", "HF005", "22023", "P0001"])
    func whatOurFunctionsRaiseIsKept(state: String) throws {
        let database = try ScratchDatabase(Self.template).connect()
        let words = "no such job \"j-1\""
        let error = #expect(throws: PostgresError.self) {
            try database.execute("SELECT refuse(\(state), \(words))")
        }
        #expect(error?.sqlState == state)
        #expect(error?.message == words)
    }

    @Test func theErrorNamesTheStatement() throws {
        let database = try ScratchDatabase(Self.template).connect()
        let error = #expect(throws: PostgresError.self) {
            try database.execute(
                """
                -- Why this is here.
                INSERT INTO single
                    VALUES (\("a")), (\("a"))
                """)
        }
        #expect(error?.operation == "INSERT INTO single VALUES (")
        #expect(error?.constraint == "single_words")
        #expect(
            error?.failure.message
                == "the database refused \"INSERT INTO single VALUES (\": duplicate key value "
                + "violates unique constraint \"single_words\" (SQLSTATE 23505)")
    }

    @Test(
        arguments: [
            ("08006", .databaseUnavailable, "database_unavailable"),
            ("57P01", .databaseUnavailable, "database_unavailable"),
            ("57P02", .databaseUnavailable, "database_unavailable"),
            ("57P03", .databaseUnavailable, "database_unavailable"),
            ("53300", .databaseUnavailable, "database_unavailable"),
            ("28P01", .configuration, "database_login"),
            ("28000", .configuration, "database_login"),
            ("3D000", .configuration, "database_login"),
            ("42501", .configuration, "database_permission"),
            ("53100", .unavailable, "database_disk_full"),
            ("40001", .databaseUnavailable, "database_busy"),
            ("40P01", .databaseUnavailable, "database_busy"),
            ("55P03", .databaseUnavailable, "database_busy"),
            ("57014", .databaseUnavailable, "database_busy"),
            ("25006", .databaseUnavailable, "database_read_only"),
            ("23505", .defect, "database_error"), ("42P01", .defect, "database_error"),
        ] as [(String, Core.ExitStatus, String)])
    func eachCodeEndsTheRunInItsOwnWay(state: String, status: Core.ExitStatus, code: String) {
        let error = PostgresError(
            .statement, sqlState: state, operation: "SELECT", message: "words", place: "h:1/d")
        #expect(error.failure.status == status)
        #expect(error.failure.code == code)
        if status != .defect { #expect(error.failure.message.contains("h:1/d")) }
    }

    @Test func missingPermissionIsConfiguration() throws {
        let scratch = try ScratchDatabase(
            DatabaseTemplate(name: "closed", digest: "1", roles: ["holdfast_report"]) {
                try $0.script("CREATE TABLE closed (n int)")
            })
        let database = try scratch.connect(role: "holdfast_report")
        let error = #expect(throws: PostgresError.self) {
            _ = try database.query("SELECT n FROM closed")
        }
        #expect(error?.failure.code == "database_permission")
    }
}
