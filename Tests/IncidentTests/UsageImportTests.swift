import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Files from providers' consoles, through the command that takes them in.
@Suite struct UsageImports {
    private let line: RescueLine
    private let folder: String

    init() throws {
        line = try RescueLine()
        folder = NSTemporaryDirectory() + "holdfast-usage-" + RunID.make()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func file(_ bytes: [UInt8], _ name: String = "usage.csv") throws -> String {
        let path = folder + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    static let mapping = [
        "--task-id-column", "Task ID", "--amount-column", "Credits", "--unit", "credits",
        "--time-column", "Time",
    ]

    private func importing(
        _ text: String, _ flags: [String] = Self.mapping, provider: String = "kie"
    ) async throws -> Finished {
        try await line.run(
            "holdfast",
            ["usage", "import", "--provider", provider] + flags + [try file(Array(text.utf8))])
    }

    private func lines() throws -> Int64 {
        try line.sql("SELECT count(*) AS count FROM holdfast.usage_line").single().int64("count")
    }

    private func digest() throws -> String {
        let tables = ["usage_line", "usage_import", "usage_conflict", "usage_profile"]
        return try tables.map { table in
            try line.sql(
                """
                SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) AS digest
                FROM holdfast.\(raw: table) t
                """
            ).single().text("digest")
        }.joined()
    }

    /// The example of docs/usage.md, to the letter.
    static let example = """
        Time,Task ID,Model,Credits,Status
        2026-11-20 10:00:00,veo_task_7b81c0,veo3,60,Success
        2026-11-20 10:05:00,veo_task_9c12d4,veo3,60,Fail
        2026-11-20 10:05:00,veo_task_9c12d4,veo3,-60,Refund

        """

    @Test func `the example of the documentation does what it says`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let page = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appending(path: "../../docs/usage.md"), encoding: .utf8)
        func indented(_ text: String) -> String {
            text.split(separator: "\n").map { "    " + $0 + "\n" }.joined()
        }
        #expect(page.contains(indented(Self.example)))
        let command = try #require(
            page.components(separatedBy: "    holdfast usage import --provider kie --format csv")
                .dropFirst().first?.components(separatedBy: "\n\n").first)
        let words = command.replacingOccurrences(of: "\\\n", with: " ")
            .replacingOccurrences(of: "'Task ID'", with: "Task%ID")
            .split(whereSeparator: \.isWhitespace)
            .map { $0.replacingOccurrences(of: "%", with: " ") }
        #expect(words.last == "kie-2026-11.csv")
        let said = try await importing(Self.example, ["--format", "csv"] + words.dropLast())
        #expect(said.status == 0, "\(said.stderr)")
        let expected = """
            3 lines of kie from 2026-11-20T09:00:00Z to 2026-11-20T09:05:00Z
              60 credits on 3 lines
            3 lines are new

            """
        #expect(said.stdout.hasSuffix(expected), "\(said.stdout)")
        #expect(
            page.contains(
                indented("kie-2026-11.csv: " + expected)))
        let again = try await importing(Self.example, ["--profile", "kie-console"])
        #expect(again.stdout.contains("0 lines are new, 3 were in the books already"))
    }

    @Test func `a bill corrects what a verdict said, and importing it again changes nothing`()
        async throws
    {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try line.open("j1", taskID: "t1")
        try line.sql("UPDATE holdfast.task SET cost_amount = '60', cost_unit = 'credits'")
        let text = "Time,Task ID,Credits\n2026-11-20,t1,65\n2026-11-20,t2,7\n"
        #expect(try await importing(text).status == 0)
        let before = try digest()
        for _ in 0..<2 {
            let again = try await importing(text)
            #expect(again.status == 0)
            #expect(again.stdout.contains("0 lines are new, 2 were in the books already"))
            #expect(try digest() == before)
        }
        #expect(
            try line.sql(
                """
                SELECT string_agg(task_id || ' ' || booked, ', ' ORDER BY task_id) AS said FROM (
                    SELECT task_id, trim_scale(sum(booked)) AS booked FROM holdfast.usage_line
                    GROUP BY task_id) s
                """
            ).single().text("said") == "t1 65, t2 7")
        let listed = try await line.report(
            "holdfast", ["usage", "list", "--provider", "kie", "--task", "t1"])
        #expect(listed["lines"]?.array?.map { $0["booked"]?.text } == ["60", "5"])
    }

    @Test func `more of the same bill adds what is new`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let head = "Time,Task ID,Credits\n2026-11-20,t1,65\n"
        _ = try await importing(head)
        let longer = try await importing(head + "2026-11-20,t1,65\n2026-11-20,t2,1\n")
        #expect(longer.stdout.contains("2 lines are new, 1 were in the books already"))
        #expect(try lines() == 3)
    }

    @Test func `a dry run writes nothing, and a report says it all`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let before = try digest()
        let path = try file(Array("Time,Task ID,Credits\n2026-11-20,t1,65\n".utf8))
        let report = try await line.report(
            "holdfast",
            ["usage", "import", "--provider", "kie", "--dry-run", "--save-profile", "p"]
                + Self.mapping + [path])
        #expect(report["dry_run"]?.bool == true && report["missing_lines"]?.int == 1)
        #expect(report["units"]?["credits"]?["amount"]?.text == "65")
        #expect(try digest() == before)
    }

    @Test func `one broken line stops all, unless it may be left out`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var text = "Time,Task ID,Credits\n2026-11-20,t1,65\n"
        for _ in 0..<60 { text += "2026-11-20,t2,much\n" }
        text += "2026-11-20,t3,7\n"
        let refused = try await importing(text)
        #expect(refused.status == 1)
        #expect(refused.stderr.contains("usage.csv line 3: Credits is 'much'"))
        #expect(refused.stderr.contains("line 52:") && !refused.stderr.contains("line 53:"))
        #expect(refused.stderr.contains("and 10 more lines like that"))
        #expect(
            refused.stderr.contains("60 of 62 lines") && refused.stderr.contains("the 2 others"))
        #expect(try lines() == 0)
        let taken = try await importing(text, Self.mapping + ["--skip-bad-lines"])
        #expect(taken.status == 0)
        #expect(taken.stdout.contains("2 lines are new, 60 were left out"))
        #expect(try lines() == 2)
    }

    @Test func `the same id with other content is kept as a conflict and told`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let flags = Self.mapping + ["--line-id-column", "Line"]
        _ = try await importing("Line,Time,Task ID,Credits\n1,2026-11-20,t1,65\n", flags)
        let other = try await importing("Line,Time,Task ID,Credits\n1,2026-11-20,t1,66\n", flags)
        #expect(other.status == 1)
        #expect(other.stdout.contains("1 lines came before with other content"))
        #expect(
            try line.sql("SELECT kept->>'amount' AS amount FROM holdfast.usage_conflict").single()
                .text("amount") == "65")
        #expect(try lines() == 1)
    }

    @Test func `several units are taken when each has a value or is accepted`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text = "Time,Task ID,Credits,Unit\n2026-11-20,t1,65,credits\n2026-11-20,t2,1,EUR\n"
        let flags =
            Array(Self.mapping.filter { !["--unit", "credits"].contains($0) })
            + ["--unit-column", "Unit"]
        let refused = try await importing(text, flags)
        #expect(refused.status == 64)
        #expect(refused.stderr.contains("has the units EUR, credits"), "\(refused.stderr)")
        #expect(refused.stderr.contains("--accept-unit EUR"))
        _ = try await line.run(
            "holdfast",
            ["policy", "set", "unit_value", "1.1 USD", "--unit", "EUR"])
        #expect(try await importing(text, flags).status == 64)
        let taken = try await importing(text, flags + ["--accept-unit", "credits"])
        #expect(taken.status == 0, "\(taken.stderr)")
        #expect(try lines() == 2)
    }

    @Test func `JSON and lines of JSON are read alike, digit for digit`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let flags = [
            "--format", "json", "--task-id-column", "id", "--amount-column", "cost", "--unit",
            "USD",
            "--time-column", "at",
        ]
        let one = #"{"id":9007199254740993,"cost":0.1234567890123456789,"at":1795171356}"#
        #expect(try await importing("[\n\(one)\n]\n", flags, provider: "fal").status == 0)
        let again = try await importing(one + "\n", flags, provider: "fal")
        #expect(again.stdout.contains("0 lines are new"))
        let row = try line.sql("SELECT task_id, amount::text AS amount FROM holdfast.usage_line")
            .single()
        #expect(try row.text("task_id") == "9007199254740993")
        #expect(try row.text("amount") == "0.1234567890123456789")
    }

    @Test func `an import that left a line out is completed by the same command`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var text = "Time,Task ID,Credits\n"
        for number in 0..<4500 { text += "2026-11-20,t\(number),1\n" }
        // The second page meets a task that somebody made impossible to book.
        try line.sql(
            "ALTER TABLE holdfast.usage_line ADD CONSTRAINT cut CHECK (task_id <> 't2500')")
        let cut = try await importing(text)
        #expect(cut.status == 1)
        #expect(cut.stderr.contains("left out, line") && cut.stderr.contains("23514"))
        #expect(try lines() == 4499)
        try line.sql("ALTER TABLE holdfast.usage_line DROP CONSTRAINT cut")
        let whole = try await importing(text)
        #expect(whole.status == 0)
        #expect(whole.stdout.contains("1 lines are new, 4499 were in the books already"))
        let row = try line.sql("SELECT lines, new_lines FROM holdfast.usage_import").single()
        #expect(try row.int64("lines") == 4500 && row.int64("new_lines") == 4500)
    }

    /// What cannot be imported: the words, the status, the bytes and the flags.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status: Int32
        var words: [String]
        var bytes: [UInt8]
        var flags: [String]
        var provider = "kie"

        init(
            _ name: String, _ status: Int32, _ words: [String], _ text: String,
            _ flags: [String] = UsageImports.mapping, provider: String = "kie"
        ) {
            testDescription = name
            self.status = status
            self.words = words
            bytes = Array(text.utf8)
            self.flags = flags
            self.provider = provider
        }
    }

    static let head = "Time,Task ID,Credits\n"

    static let cases: [Case] = {
        var utf16 = Case("UTF-16 with its mark", 1, ["UTF-16LE", "iconv"], "")
        utf16.bytes = [0xFF, 0xFE] + head.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        var latin = Case("Latin-1", 1, ["line 2", "not UTF-8"], "")
        latin.bytes = Array((head + "2026-11-20,M").utf8) + [0xFC, 0x6C] + Array(",1\n".utf8)
        let good = "2026-11-20,t1,1\n"
        return [
            utf16, latin,
            Case("empty file", 1, ["usage.csv is empty"], ""),
            Case("header only", 1, ["no line of usage"], head),
            Case(
                "wrong delimiter", 64, ["one column", "--delimiter ';'"], "Time;Task ID;Credits\n"),
            Case(
                "missing column", 64, ["no column 'Credits'", "'Time', 'Task ID'"],
                "Time,Task ID,Cost\n"),
            Case(
                "duplicated ids", 1, ["line 3", "stands on line 2 with other content"],
                "Line," + head + "1,2026-11-20,t1,1\n1,2026-11-20,t1,2\n",
                mapping + ["--line-id-column", "Line"]),
            Case(
                "negative", 1, ["line 3", "'-5'", "--allow-credits"],
                head + good + "2026-11-20,t1,-5\n"),
            Case(
                "enormous", 1, ["line 2", "more than the 1000000000"],
                head + "2026-11-20,t1,1000000001\n"),
            Case(
                "no number", 1, ["line 2", "'1.234,50'", "1234.50"],
                head + "2026-11-20,t1,\"1.234,50\"\n"),
            Case("future", 1, ["line 2", "more than a day ahead"], head + "2099-01-01,t1,1\n"),
            Case(
                "no date", 1, ["line 2", "'20.11.2026'", "no time like"], head + "20.11.2026,t1,1\n"
            ),
            Case(
                "two currencies", 64, ["several units", "--unit-column Currency"],
                "Time,Task ID,Credits,Currency\n2026-11-20,t1,1,USD\n2026-11-20,t1,1,EUR\n"),
            Case(
                "too few fields", 1, ["line 3", "2 fields", "header has 3"],
                head + good + "2026-11-20,t1\n"),
            Case(
                "open quotation mark", 1, ["line 2", "not closed", "nothing was written"],
                head + "\"2026,t1,1\n"),
            Case(
                "not JSON", 1, ["line 1", "not readable as JSON"], head,
                mapping + ["--format", "json"]),
            Case("no mapping", 64, ["--amount-column NAME"], head, []),
            Case(
                "no unit", 64, ["--unit credits or --unit USD"], head,
                mapping.filter { !["--unit", "credits"].contains($0) }),
            Case(
                "unknown zone", 64, ["no time zone 'Mars/One'"], head,
                mapping + ["--time-zone", "Mars/One"]),
            Case("unknown profile", 66, ["no profile 'x'"], head, ["--profile", "x"]),
            Case("unknown provider", 78, ["unknown provider nobody"], head, provider: "nobody"),
            Case(
                "wrong flag", 64, ["--delimiter takes one of"], head,
                mapping + ["--delimiter", "::"]),
        ]
    }()

    @Test(arguments: cases)
    func `a file that cannot be taken is refused with the place and the way out`(_ one: Case)
        async throws
    {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try file(one.bytes)
        let before = try digest()
        let words = ["usage", "import", "--provider", one.provider] + one.flags + [path]
        let said = try await line.run("holdfast", words)
        #expect(said.status == one.status, "\(said.stderr)")
        for word in one.words { #expect(said.stderr.contains(word), "\(word): \(said.stderr)") }
        let report = try await line.run("holdfast", words + ["--output", "json"])
        let object = try JSON.parse(report.stdoutBytes)
        #expect(object["exit_status"]?.int == Int64(one.status))
        #expect(object["errors"]?.array?.isEmpty == false)
        #expect(try digest() == before)
    }

    @Test func `a file that is not there is no such file`() async throws {
        for path in [folder + "/none.csv", folder] {
            let said = try await line.run(
                "holdfast", ["usage", "import", "--provider", "kie"] + Self.mapping + [path])
            #expect(said.status == 66 && said.stderr.contains("cannot be read"))
        }
        try? FileManager.default.removeItem(atPath: folder)
    }
}
