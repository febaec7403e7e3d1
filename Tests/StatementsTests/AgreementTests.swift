import Core
import Ledger
import Statements
import TestSupport
import Testing

/// The figures of a night, read back from each of its files by a reader that is not ours.
@Suite struct Agreement {
    /// Every figure by its name, as exact decimals.
    static func expected(_ audit: NightAudit) -> [String: String] {
        let (opening, moves, closing) = (
            audit.figures.opening, audit.figures.moves, audit.figures.closing
        )
        let credits: [String: Int64] = [
            "opening_available": opening.available, "opening_held": opening.held,
            "opening_spent": opening.spent, "granted": moves.granted, "held": moves.held,
            "captured": moves.captured, "voided": moves.voided, "charged": moves.charged,
            "refunded": moves.refunded, "adjusted": moves.adjusted,
            "closing_available": closing.available, "closing_held": closing.held,
            "closing_spent": closing.spent, "entries": audit.figures.day.entries,
            "accounts_moved": audit.figures.accountsMoved,
            "unpriced_lines": audit.money.unpricedLines,
            "unpriced_models": audit.money.unpricedModels,
            "unpriced_units": audit.money.unpricedUnits, "breaks_opened": audit.breaks.opened,
            "breaks_standing": audit.breaks.standing, "breaks_closed": audit.breaks.closed,
        ]
        var all = credits.mapValues { "\($0)" }
        let money = audit.money
        for (name, amount) in [
            "revenue": money.revenue, "cost": money.cost, "margin": money.margin,
            "leaked": money.leaked, "usage": money.usage,
        ] {
            var text = amount.text
            while text.hasSuffix("0") { text.removeLast() }
            if text.hasSuffix(".") { text.removeLast() }
            all[name] = text
        }
        return all
    }

    /// Holds whatever figures a form tells against the night's; says how many there were.
    @discardableResult
    static func compare(
        _ told: JSONValue?, _ expected: [String: String], _ form: String, _ seed: String,
        at place: SourceLocation = #_sourceLocation
    ) -> Int {
        var count = 0
        for member in told?.object?.members ?? [] {
            #expect(
                member.value.text == expected[member.key], "\(form) \(member.key) \(seed)",
                sourceLocation: place)
            count += 1
        }
        return count
    }

    static let forms = ["csv", "json", "xlsx", "journal", "html"]

    static func check(_ factory: NightFactory, style: ReportStyle = ReportStyle()) async throws
        -> (JSONValue, NightAudit)
    {
        var factory = factory
        let seed = "\(factory.chance)"
        let folder = try NightFolder()
        let audit = try folder.write(factory.make(), style: style)
        #expect(audit.problems == [])
        let found = try await folder.readBack()
        let expected = expected(audit)
        for form in forms {
            #expect(found[form]?["problems"] == [], "\(form) \(seed)")
            let count = compare(found[form]?["figures"], expected, form, seed)
            #expect(count >= 13, "\(form) tells only \(count) figures")
        }
        compare(found["csv"]?["summary"], expected, "summary", seed)
        compare(found["json"]?["summed"], expected, "sums of the JSON", seed)
        return (found, audit)
    }

    @Test(arguments: [UInt64(1), 2, 3, SeededGenerator.chosenSeed()])
    func `all files tell the same figures to the last digit`(seed: UInt64) async throws {
        let (found, audit) = try await Self.check(NightFactory(seed: seed))
        let formulas = try #require(found["xlsx"]?["formulas"]?.int)
        #expect(formulas > 60)
        #expect(found["xlsx"]?["sheets"]?.array?.first?.text == "Summary")
        for form in ["csv", "json", "xlsx", "html"] {
            #expect(found[form]?["breaks"]?.array?.count == Int(audit.breaks.count))
            for row in found[form]?["breaks"]?.array ?? [] {
                #expect(row.array?.last?.text?.hasPrefix("holdfast job show") == true)
            }
        }
        // Four charts; a bar of each is a picture with a title.
        #expect(try #require(found["html"]?["svgs"]?.int) > 10)
    }

    @Test func `a night on which nothing happened is told all the same`() async throws {
        var factory = NightFactory(seed: 4)
        (factory.accounts, factory.breaks) = (0, 0)
        let (found, audit) = try await Self.check(factory)
        #expect(found["html"]?["text"]?.text?.contains("nothing stands open") == true)
        let summary = try NightSummary(audit)
        #expect(summary.title.contains("nothing to report"))
    }

    @Test func `the same night makes the same bytes`() throws {
        let (one, other) = (try NightFolder(), try NightFolder())
        var (first, second) = (NightFactory(seed: 9), NightFactory(seed: 9))
        // Pages may be cut elsewhere.
        second.pageRows = 3
        try one.write(first.make())
        try other.write(second.make())
        for file in ReportFile.allCases {
            #expect(!one.read(file).isEmpty)
            #expect(one.read(file) == other.read(file), "\(file)")
        }
    }

    @Test func `a byte order mark is there where it is wanted`() async throws {
        let style = ReportStyle(hasByteOrderMark: true)
        _ = try await Self.check(NightFactory(seed: 5), style: style)
        let folder = try NightFolder()
        var factory = NightFactory(seed: 5)
        try folder.write(factory.make(), style: style)
        #expect(folder.read(.accounts).starts(with: [0xef, 0xbb, 0xbf]))
        #expect(!folder.read(.json).starts(with: [0xef, 0xbb, 0xbf]))
    }

    @Test func `amounts that a spreadsheet cannot keep are told as text and stay exact`()
        async throws
    {
        var factory = NightFactory(seed: 6)
        factory.accounts = 3
        let pages = factory.make()
        var huge = pages.figures
        let more: Int64 = 9_007_199_254_740_993
        huge.opening.available += more
        huge.closing.available += more
        huge.models[0].revenue = Money(micros: 9_007_199_254_740_993)
        let folder = try NightFolder()
        let audit = try folder.write(
            NightPages(figures: huge, accounts: pages.accounts, breaks: pages.breaks))
        #expect(audit.problems == [])
        let found = try await folder.readBack()
        for form in Self.forms {
            #expect(found[form]?["problems"] == [], "\(form)")
            Self.compare(found[form]?["figures"], Self.expected(audit), form, "")
        }
    }

    @Test func `books that do not add up say so everywhere`() throws {
        var factory = NightFactory(seed: 7)
        let pages = factory.make()
        var wrong = pages.figures
        wrong.closing.held += 1
        let folder = try NightFolder()
        let audit = try folder.write(
            NightPages(figures: wrong, accounts: pages.accounts, breaks: pages.breaks))
        #expect(audit.problems.count == 2)
        for file in [ReportFile.page, .journal, .json] {
            let text = String(decoding: folder.read(file), as: UTF8.self)
            #expect(text.contains("do not add up"), "\(file)")
        }
        #expect(try NightSummary(audit).title.contains("DO NOT ADD UP"))
    }
}
