import Core
import Testing

@testable import Bills

@Suite("Statements")
struct StatementReaderTests {
    static let now = Instant(unixSeconds: 1_795_257_756)  // 2026-11-21T10:42:36Z

    static let mapping = {
        var mapping = StatementMapping()
        mapping.unit = "credits"
        mapping.columns = [.taskID: "task", .amount: "amount", .time: "time"]
        return mapping
    }()

    private func read(
        _ text: String, _ mapping: StatementMapping = Self.mapping, zone: ZoneTable = .utc
    ) throws -> (offers: [UsageOffer], summary: StatementSummary) {
        try read(bytes: Array(text.utf8), mapping, zone: zone)
    }

    private func read(
        bytes: [UInt8], _ mapping: StatementMapping = Self.mapping, zone: ZoneTable = .utc
    ) throws -> (offers: [UsageOffer], summary: StatementSummary) {
        var reader = StatementReader(file: "f.csv", mapping: mapping, zone: zone, now: Self.now)
        var offers: [UsageOffer] = []
        for start in stride(from: 0, to: bytes.count, by: 7) {
            try reader.read(bytes[start..<min(start + 7, bytes.count)]) { offers += $0 }
        }
        let summary = try reader.finish { offers += $0 }
        return (offers, summary)
    }

    @Test("a file of lines")
    func lines() throws {
        let (offers, summary) = try read(
            "\u{feff}time,task,amount,other\r\n2026-11-20T10:00:00Z,t1,60,x\r\n"
                + "2026-11-20T11:00:00+01:00,\"t,2\",0.50,y\r\n,,,\r\n")
        #expect(offers.map(\.taskID) == ["t1", "t,2"])
        #expect(offers.map(\.amount.text) == ["60", "0.5"])
        #expect(
            offers.map(\.happenedAt.description) == [
                "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z",
            ])
        #expect(summary.lines == 3 && summary.goodLines == 2)
        #expect(summary.badLines == [BadLine(line: 4, why: "amount is empty")])
        #expect(summary.units["credits"]?.amount.text == "60.5")
    }

    @Test(
        "one broken line, and why",
        arguments: [
            ("2026-11-20T10:00:00Z,t1", "it has 2 fields, and the header has 3"),
            ("2026-11-20T10:00:00Z,t1,", "amount is empty"),
            ("2026-11-20T10:00:00Z,t1,60 credits", "amount is '60 credits', which is no number"),
            ("2026-11-20T10:00:00Z,t1,\"1,234.5\"", "which is no number like 1234.50"),
            ("2026-11-20T10:00:00Z,t1,$5", "which is no number"),
            ("2026-11-20T10:00:00Z,t1,NaN", "which is no number"),
            ("2026-11-20T10:00:00Z,t1,-5", "taken with --allow-credits only"),
            ("2026-11-20T10:00:00Z,t1,1000000000.01", "more than the 1000000000"),
            ("2026-11-20T10:00:00Z,t1,1e300", "which is no number"),
            (",t1,5", "time is empty"),
            ("20/11/2026,t1,5", "which is no time like"),
            ("2026-02-30,t1,5", "which is no time like"),
            ("20261120,t1,5", "before any that a provider can mean"),
            ("2026-11-22T10:42:37Z,t1,5", "more than a day ahead of the database's clock"),
            ("2026-11-20T10:00:00Z,t\u{7}1,5", "task holds a control character"),
            (
                "2026-11-20T10:00:00Z,\(String(repeating: "t", count: 501)),5",
                "task is longer than 500 characters"
            ),
            ("2026-11-20T10:00:00Z,t\"1,5", "a quotation mark stands inside"),
        ])
    func bad(line: String, why: String) throws {
        let (offers, summary) = try read(
            "time,task,amount\n2026-11-20T10:00:00Z,t0,1\n\(line)\n2026-11-20T10:00:00Z,t2,2\n")
        #expect(offers.map(\.taskID) == ["t0", "t2"])
        #expect(summary.badCount == 1)
        let bad = try #require(summary.badLines.first)
        #expect(bad.line == 3)
        #expect(bad.why.contains(why), "\(bad.why)")
        #expect(!bad.why.unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test("a day ahead is not too far, and a second more is")
    func edge() throws {
        let (offers, _) = try read("time,task,amount\n2026-11-22T10:42:36Z,t,5\n")
        #expect(offers.count == 1)
    }

    @Test(
        "a file that cannot be one",
        arguments: [
            ("", "f.csv is empty", Core.ExitStatus.needsPerson),
            ("\u{feff}", "f.csv is empty", .needsPerson),
            ("time,task,amount\n", "holds no line of usage", .needsPerson),
            ("time;task;amount\n1;2;3\n", "it seems to be ;: --delimiter ';'", .wrongUsage),
            ("time\ttask\tamount\n", "it seems to be tab: --delimiter tab", .wrongUsage),
            (
                "time,id,amount\n", "no column 'task' (--task-id-column); there are 'time', 'id'",
                .wrongUsage
            ),
            ("Time,task,amount\n", "no column 'time' (--time-column)", .wrongUsage),
            ("time,task,amount,task\n", "2 columns task", .wrongUsage),
            ("\"time,task\n", "holds no line", .needsPerson),
            ("ti\"me,task\n", "the header, is broken", .needsPerson),
            (
                "time,task,amount,currency\n2026-11-20,t,1,USD\n2026-11-20,t,1,EUR\n",
                "several units in its column currency (EUR, USD)", .wrongUsage
            ),
            (
                "time,task,amount,Unit\n2026-11-20,t,1,tokens\n",
                "another unit in its column Unit (tokens)", .wrongUsage
            ),
        ] as [(String, String, Core.ExitStatus)])
    func refused(text: String, words: String, status: Core.ExitStatus) throws {
        if text == "\"time,task\n" {
            // The header itself is lost: one complaint, and nothing to import.
            let summary = try read(text).summary
            #expect(summary.lostFrom == 1 && summary.goodLines == 0)
            return
        }
        let failure = #expect(throws: Failure.self) { try read(text) }
        #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
        #expect(failure?.status == status)
    }

    @Test(
        "encodings by their names",
        arguments: [
            ([0xFF, 0xFE, 0x74, 0x00, 0x69, 0x00], "UTF-16LE"),
            ([0xFE, 0xFF, 0x00, 0x74, 0x00, 0x69], "UTF-16BE"),
            ([0x74, 0x00, 0x69, 0x00, 0x6D, 0x00], "UTF-16LE"),
            ([0x00, 0x74, 0x00, 0x69, 0x00, 0x6D], "UTF-16BE"),
            ([0x50, 0x4B, 0x03, 0x04, 0x14, 0x00], "XLSX"),
        ] as [([UInt8], String)])
    func encodings(bytes: [UInt8], name: String) {
        let failure = #expect(throws: Failure.self) { try read(bytes: bytes) }
        #expect(failure?.code == "usage_encoding")
        #expect(failure?.message.contains(name) == true)
    }

    @Test("a Latin-1 file is told line by line")
    func latin() throws {
        let bytes =
            Array("time,task,amount\n2026-11-20,M".utf8) + [0xFC] + Array("ller,1\n".utf8)
        let summary = try read(bytes: bytes).summary
        #expect(summary.badLines == [BadLine(line: 2, why: "it is not UTF-8 text")])
    }

    @Test("the same line twice has two names, the same in each reading")
    func occurrences() throws {
        let text =
            "time,task,amount\n" + String(repeating: "2026-11-20,t1,5\n", count: 3)
            + "2026-11-20T00:00:00Z,t1,5.0\n"
        let once = try read(text).offers.map(\.lineKey)
        #expect(Set(once).count == 4)
        #expect(once == (try read(text).offers.map(\.lineKey)))
        #expect(once.allSatisfy { $0.hasPrefix("content:") })
        #expect(once.map { $0.suffix(2) } == ["/1", "/2", "/3", "/4"])
    }

    @Test("an id names its line; the same id with other content is refused")
    func ids() throws {
        var mapping = Self.mapping
        mapping.columns[.lineID] = "id"
        let (offers, summary) = try read(
            "id,time,task,amount\n1,2026-11-20,t1,5\n1,2026-11-20,t1,5.00\n2,2026-11-20,t1,6\n"
                + "2,2026-11-20,t1,7\n,2026-11-20,t1,7\n", mapping)
        #expect(offers.map(\.lineKey) == ["id:1", "id:2"])
        #expect(summary.repeatedLines == 1)
        #expect(summary.badLines.map(\.line) == [5, 6])
        #expect(summary.badLines.first?.why.contains("its id stands on line 4") == true)
        #expect(summary.badLines.last?.why == "id is empty")
    }

    @Test("credits are negative amounts where they are allowed")
    func credits() throws {
        var mapping = Self.mapping
        mapping.allowsCredits = true
        let (offers, summary) = try read(
            "time,task,amount\n2026-11-20,t1,60\n2026-11-20,t1,-60.5\n2026-11-20,t1,-1000000001\n",
            mapping)
        #expect(offers.map(\.amount.text) == ["60", "-60.5"])
        #expect(summary.units["credits"]?.amount.text == "-0.5")
        #expect(summary.badLines.map(\.line) == [4])
    }

    @Test(
        "times as consoles write them",
        arguments: [
            ("2026-11-20T10:42:36Z", "2026-11-20T10:42:36Z"),
            ("2026-11-20 10:42:36", "2026-11-20T10:42:36Z"),
            ("2026-11-20 10:42", "2026-11-20T10:42:00Z"),
            ("2026-11-20 10:42:36 UTC", "2026-11-20T10:42:36Z"),
            ("2026-11-20T10:42:36.789+02:00", "2026-11-20T08:42:36Z"),
            ("2026-11-20 10:42:36 -0500", "2026-11-20T15:42:36Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"), ("1795171356", "2026-11-20T10:42:36Z"),
            ("1795171356000", "2026-11-20T10:42:36Z"),
        ])
    func times(text: String, instant: String) throws {
        let offers = try read("time,task,amount\n\"\(text)\",t,1\n").offers
        #expect(offers.map(\.happenedAt.description) == [instant])
    }

    /// Europe/Berlin in 2026: summer time from 29 March 01:00Z to 25 October 01:00Z.
    static let berlin = ZoneTable([
        (Instant(unixSeconds: 1_420_070_400), .seconds(3600)),
        (Instant(unixSeconds: 1_774_746_000), .seconds(7200)),
        (Instant(unixSeconds: 1_792_890_000), .seconds(3600)),
    ])

    @Test(
        "a time without a zone is on the clock of the file's",
        arguments: [
            ("2026-01-15 12:00", "2026-01-15T11:00:00Z"),
            ("2026-07-15 12:00", "2026-07-15T10:00:00Z"),
            ("2026-07-15 12:00:00Z", "2026-07-15T12:00:00Z"),
            // Left out by clocks, and shown twice by them.
            ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),
            ("2026-10-25 02:30", "2026-10-25T01:30:00Z"),
            ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"), ("2026-11-01", "2026-10-31T23:00:00Z"),
        ])
    func zones(text: String, instant: String) throws {
        let offers = try read("time,task,amount\n\(text),t,1\n", zone: Self.berlin).offers
        #expect(offers.map(\.happenedAt.description) == [instant])
    }

    @Test("JSON keeps every digit, and members by name")
    func json() throws {
        var mapping = Self.mapping
        mapping.format = .json
        mapping.columns[.status] = "state"
        mapping.columns[.model] = "model"
        let (offers, summary) = try read(
            #"[{"task":9007199254740993,"amount":0.10000000000000000001,"time":1795171356,"#
                + #""state":"Success","model":"m"},{"task":"t2","amount":"2","time":null}]"#,
            mapping)
        #expect(offers.first?.taskID == "9007199254740993")
        #expect(offers.first?.amount.text == "0.10000000000000000001")
        #expect(offers.first?.status == .succeeded && offers.first?.model == "m")
        #expect(summary.badLines == [BadLine(line: 1, why: "time is empty")])
        let failure = #expect(throws: Failure.self) { try read(#"{"task":"t","cost":1}"#, mapping) }
        #expect(failure?.message.contains("no member 'amount' (--amount-column)") == true)
    }

    @Test("pages are bounded, and the first fifty complaints are kept")
    func bounds() throws {
        var text = "time,task,amount\n"
        for number in 0..<4500 { text += "2026-11-20,t\(number),1\n" }
        for _ in 0..<120 { text += "2026-11-20,t,x\n" }
        var reader = StatementReader(
            file: "f", mapping: Self.mapping, zone: .utc, now: Self.now)
        var pages: [Int] = []
        try reader.read(Array(text.utf8)[...]) { pages.append($0.count) }
        let summary = try reader.finish { pages.append($0.count) }
        #expect(pages == [2000, 2000, 500])
        #expect(summary.badCount == 120 && summary.badLines.count == 50)
        #expect(summary.badLines.first?.line == 4502)
    }

    @Test("a mapping is kept and read again, and what it lacks is named")
    func profile() throws {
        var mapping = Self.mapping
        mapping.delimiter = 0x09
        mapping.timeZone = "Europe/Berlin"
        mapping.allowsCredits = true
        mapping.acceptedUnits = ["tokens"]
        let kept = JSON.write(mapping.json)
        #expect(StatementMapping(json: try JSON.parse(kept)) == mapping)
        #expect(StatementMapping(json: ["format": "xml"]) == nil)
        for (column, flag) in [
            (StatementMapping.Column.amount, "--amount-column"), (.time, "--time-column"),
            (.taskID, "--task-id-column"),
        ] {
            var lacking = mapping
            lacking.columns[column] = nil
            let failure = #expect(throws: Failure.self) { try lacking.check() }
            #expect(failure?.message.contains(flag) == true)
        }
        mapping.unit = nil
        #expect(throws: Failure.self) { try mapping.check() }
    }
}
