import Core
import Ledger
import Statements
import TestSupport
import Testing

/// Ids and words of others, in every place that a report has for them.
@Suite struct HostileTexts {
    static let corpus = [
        "=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1:A9)", " =1+1", "\t=1+1", "\r=1+1",
        "\n=1+1", "=HYPERLINK(\"http://evil.example\",\"x\")", "\u{a0}=1+1", "\u{2003}=1+1",
        "\u{200b}=1+1", "\u{feff}=1+1", "＝1+1", "＋1", "－1", "＠SUM(1)", "%0A=1", "|calc",
        "'=1+1", "'", "''", "\"", "\"\"", "\"=1+1\"", "\";=1+1", ",=1+1", ";=1+1", "a,b", "a;b",
        "a\"b", "a\nb", "a\r\nb", "007", "00000000000000000001", "12345678901234567890", "1e5",
        "1E309", "2026-11-20", "1/2", "10:30", ".5", "-5", "+49 30 1234", "1,000.00", "50%",
        "٣", "TRUE", "NULL", "#REF!", "_x0041_", "_x005F_x0041_", "<script>alert(1)</script>",
        "</td></table><b>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "&amp;",
        "&lt;b&gt;", "<!--", "]]>", "<?xml?>", "a  b", "a:b", "a;b  ; c", " a", "a ", "",
        "(virtual)", "[balanced]", "* done", "! pending", "~ monthly", "include /etc/passwd", "%41",
        "%", "{{7*7}}", "${HOME}", "`id`", "$(id)", "javascript:alert(1)", "../../etc/passwd",
        "\u{0}", "a\u{1}b", "\u{7f}", "\u{85}", "\u{202e}txt.exe", "\u{2028}", "\u{fffe}",
        "\u{1fffe}", "e\u{301}", "日本語", "🎬", "👩‍👩‍👧", "Ünïcode", "\u{1b}[31mred",
        String(repeating: "x", count: 300), "<!channel>", "<@U123>", "<http://evil|good>",
    ]

    /// As every form but JSON and the journal shows an id.
    private static func shown(_ texts: [String?]) -> [JSONValue] {
        texts.map { .string(Inert.line($0 ?? "")) }
    }

    @Test func `nothing runs, nothing breaks out, and ids survive`() async throws {
        #expect(Self.corpus.count >= 60)
        var factory = NightFactory(seed: 11)
        factory.texts = Self.corpus
        factory.currency = "=U S;D\n\"<b>"
        // Every text is an account, each once.
        factory.accounts = Self.corpus.count
        factory.breaks = 2 * Self.corpus.count
        factory.models = 30
        let (found, audit) = try await Agreement.check(factory)
        let ids = audit.firstAccounts.map(\.accountID)
        #expect(ids.count == Self.corpus.count)
        #expect(found["json"]?["accounts"]?.array == ids.map { .string($0) })
        #expect(found["csv"]?["accounts"]?.array == Self.shown(ids))
        #expect(found["xlsx"]?["accounts"]?.array?.map(\.text) == Self.shown(ids).map(\.text))
        // A browser shows runs of blanks as one, and the reader trims.
        #expect(found["html"]?["accounts"]?.array?.count == ids.count)
        let journal = Set((found["journal"]?["accounts"]?.array ?? []).compactMap(\.text))
        #expect(journal == Set(ids))
        let jobs = audit.firstBreaks.map(\.jobID)
        #expect(found["csv"]?["breaks"]?.array?.map { $0.array?.first } == Self.shown(jobs))
    }

    @Test func `real negative amounts stay numbers`() async throws {
        let (found, _) = try await Agreement.check(NightFactory(seed: 12))
        #expect(try #require(found["csv"]?["numbers"]?.array).count > 3)
    }

    @Test(arguments: [
        ("customer-7", "customer-7"), ("=1", "'=1"), (" =1", "' =1"), ("007", "'007"),
        ("'", "''"), ("-", "'-"), ("a=1", "a=1"), ("\u{200b}@x", "'\u{200b}@x"),
        ("7b81c0d2-aaaa", "7b81c0d2-aaaa"), ("2026-11-20", "'2026-11-20"), ("1e5", "'1e5"),
        ("", ""), (" ", " "), ("a\nb", "a\\nb"), ("\t=1", "' =1"),
    ])
    func `a cell is guarded where a spreadsheet would read it as more`(text: String, cell: String) {
        #expect(Inert.cell(text) == cell)
    }

    @Test(arguments: corpus)
    func `a mail's header holds one line whatever it says`(_ text: String) {
        let letter = Letter(
            to: ["books@example.com"], from: nil, subject: text + "\nBcc: everybody@example.com",
            body: text)
        let head = String(decoding: letter.message(), as: UTF8.self)
            .split(separator: "\n\n", maxSplits: 1)[0]
        #expect(!head.contains("\nBcc"))
        #expect(head.utf8.allSatisfy { $0 == 10 || (0x20..<0x7f).contains($0) })
        let lines = head.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.utf8.count < 998 && !$0.isEmpty })
        #expect(lines.allSatisfy { $0.hasPrefix(" ") || $0.contains(": ") })
    }

    @Test(arguments: corpus)
    func `a chat is told nothing that it would act on`(_ text: String) throws {
        var factory = NightFactory(seed: 13)
        let pages = factory.make()
        let folder = try NightFolder()
        let audit = try folder.write(pages)
        let summary = try NightSummary(audit, links: [ReportLink(file: .page, url: text)])
        #expect(summary.lines.count <= NightSummary.lineLimit)
        #expect(summary.lines.allSatisfy { !$0.contains { $0.isNewline } })
        let body = try JSON.parse(summary.slackBody)
        let said = try #require(body["text"]?.text)
        #expect(!said.contains("<") && !said.contains(">"))
    }

    @Test(arguments: [
        "books@example.com", "a@example.com,b@example.com", "root", "a+b@example.com, c@d.example",
    ])
    func `addresses are taken`(_ text: String) throws {
        #expect(!(try Letter.addresses(text, variable: "HOLDFAST_MAIL_TO")).isEmpty)
    }

    @Test(arguments: [
        "", ",", "a@b\nBcc: c@d", "Anna <a@b.example>", "-oQ/tmp", "|/bin/sh", "/etc/passwd",
        "a@b\r\nX: y", "a@b@c", "a@", "@b", "ü@example.com", "a\u{0}@b", "a;b@c",
    ])
    func `whatever could be more than an address is refused`(_ text: String) {
        let failure = #expect(throws: Failure.self) {
            try Letter.addresses(text, variable: "HOLDFAST_MAIL_TO")
        }
        #expect(failure?.code == "mail_address")
        #expect(failure?.status == .configuration)
    }
}
