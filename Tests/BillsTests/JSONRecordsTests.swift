import Core
import Testing

@testable import Bills

@Suite("JSON records")
struct JSONRecordsTests {
    private func events(_ text: String, pieces size: Int = 1) -> [String] {
        var records = JSONRecords()
        var events: [String] = []
        func take(_ event: JSONRecords.Event) {
            switch event {
            case .record(let line, let object):
                events.append("\(line): " + JSON.write(.object(object)))
            case .broken(let line, let why): events.append("\(line)! " + why.prefix(20))
            case .lost(let line, let why): events.append("\(line)!! " + why)
            }
        }
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            records.read(bytes[start..<min(start + size, bytes.count)], take)
        }
        records.finish(take)
        return events
    }

    @Test(
        "an array of objects, or an object on each line",
        arguments: [
            ("", []), ("[]", []), (" [ ] \n", []), ("\n\n", []),
            (#"[{"a":1}]"#, [#"1: {"a":1}"#]),
            ("[{\"a\":\n1},\n\n {\"b\":[{}]}\n]\n", [#"1: {"a":1}"#, #"4: {"b":[{}]}"#]),
            (#"[{"a":"}]\"{"}, {"a":"\\"}]"#, [#"1: {"a":"}]\"{"}"#, #"1: {"a":"\\"}"#]),
            ("{\"a\":1}\n{\"b\":2}", [#"1: {"a":1}"#, #"2: {"b":2}"#]),
            ("\n{\"a\":1}\r\n\n{\"b\":2}\n", [#"2: {"a":1}"#, #"4: {"b":2}"#]),
            ("[{\"n\":0.10000000000000000001}]", [#"1: {"n":0.10000000000000000001}"#]),
        ] as [(String, [String])])
    func records(text: String, expected: [String]) {
        for size in [1, 4, 1000] {
            #expect(events(text, pieces: size) == expected, "in pieces of \(size)")
        }
    }

    @Test(
        "what is broken is told, and what follows is read as far as it can be",
        arguments: [
            (
                "{\"a\":1}\n{\"a\":\n{\"b\":2}\n",
                ["1: {\"a\":1}", "2! it is not readable a", "3: {\"b\":2}"]
            ),
            ("{\"a\":1,\"a\":2}\n{\"b\":2}\n", ["1! it is not readable a", "2: {\"b\":2}"]),
            ("[{\"a\":tru},{\"b\":2}]", ["1! it is not readable a", "1: {\"b\":2}"]),
            (
                "[{\"a\":1} {\"b\":2}]",
                ["1: {\"a\":1}", "1!! an object is expected here, or the array's end"]
            ),
            ("[1,{\"b\":2}]", ["1!! an object is expected here, or the array's end"]),
            (
                "[{\"a\":1},]",
                ["1: {\"a\":1}", "1!! an object is expected here, or the array's end"]
            ),
            ("[{\"a\":1}\n", ["1: {\"a\":1}", "2!! the text ends before the array is closed"]),
            ("[{\"a\":1", ["1!! the text ends before the array is closed"]),
            ("[{\"a\":1}] {}", ["1: {\"a\":1}", "1!! more text follows the array"]),
            ("<html>", ["1! it is not readable a"]),
            ("[]\n{}", ["2!! more text follows the array"]),
            ("\"a\"\n{\"b\":2}", ["1! it is no object", "2: {\"b\":2}"]),
        ] as [(String, [String])])
    func broken(text: String, expected: [String]) {
        #expect(events(text) == expected)
    }

    @Test("an object that is too long is passed over")
    func tooLong() {
        let long = #"{"a":""# + String(repeating: "x", count: 70_000) + #""}"#
        #expect(
            events(long + "\n{\"b\":2}\n", pieces: 999) == [
                "1! it is longer than 65", "2: {\"b\":2}",
            ])
        #expect(
            events("[" + long + ",{\"b\":2}]", pieces: 999)
                == ["1! it is longer than 65", "1: {\"b\":2}"])
    }
}
