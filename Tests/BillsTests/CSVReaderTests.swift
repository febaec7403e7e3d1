import Testing

@testable import Bills

@Suite("Comma-separated values")
struct CSVReaderTests {
    /// What a text comes to, fed in pieces of a size.
    private func events(
        _ text: some Sequence<UInt8>, delimiter: Character = ",", pieces size: Int = 1
    ) -> [String] {
        var reader = CSVReader(delimiter: delimiter.asciiValue ?? 0)
        var events: [String] = []
        func take(_ event: CSVReader.Event) {
            switch event {
            case .record(let line, let fields):
                events.append("\(line): " + fields.joined(separator: "|"))
            case .broken(let line, let why): events.append("\(line)! \(why)")
            case .lost(let line, let why): events.append("\(line)!! \(why)")
            }
        }
        let bytes = Array(text)
        for start in stride(from: 0, to: bytes.count, by: size) {
            reader.read(bytes[start..<min(start + size, bytes.count)], take)
        }
        reader.finish(take)
        return events
    }

    @Test(
        "records as RFC 4180 has them",
        arguments: [
            ("", []), ("\n", []), ("\r\n\n", []),
            ("a", ["1: a"]), ("a\n", ["1: a"]), ("a\r\nb\r\n", ["1: a", "2: b"]),
            ("a,b\nc,d", ["1: a|b", "2: c|d"]), (",\n", ["1: |"]),
            ("a,\n,b\n", ["1: a|", "2: |b"]),
            ("\"\"\n", ["1: "]), ("\"a,b\",c\n", ["1: a,b|c"]),
            ("\"a \"\"b\"\"\",c\n", ["1: a \"b\"|c"]),
            ("\"a\nb\",c\nd,e\n", ["1: a\nb|c", "3: d|e"]),
            ("\"a\r\nb\",c\r\nd,e\r\n", ["1: a\r\nb|c", "3: d|e"]),
            ("a\n\nb\n", ["1: a", "3: b"]), (" a , b \n", ["1:  a | b "]),
            ("é,日本\n", ["1: é|日本"]),
        ] as [(String, [String])])
    func records(text: String, expected: [String]) {
        for size in [1, 3, 1000] {
            #expect(events(text.utf8, pieces: size) == expected, "in pieces of \(size)")
        }
    }

    @Test("other delimiters, and a comma that is text then", arguments: [";", "|", "\t"])
    func delimiters(delimiter: Character) {
        let text = "a\(delimiter)\"b\(delimiter)c\"\(delimiter)1,5\n"
        #expect(events(text.utf8, delimiter: delimiter) == ["1: a|b\(delimiter)c|1,5"])
    }

    @Test(
        "a broken record is told with its line, and reading goes on",
        arguments: [
            ("a\"b,c\nd,e\n", "1! a quotation mark stands inside a field without quotation marks"),
            ("\"a\"b,c\nd,e\n", "1! text follows a closing quotation mark"),
            ("\"a\" ,c\nd,e\n", "1! text follows a closing quotation mark"),
            ("a\rb,c\nd,e\n", "1! a carriage return stands without a line feed"),
            ("a\u{0}b\nd,e\n", "1! a NUL character stands in it"),
            (String(repeating: "x", count: 65_537) + "\nd,e\n", "1! it is longer than 65536 bytes"),
            (String(repeating: ",", count: 501) + "\nd,e\n", "1! it has more than 500 fields"),
        ])
    func broken(text: String, complaint: String) {
        #expect(events(text.utf8, pieces: 1000) == [complaint, "2: d|e"])
    }

    @Test("text that is not UTF-8 breaks its own line only")
    func encoding() {
        let bytes = Array("a,b\nM".utf8) + [0xFC] + Array("ller,1\nc,d\n".utf8)
        #expect(events(bytes) == ["1: a|b", "2! it is not UTF-8 text", "3: c|d"])
    }

    @Test("a quotation mark that is never closed loses the rest")
    func unclosed() {
        #expect(
            events("a,b\n\"c,d\ne,f\n".utf8) == [
                "1: a|b", "2!! a quotation mark is opened and not closed",
            ])
        let long = "a\n\"" + String(repeating: "x\n", count: 40_000) + "b\n"
        let found = events(long.utf8, pieces: 4096)
        #expect(found.count == 2 && found.last?.hasPrefix("2!! it is longer than 65536") == true)
    }
}
