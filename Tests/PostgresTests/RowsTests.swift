import Core
import Postgres
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RowsTests {
    private func row() throws -> Row {
        try TestCluster.shared().connect().query(
            """
            SELECT 'private words' AS words, NULL::text AS nothing, 1 AS twice, 2 AS twice,
                   '12345678901234567890' AS huge
            """
        ).single()
    }

    @Test func aWrongReadIsADefectThatQuotesNothing() throws {
        let row = try row()
        let reads: [(String, (Row) throws -> Void)] = [
            (
                "column \"absent\" is not there; there are words, nothing, twice, twice, huge",
                { _ = try $0.text("absent") }
            ),
            ("column \"nothing\" is NULL", { _ = try $0.text("nothing") }),
            ("column \"nothing\" is NULL", { _ = try $0.int("nothing") }),
            ("column \"nothing\" is NULL", { _ = try $0.bool("nothing") }),
            ("column \"nothing\" is NULL", { _ = try $0.texts("nothing") }),
            ("column \"words\" is not an integer", { _ = try $0.int("words") }),
            ("column \"words\" is not an integer", { _ = try $0.optionalInt64("words") }),
            ("column \"words\" is not a boolean", { _ = try $0.bool("words") }),
            ("column \"words\" is not an integer", { _ = try $0.instant("words") }),
            ("column \"words\" is not bytes", { _ = try $0.bytes("words") }),
            ("column \"words\" is not an array without NULL", { _ = try $0.texts("words") }),
            ("column \"huge\" is not an integer", { _ = try $0.int("huge") }),
            ("column \"twice\" is there more than once", { _ = try $0.int("twice") }),
        ]
        for (message, read) in reads {
            let failure = #expect(throws: Failure.self) { try read(row) }
            #expect(failure == Failure(.defect, code: "database_shape", message))
        }
    }

    @Test func rowsOutliveTheirConnection() throws {
        let rows = try TestCluster.shared().connect().query(
            "SELECT n, n * n AS square FROM generate_series(1, 3) AS n ORDER BY n")
        #expect(rows.columns == ["n", "square"])
        #expect(try rows.map { try $0.int("square") } == [1, 4, 9])
        #expect(try rows.last?.int("n") == 3)
        #expect(throws: Failure.self) { try rows.single() }
        #expect(throws: Failure.self) { try rows[7].int("n") }
    }

    @Test func executeCountsRows() throws {
        let database = try ScratchDatabase().connect()
        #expect(try database.execute("CREATE TABLE t (n int)") == 0)
        #expect(try database.execute("INSERT INTO t SELECT generate_series(1, 7)") == 7)
        #expect(try database.execute("UPDATE t SET n = 0 WHERE n > \(4)") == 3)
        #expect(try database.execute("DELETE FROM t WHERE n = 99") == 0)
        #expect(try database.query("DELETE FROM t RETURNING n").count == 7)
        #expect(try database.query("").isEmpty)
    }
}
