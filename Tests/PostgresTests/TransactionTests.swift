import Core
import Postgres
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TransactionTests {
    private struct Stop: Error {}

    private func table() throws -> Connection {
        let database = try ScratchDatabase(Self.template).connect()
        return database
    }

    private static let template = DatabaseTemplate(name: "counted", digest: "1", roles: []) {
        try $0.script(
            "CREATE TABLE counted (n int CONSTRAINT counted_once UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        )
    }

    private func count(_ database: borrowing Connection) throws -> Int {
        try database.query("SELECT count(*) AS n FROM counted").single().int("n")
    }

    @Test func whatReturnsIsKept() throws {
        let database = try table()
        let result = try database.transaction {
            try database.execute("INSERT INTO counted VALUES (1)")
            return "done"
        }
        #expect(result == "done")
        #expect(try count(database) == 1)
    }

    @Test func whatThrowsIsUndone() throws {
        let database = try table()
        #expect(throws: Stop.self) {
            try database.transaction {
                try database.execute("INSERT INTO counted VALUES (1)")
                throw Stop()
            }
        }
        #expect(try count(database) == 0)
        try database.transaction { _ = try database.execute("INSERT INTO counted VALUES (2)") }
        #expect(try count(database) == 1)
    }

    @Test func theFirstFailureIsKeptWhenTheRollbackFailsToo() throws {
        let database = try table()
        #expect(throws: Stop.self) {
            try database.transaction {
                _ = try? database.execute("SELECT pg_terminate_backend(pg_backend_pid())")
                throw Stop()
            }
        }
        let isAlive = database.isAlive
        #expect(!isAlive)
    }

    @Test func aFailureThatTheBodySwallowsIsStillAFailure() throws {
        let database = try table()
        let error = #expect(throws: PostgresError.self) {
            try database.transaction {
                try database.execute("INSERT INTO counted VALUES (1)")
                _ = try? database.execute("SELECT 1 / 0")
            }
        }
        #expect(error?.sqlState == "25P02")
        #expect(try count(database) == 0)
    }

    @Test func aConstraintThatFailsAtTheEndIsNamed() throws {
        let database = try table()
        let error = #expect(throws: PostgresError.self) {
            try database.transaction {
                _ = try database.execute("INSERT INTO counted VALUES (1), (1)")
            }
        }
        #expect(error?.sqlState == "23505")
        #expect(error?.constraint == "counted_once")
        #expect(error?.operation == "COMMIT")
        #expect(try count(database) == 0)
    }

    @Test func transactionsDoNotNest() throws {
        let database = try table()
        let error = #expect(throws: PostgresError.self) {
            try database.transaction {
                try database.execute("INSERT INTO counted VALUES (1)")
                try database.transaction {}
            }
        }
        #expect(error?.sqlState == "25001")
        #expect(try count(database) == 0)
    }

    @Test(arguments: [TransactionMode.readOnly, .readOnlySnapshot])
    func aReadOnlyTransactionWritesNothing(mode: TransactionMode) throws {
        let database = try table()
        let error = #expect(throws: PostgresError.self) {
            try database.transaction(mode) {
                _ = try database.execute("INSERT INTO counted VALUES (1)")
            }
        }
        #expect(error?.sqlState == "25006")
        #expect(try database.transaction(mode) { try count(database) } == 0)
    }

    @Test func aScriptIsOneTransaction() throws {
        let database = try table()
        #expect(throws: PostgresError.self) {
            try database.script("INSERT INTO counted VALUES (1); SELECT 1 / 0; SELECT 2")
        }
        #expect(try count(database) == 0)
        try database.script("INSERT INTO counted VALUES (1); INSERT INTO counted VALUES (2);")
        #expect(try count(database) == 2)
    }
}
