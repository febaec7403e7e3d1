import Core
import Postgres
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct BindTests {
    @Test(arguments: [
        "", " ", "plain", "it's", "\"quoted\"", "back\\slash", "$1", "NULL", "{a,b}", "a,b", "%s",
        "line\nend\ttab\r", "Zürich 東京 👩‍👩‍👧", "e\u{301}", "\u{feff}mark",
    ])
    func aTextComesBackAsItWentIn(text: String) throws {
        let database = try TestCluster.shared().connect()
        let row = try database.query("SELECT \(text)::text AS it, length(\(text)::text) AS n")
            .single()
        #expect(try row.text("it").unicodeScalars.elementsEqual(text.unicodeScalars))
        #expect(try row.int("n") == text.unicodeScalars.count)
    }

    @Test func aLargeTextComesBackAsItWentIn() throws {
        let database = try TestCluster.shared().connect()
        let text = String(repeating: "0123456789", count: 500_000)
        let isSame = try database.query("SELECT \(text)::text AS it").single().text("it") == text
        #expect(isSame)
    }

    @Test func everyKindOfValueArrives() throws {
        let database = try TestCluster.shared().connect()
        let when = Instant(microseconds: 1_763_721_756_123_456)
        let row = try database.query(
            """
            SELECT \(Int.min)::bigint AS least, \(Int64.max)::bigint AS most, \(true)::boolean AS yes,
                   \(false)::boolean AS no, \(when)::bigint AS moment,
                   extract(epoch FROM \(Duration.milliseconds(5_400_250))::interval)::text AS wait,
                   \([UInt8](0...255))::bytea AS bytes, \(2.5)::float8 AS half,
                   \("abc".dropFirst())::text AS part
            """
        ).single()
        #expect(try row.int("least") == .min)
        #expect(try row.int64("most") == .max)
        #expect(try row.bool("yes"))
        #expect(try !row.bool("no"))
        #expect(try row.instant("moment") == when)
        #expect(try row.text("wait") == "5400.250000")
        #expect(try row.bytes("bytes") == [UInt8](0...255))
        #expect(try row.double("half") == 2.5)
        #expect(try row.text("part") == "bc")
    }

    @Test func nothingIsNull() throws {
        let database = try TestCluster.shared().connect()
        let row = try database.query(
            """
            SELECT \(nil as String?)::text AS text, \(nil as Int?)::bigint AS number,
                   \(nil as Bool?)::boolean AS truth, \(nil as Instant?)::bigint AS moment,
                   \(nil as [String]?)::text[] AS texts, \(nil as [UInt8]?)::bytea AS bytes
            """
        ).single()
        #expect(try row.optionalText("text") == nil)
        #expect(try row.optionalInt("number") == nil)
        #expect(try row.optionalInt64("number") == nil)
        #expect(try row.optionalBool("truth") == nil)
        #expect(try row.optionalInstant("moment") == nil)
        #expect(try row.optionalTexts("texts") == nil)
        #expect(try row.optionalBytes("bytes") == nil)
        let set = try database.query("SELECT \("a" as String?)::text AS text").single()
        #expect(try set.optionalText("text") == "a")
    }

    @Test(arguments: [
        [], [""], ["a"], ["a", "b"], ["NULL", "null"], ["a,b", "{c}", "\"d\"", "e\\f", "'g'"],
        [" lead", "trail ", "in side", "\n"], ["Zürich", "👩‍👩‍👧"], ["\\", "\"", "\\\""],
    ])
    func arraysComeBackAsTheyWentIn(texts: [String]) throws {
        let database = try TestCluster.shared().connect()
        let row = try database.query(
            "SELECT \(texts)::text[] AS it, coalesce(cardinality(\(texts)::text[]), 0) AS n"
        ).single()
        #expect(try row.texts("it") == texts)
        #expect(try row.int("n") == texts.count)
    }

    @Test func arraysMayHoldNullAndNumbers() throws {
        let database = try TestCluster.shared().connect()
        let texts: [String?] = ["a", nil, "NULL", ""]
        let numbers: [Int64] = [.min, -1, 0, .max]
        let row = try database.query(
            """
            SELECT \(texts)::text[] AS texts, \(numbers)::bigint[] AS numbers,
                   '[3:4]={x,y}'::text[] AS shifted, '{{a},{b}}'::text[] AS nested
            """
        ).single()
        #expect(try row.nullableTexts("texts") == texts)
        #expect(throws: Failure.self) { try row.texts("texts") }
        #expect(try row.int64s("numbers") == numbers)
        #expect(try row.texts("shifted") == ["x", "y"])
        #expect(throws: Failure.self) { try row.texts("nested") }
    }

    @Test func randomArraysComeBackAsTheyWentIn() throws {
        var chance = SeededGenerator()
        let alphabet = Array("{}\",\\'NUL l\n\té👩‍👩‍👧")
        let database = try TestCluster.shared().connect()
        for _ in 0..<200 {
            let texts: [String?] = (0..<Int.random(in: 0...6, using: &chance)).map { _ in
                if Bool.random(using: &chance) && Bool.random(using: &chance) { return nil }
                return String(
                    (0..<Int.random(in: 0...8, using: &chance)).map { _ in
                        alphabet[Int.random(in: 0..<alphabet.count, using: &chance)]
                    })
            }
            let row = try database.query("SELECT \(texts)::text[] AS it").single()
            #expect(try row.nullableTexts("it") == texts, "\(chance)")
        }
    }

    @Test func statementsAreMadeOfParts() throws {
        let database = try TestCluster.shared().connect()
        let condition: SQL = "n > \(2) AND n < \(5)"
        let rows = try database.query(
            """
            SELECT n FROM generate_series(\(1)::int, \(9)::int) AS n
            WHERE \(sql: condition) ORDER BY n \(raw: "DESC")
            """)
        #expect(try rows.map { try $0.int("n") } == [4, 3])
    }

    @Test func whatADatabaseCannotKeepIsRefused() throws {
        let database = try TestCluster.shared().connect()
        let error = #expect(throws: PostgresError.self) {
            _ = try database.query("SELECT \("be\0tween")::text AS it")
        }
        #expect(error?.sqlState == "22021")
        #expect(try database.query("SELECT 1 AS one").single().int("one") == 1)
    }
}
