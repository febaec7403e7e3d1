import Core
import Ledger

/// The night as a workbook: Summary, Models, Usage, Breaks, Accounts; totals are formulas, with what
/// they come to beside them.
struct NightWorkbook: NightWriter {
    /// What a spreadsheet can show.
    static let rowLimit = 1_048_576

    private var zip: ZipWriter
    private var accounts: SheetSeries
    private var breaks: SheetSeries
    private var models: SheetSeries
    private var usage: SheetSeries
    private var hasAllAccounts = false

    private static let credits: [String] = [
        "Opening available", "Opening held", "Opening spent", "Granted", "Held", "Captured",
        "Voided", "Charged", "Refunded", "Adjusted", "Closing available", "Closing held",
        "Closing spent", "Entries",
    ]

    init(_ figures: NightFigures, _ ink: Ink, rowLimit: Int = Self.rowLimit) throws {
        zip = ZipWriter(ink.passOn)
        accounts = SheetSeries(
            "Accounts", rowLimit: rowLimit,
            [.init("Account", 34)] + Self.credits.map { .init($0, 13, .count) })
        breaks = SheetSeries(
            "Breaks", rowLimit: rowLimit,
            [
                .init("Break", 9), .init("Status", 11), .init("Age in days", 11),
                .init("Kind", 26), .init("Subject", 26), .init("Job", 26), .init("Account", 24),
                .init("Provider", 12), .init("Model", 24), .init("Who loses", 11),
                .init("Credits", 12, .count), .init("Amount", 12), .init("Unit", 12),
                .init("Money", 14, .money), .init("What", 60), .init("Likely cause", 50),
                .init("Command", 60), .init("First seen", 22),
            ])
        models = SheetSeries(
            "Models", rowLimit: rowLimit,
            [
                .init("Provider", 14), .init("Model", 34), .init("Kind", 9),
                .init("Opened", 10, .count), .init("Delivered", 10, .count),
                .init("Failed", 10, .count), .init("Abandoned", 11, .count),
                .init("Earned credits", 15, .count), .init("Revenue", 15, .money),
                .init("Cost", 15, .money), .init("Margin", 15), .init("Leaked", 15, .money),
                .init("Unpriced lines", 14, .count), .init("Median seconds", 15),
                .init("95 % within seconds", 19),
            ])
        usage = SheetSeries(
            "Usage", rowLimit: rowLimit,
            [
                .init("Provider", 14), .init("Unit", 16), .init("Lines", 10, .count),
                .init("Amount", 18), .init("Money", 16, .money),
            ])
        try part("_rels/.rels", WorkbookParts.relations)
        try part("xl/styles.xml", WorkbookParts.styles)
    }

    mutating func take(_ page: [AccountDay]) throws {
        for account in page {
            try accounts.append(
                [.text(account.accountID)] + account.numbers.map { .number($0) }, to: &zip)
        }
    }

    mutating func take(_ page: [BreakDay]) throws {
        try closeAccounts()
        for found in page { try breaks.append(found.cells, to: &zip) }
    }

    mutating func end(_ audit: NightAudit) throws {
        try closeAccounts()
        try breaks.close(&zip)
        for (index, model) in audit.figures.models.enumerated() {
            try models.append(try model.cells(row: index + 2), to: &zip)
        }
        try models.close(&zip)
        for line in audit.figures.usage { try usage.append(line.cells, to: &zip) }
        try usage.close(&zip)
        let summary = SheetSeries.Written(
            name: "Summary", path: "worksheets/summary.xml", totalRow: 0, inexact: [])
        var sheet = WorkbookSummary(
            audit: audit, accounts: accounts, breaks: breaks, models: models, usage: usage)
        try part("xl/" + summary.path, String(decoding: sheet.write(), as: UTF8.self))
        let sheets =
            [summary] + models.written + usage.written + breaks.written + accounts.written
        try part("xl/workbook.xml", WorkbookParts.workbook(sheets))
        try part("xl/_rels/workbook.xml.rels", WorkbookParts.workbookRelations(sheets))
        try part("[Content_Types].xml", WorkbookParts.contentTypes(sheets))
        try zip.close()
    }

    /// One file of the archive is written at a time.
    private mutating func closeAccounts() throws {
        guard !hasAllAccounts else { return }
        hasAllAccounts = true
        try accounts.close(&zip)
    }

    private mutating func part(_ name: String, _ text: String) throws {
        try zip.begin(name)
        try zip.write(Array(text.utf8))
        try zip.end()
    }
}

extension Cell {
    static func text(optional text: String?) -> Cell { text.map { .text($0) } ?? .empty }
    static func number(optional number: Int64?) -> Cell { number.map { .number($0) } ?? .empty }
    static func money(optional money: Money?) -> Cell { money.map { .money($0) } ?? .empty }
    static func decimal(optional text: String?) -> Cell { text.map { .decimal($0) } ?? .empty }
}

extension BreakDay {
    fileprivate var cells: [Cell] {
        [
            .number(breakID), .text(status.rawValue), .number(Int64(ageDays)), .text(kind),
            .text(subject), .text(optional: jobID), .text(optional: accountID),
            .text(optional: provider), .text(optional: model), .text(loses),
            .number(optional: credits), .decimal(optional: amount), .text(optional: unit),
            .money(optional: money), .text(detail), .text(cause), .text(fix), .text(firstSeenAt),
        ]
    }
}

extension ModelDay {
    fileprivate func cells(row: Int) throws -> [Cell] {
        let margin: Cell =
            switch (try margin(), revenue, cost) {
            case (let margin?, let revenue?, let cost?)
            where Sheet.isNumber(revenue) && Sheet.isNumber(cost):
                .sum(formula: "I\(row)-J\(row)", margin)
            case (let margin, _, _): .money(optional: margin)
            }
        return [
            .text(provider), .text(model), .text(kind), .number(opened), .number(delivered),
            .number(failed), .number(abandoned), .number(earned), .money(optional: revenue),
            .money(optional: cost), margin, .money(optional: leaked), .number(unpricedLines),
            .number(optional: medianSeconds), .number(optional: p95Seconds),
        ]
    }
}

extension UsageDay {
    fileprivate var cells: [Cell] {
        [
            .text(provider), .text(unit), .number(lines), .decimal(amount),
            .money(optional: money),
        ]
    }
}
