import Core
import Ledger

/// The first sheet: the day's figures, computed from the other sheets.
struct WorkbookSummary {
    let audit: NightAudit
    let accounts, breaks, models, usage: SheetSeries
    private var sheet = Sheet(widths: [34, 20, 20, 20, 20], isTable: false)

    init(
        audit: NightAudit, accounts: SheetSeries, breaks: SheetSeries, models: SheetSeries,
        usage: SheetSeries
    ) {
        self.audit = audit
        self.accounts = accounts
        self.breaks = breaks
        self.models = models
        self.usage = usage
    }

    mutating func write() throws -> [UInt8] {
        sheet.header([
            "Credits of \(audit.figures.day.day)", "Moved", "Available", "Held", "Spent",
        ])
        try writeCredits()
        sheet.append([])
        writeMoney()
        sheet.append([])
        writeBreaks()
        sheet.append([])
        writeDay()
        sheet.end()
        return sheet.take()
    }

    /// Each kind of transfer, where it stands in the sheet of accounts, and what it changes.
    private var kinds: [(name: String, column: Int, moved: Int64, signs: [Int64])] {
        let moves = audit.figures.moves
        return [
            ("Granted", 4, moves.granted, [1, 0, 0]), ("Held", 5, moves.held, [-1, 1, 0]),
            ("Captured", 6, moves.captured, [0, -1, 1]), ("Voided", 7, moves.voided, [1, -1, 0]),
            ("Charged", 8, moves.charged, [-1, 0, 1]),
            ("Refunded", 9, moves.refunded, [1, 0, -1]),
            ("Adjusted", 10, moves.adjusted, [1, 0, 0]),
        ]
    }

    private mutating func writeCredits() throws {
        let figures = audit.figures
        sheet.append(stand("Opening", figures.opening))
        let first = sheet.row
        var isExact = figures.opening.isExact && figures.closing.isExact
        for kind in kinds {
            let row = sheet.row + 1
            let isKnown = Sheet.isNumber(kind.moved) && kind.moved == total(kind.column)
            isExact = isExact && isKnown
            var cells: [Cell] = [.text(kind.name)]
            let reference = accounts.reference(to: kind.column)
            cells.append(isKnown ? computed(reference, kind.moved) : .number(kind.moved))
            for sign in kind.signs {
                if sign == 0 {
                    cells.append(.empty)
                } else {
                    cells.append(
                        .count(
                            formula: sign < 0 ? "-B\(row)" : "B\(row)",
                            sign < 0 ? try Total.negated(kind.moved) : kind.moved))
                }
            }
            sheet.append(cells)
        }
        let last = sheet.row
        let closing = try figures.opening.after(figures.moves)
        sheet.total(
            [.text("Closing"), .empty]
                + zip(["C", "D", "E"], [closing.available, closing.held, closing.spent]).map {
                    isExact ? .count(formula: "SUM(\($0)\(first):\($0)\(last))", $1) : .number($1)
                })
        sheet.append(stand("Closing as sealed", figures.closing))
        let difference = try closing.less(figures.closing)
        sheet.append(
            [.text("Difference"), .empty]
                + zip(["C", "D", "E"], [difference.available, difference.held, difference.spent])
                .map {
                    isExact
                        ? .count(formula: "\($0)\(last + 1)-\($0)\(last + 2)", $1) : .number($1)
                })
    }

    /// What the sheets of accounts come to in one of the columns of moves.
    private func total(_ column: Int) -> Int64 {
        let moves = audit.moves
        return [
            moves.granted, moves.held, moves.captured, moves.voided, moves.charged,
            moves.refunded, moves.adjusted,
        ][column - 4]
    }

    private mutating func writeMoney() {
        let money = audit.money
        sheet.append(
            [.text("Money in \(Inert.line(audit.figures.day.currency))")], isTitle: true)
        sheet.append([.text("Revenue"), computed(models.reference(to: 8), money.revenue)])
        sheet.append([.text("Provider cost"), computed(models.reference(to: 9), money.cost)])
        let row = sheet.row
        let isExact = [money.revenue, money.cost].allSatisfy { Sheet.isNumber($0) }
        sheet.append([
            .text("Margin"), computed(isExact ? "B\(row - 1)-B\(row)" : nil, money.margin),
        ])
        sheet.append([.text("Leaked"), computed(models.reference(to: 11), money.leaked)])
        sheet.append([.text("Charged by providers"), computed(usage.reference(to: 4), money.usage)])
        sheet.append([
            .text("Usage lines without a rate"),
            computed(models.reference(to: 12), money.unpricedLines),
        ])
        sheet.append([.text("Models without a rate"), .number(money.unpricedModels)])
        sheet.append([.text("Units without a rate"), .number(money.unpricedUnits)])
    }

    private mutating func writeBreaks() {
        let totals = audit.breaks
        sheet.append([.text("Breaks")], isTitle: true)
        let rows: [(String, [String], Int64)] = [
            ("Opened", ["opened"], totals.opened), ("Standing", ["standing"], totals.standing),
            ("Closed", ["healed", "fixed", "resolved"], totals.closed),
        ]
        for (name, words, count) in rows {
            sheet.append([.text(name), computed(breaks.count(of: words, in: 1), count)])
        }
    }

    private mutating func writeDay() {
        let day = audit.figures.day
        sheet.append([.text("Business day")], isTitle: true)
        for (name, value) in [
            ("Day", day.day), ("Time zone", day.zone), ("From", day.startsAt), ("To", day.endsAt),
            ("Closed", day.closedAt), ("Version", day.version), ("Digest", day.digest),
            ("Digest of the day before", day.previousDigest),
        ] { sheet.append([.text(name), .text(value)]) }
        sheet.append([
            .text("Entries"), computed(accounts.reference(to: 14), day.entries, audit.entries),
        ])
        sheet.append([.text("Accounts that moved"), .number(audit.accounts)])
        for problem in audit.problems {
            sheet.append([.text("These books do not add up"), .text(problem)])
        }
    }

    private func stand(_ name: String, _ stand: CreditStand) -> [Cell] {
        [
            .text(name), .empty, .number(stand.available), .number(stand.held),
            .number(stand.spent),
        ]
    }

    /// A formula where there is one that comes to the value.
    private func computed(_ formula: String?, _ value: Int64, _ result: Int64? = nil) -> Cell {
        guard let formula, result ?? value == value else { return .number(value) }
        return .count(formula: formula, value)
    }

    private func computed(_ formula: String?, _ value: Money) -> Cell {
        formula.map { .sum(formula: $0, value) } ?? .money(value)
    }
}

extension CreditStand {
    fileprivate var isExact: Bool {
        [available, held, spent].allSatisfy { Sheet.isNumber($0) }
    }
}
