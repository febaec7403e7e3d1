import Testing

@testable import Postgres

struct ArrayTextTests {
    @Test(
        arguments: [
            ("{}", []), ("{a}", ["a"]), ("{a,NULL,\"NULL\"}", ["a", nil, "NULL"]),
            ("{\"a\\\"b\",\"c\\\\d\"}", ["a\"b", "c\\d"]), ("[0:1]={x,y}", ["x", "y"]),
            ("{\"\"}", [""]), ("{\"{\",\"}\"}", ["{", "}"]),
        ] as [(String, [String?])])
    func anArrayIsRead(text: String, elements: [String?]) {
        #expect(ArrayText.read(text) == elements)
    }

    @Test(arguments: [
        "", "{", "}", "a", "{a", "{\"a}", "{a,}", "{,a}", "{{a}}", "{\"a\"b}", "{\"a\\",
    ])
    func whatIsNotAnArrayIsNotRead(text: String) {
        #expect(ArrayText.read(text) == nil)
    }

    @Test(arguments: [("\\x", []), ("\\x00ff", [0, 255])] as [(String, [UInt8])])
    func hexIsRead(text: String, bytes: [UInt8]) {
        #expect(Hex.read(text) == bytes)
        #expect(Hex.write(bytes) == text)
    }

    @Test(arguments: ["", "00", "\\x0", "\\xzz", "\\x00FF"])
    func whatIsNotHexIsNotRead(text: String) { #expect(Hex.read(text) == nil) }

    @Test func aStatementIsTextAndValues() {
        let part: SQL = "b = \(2)"
        let all: SQL = "a = \("x") AND \(sql: part) AND c = \(nil as Int?) \(raw: "-- end")"
        #expect(all.rendered.text == "a = $1 AND b = $2 AND c = $3 -- end")
        #expect(all.rendered.values == ["x", "2", nil])
    }
}
