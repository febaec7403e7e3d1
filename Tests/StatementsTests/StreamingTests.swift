import Core
import Ledger
import Statements
import TestSupport
import Testing

@testable import Statements

/// Memory does not grow with the day.
@Suite struct Streaming {
    @Test func `a night is read once, and each page is written before the next one comes`() throws {
        var factory = NightFactory(seed: 21)
        (factory.accounts, factory.breaks, factory.pageRows) = (3000, 900, 500)
        let reading = NightFactory.Reading()
        let pages = factory.make(reading)
        var written: [ReportFile: Int] = [:]
        var most = 0
        var seen: [Int] = []
        let watched = NightPages(
            figures: pages.figures,
            accounts: { take in
                try pages.accounts { page in
                    seen.append(written.values.reduce(0, +))
                    try take(page)
                }
            }, breaks: pages.breaks)
        _ = try NightStatements.write(watched, style: ReportStyle()) { file in
            return { piece in
                written[file, default: 0] += piece.count
                most = max(most, piece.count)
            }
        }
        #expect(reading.accountPages == 6)
        #expect(reading.breakPages == 2)
        // What is handed on at once is a small part of the whole.
        #expect(most < 200_000)
        #expect(written.count == ReportFile.allCases.count)
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0 < $1 }, "\(seen)")
    }

    @Test func `a full sheet is followed by another`() async throws {
        var factory = NightFactory(seed: 22)
        (factory.accounts, factory.breaks) = (100, 30)
        let folder = try NightFolder()
        let audit = try folder.write(factory.make())
        var again = NightFactory(seed: 22)
        (again.accounts, again.breaks) = (100, 30)
        let pages = again.make()
        var bytes: [UInt8] = []
        var workbook = try NightWorkbook(
            pages.figures, Ink { bytes += $0 }, rowLimit: 12)
        try pages.accounts { try workbook.take($0) }
        try pages.breaks { try workbook.take($0) }
        try workbook.end(audit)
        try folder.replace(.workbook, with: bytes)
        let found = try await folder.readBack()
        #expect(found["xlsx"]?["problems"] == [])
        let sheets = (found["xlsx"]?["sheets"]?.array ?? []).compactMap(\.text)
        #expect(sheets.contains("Accounts 10") && sheets.contains("Breaks 3"))
        #expect(found["xlsx"]?["accounts"]?.array?.count == 100)
        Agreement.compare(
            found["xlsx"]?["figures"], Agreement.expected(audit), "many sheets", "")
    }

    @Test func `pages show the first rows and say how many there are`() throws {
        var factory = NightFactory(seed: 23)
        (factory.accounts, factory.breaks) = (NightAudit.shownRows + 34, NightAudit.shownRows + 5)
        let folder = try NightFolder()
        try folder.write(factory.make())
        let text = String(decoding: folder.read(.page), as: UTF8.self)
        #expect(text.contains("and 34 accounts more, see holdfast-2026-11-20-accounts.csv"))
        #expect(text.contains("and 5 breaks more, see holdfast-2026-11-20-breaks.csv"))
    }

    @Test func `a sink that fails ends the report with its own error`() throws {
        struct Full: Error {}
        var factory = NightFactory(seed: 24)
        let pages = factory.make()
        for failing in ReportFile.allCases {
            #expect(throws: Full.self) {
                try NightStatements.write(pages, style: ReportStyle()) { file in
                    { _ in if file == failing { throw Full() } }
                }
            }
        }
    }

    @Test func `a sum that does not fit is an error and no trap`() throws {
        var factory = NightFactory(seed: 25)
        let pages = factory.make()
        var huge = pages.figures
        huge.models[0].cost = Money(micros: .max)
        huge.models[1].cost = Money(micros: .max)
        let failure = #expect(throws: Failure.self) {
            try NightStatements.write(
                NightPages(figures: huge, accounts: pages.accounts, breaks: pages.breaks),
                style: ReportStyle(), files: []
            ) { _ in { _ in } }
        }
        #expect(failure?.code == "report_overflow")
    }

    @Test(arguments: [
        (Int64(0), "0"), (7, "7"), (-7, "-7"), (.max, "9223372036854775807"),
        (.min, "-9223372036854775808"), (1_000, "1000"),
    ])
    func `numbers are written whole`(number: Int64, text: String) throws {
        var bytes: [UInt8] = []
        var ink = Ink { bytes += $0 }
        ink.write(number)
        try ink.flush()
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
}
