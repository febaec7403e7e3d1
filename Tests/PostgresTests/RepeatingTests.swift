import Postgres
import TestSupport
import Testing

@Suite struct RepeatingTests {
    @Test func `the victim of a deadlock tries again`() async throws {
        let database = try ScratchDatabase()
        try database.connect().script(
            "CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 0), (2, 0)"
        )
        // Crosswise: one of the two is the victim each time they meet.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for order in [[1, 2], [2, 1]] {
                group.addTask {
                    let connection = try database.connect()
                    for _ in 1...20 {
                        try connection.repeatable(attempts: 50) {
                            for id in order {
                                try connection.execute(
                                    "UPDATE t SET n = n + 1 WHERE id = \(id)::integer")
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let rows = try database.connect().query("SELECT sum(n)::integer AS sum FROM t")
        #expect(try rows.single().int("sum") == 80)
    }
}
