import Testing

@testable import Runner

struct EnvironmentFileTests {
    @Test(
        arguments: [
            ("", [:]), ("\n\n# only words\n   \t\n", [:]), ("A=1", ["A": "1"]), ("A=", ["A": ""]),
            ("A=1\nB=2\n", ["A": "1", "B": "2"]), ("A=1\r\nB=2\r\n", ["A": "1", "B": "2"]),
            ("\u{feff}A=1", ["A": "1"]), ("  A = 1  ", ["A": "1"]),
            ("export A=1\nexport\tB=2", ["A": "1", "B": "2"]), ("export=1", ["export": "1"]),
            ("_a9=1", ["_a9": "1"]), ("A=1\nA=2", ["A": "2"]),
            ("A=b c  d ", ["A": "b c  d"]), ("A=x # words", ["A": "x"]), ("A=x#y", ["A": "x#y"]),
            ("A=# words", ["A": ""]), ("A=p=q==", ["A": "p=q=="]),
            ("A=postgres://u:p%23@h/d?a=b", ["A": "postgres://u:p%23@h/d?a=b"]),
            ("A=it's", ["A": "it's"]), ("A=\\n$B`", ["A": "\\n$B`"]),
            ("A='b # c' # words", ["A": "b # c"]), ("A='\\n\"$x'", ["A": "\\n\"$x"]),
            ("A=\"\"\nB=''", ["A": "", "B": ""]),
            ("A=\"b\\nc\\td\\\\e\\\"f\\$g\\qh\"", ["A": "b\nc\td\\e\"f$g\\qh"]),
            ("A=\"one\ntwo\"\nB='three\nfour'", ["A": "one\ntwo", "B": "three\nfour"]),
            ("A=東京 # Zürich", ["A": "東京"]), ("A=\"e\u{301}\"", ["A": "e\u{301}"]),
        ] as [(String, [String: String])])
    func aFileIsRead(text: String, values: [String: String]) throws {
        #expect(try EnvironmentFile.parse(text) == values)
    }

    @Test(arguments: [
        ("hunter2", 1), ("A=1\nhunter2\nB=2", 2), ("=hunter2", 1), ("1A=hunter2", 1),
        ("A hunter2", 1), ("A-B=hunter2", 1), ("export hunter2", 1), ("\n\nA='hunter2", 3),
        ("A=\"hunter2\nB=1\n", 1), ("A='x' hunter2", 1), ("A=\"x\"hunter2", 1),
        ("A=\"x\ny\"\nhunter2", 3), ("A=\"x\ny\" hunter2", 2), ("A=1\r\nhunter2", 2),
        ("\u{301}=hunter2", 1),
    ])
    func aMalformedLineIsNamedAndNotQuoted(text: String, line: Int) {
        let malformed = #expect(throws: EnvironmentFile.Malformed.self) {
            try EnvironmentFile.parse(text)
        }
        #expect(malformed?.line == line)
        #expect(malformed?.problem.contains("hunter2") == false)
    }
}
