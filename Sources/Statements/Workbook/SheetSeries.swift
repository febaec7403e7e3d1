import Core

/// A table of a workbook: its columns, its rows, its totals; on further sheets where one is full.
struct SheetSeries {
    struct Column {
        enum Sum { case none, count, money }

        var title: String
        var width: Int
        var sum = Sum.none

        init(_ title: String, _ width: Int, _ sum: Sum = .none) {
            self.title = title
            self.width = width
            self.sum = sum
        }
    }

    /// A sheet that is written: what formulas of other sheets need to know of it.
    struct Written {
        var name: String
        var path: String
        /// Where its totals stand.
        var totalRow: Int
        /// Columns that hold a number as text, so that nothing can be computed from them.
        var inexact: Set<Int>
    }

    let name: String
    private let columns: [Column]
    private let rowLimit: Int
    private(set) var written: [Written] = []
    private var sheet: Sheet?
    private var sums: [Int128] = []
    private var inexact: Set<Int> = []

    /// - Parameter rowLimit: Rows that a sheet may have, header and total included.
    init(_ name: String, rowLimit: Int, _ columns: [Column]) {
        self.name = name
        self.rowLimit = rowLimit
        self.columns = columns
    }

    mutating func append(_ cells: [Cell], to zip: inout ZipWriter) throws {
        if let sheet, sheet.row >= rowLimit - 1 { try end(&zip) }
        try begin(&zip)
        for (column, cell) in cells.enumerated() where columns[column].sum != .none {
            switch cell {
            case .number(let number):
                sums[column] += Int128(number)
                if !Sheet.isNumber(number) { inexact.insert(column) }
            case .money(let money):
                sums[column] += Int128(money.micros)
                if !Sheet.isNumber(money) { inexact.insert(column) }
            default: break
            }
        }
        sheet?.append(cells)
        if let bytes = sheet?.take() { try zip.write(bytes) }
    }

    /// Ends the last sheet; a table without rows has one sheet all the same.
    mutating func close(_ zip: inout ZipWriter) throws {
        if written.isEmpty { try begin(&zip) }
        if sheet != nil { try end(&zip) }
    }

    private mutating func begin(_ zip: inout ZipWriter) throws {
        guard sheet == nil else { return }
        let number = written.count + 1
        let path = "worksheets/\(name.lowercased())-\(number).xml"
        written.append(
            Written(
                name: number == 1 ? name : "\(name) \(number)", path: path, totalRow: 0,
                inexact: []))
        sums = Array(repeating: 0, count: columns.count)
        inexact = []
        var fresh = Sheet(widths: columns.map(\.width), isTable: true)
        fresh.header(columns.map(\.title))
        sheet = fresh
        try zip.begin("xl/" + path)
    }

    private mutating func end(_ zip: inout ZipWriter) throws {
        guard var ending = sheet else { return }
        sheet = nil
        let last = ending.row
        var totals: [Cell] = try columns.indices.map { try total($0, last: last) }
        totals[0] = .text("Total")
        ending.total(totals)
        ending.end(hasTotal: true)
        written[written.count - 1].totalRow = ending.row
        written[written.count - 1].inexact = inexact
        try zip.write(ending.take())
        try zip.end()
    }

    private func total(_ column: Int, last: Int) throws -> Cell {
        let value = sums[column]
        let letters = Sheet.letters(column)
        let formula = last > 1 ? "SUM(\(letters)2:\(letters)\(last))" : nil
        switch columns[column].sum {
        case .none: return .empty
        case .count:
            let value = try Total.narrow(value)
            guard let formula, !inexact.contains(column) else { return .number(value) }
            return .count(formula: formula, value)
        case .money:
            let value = Money(micros: try Total.narrow(value))
            guard let formula, !inexact.contains(column) else { return .money(value) }
            return .sum(formula: formula, value)
        }
    }

    /// A formula for the total of a column over all sheets; nil where it cannot be computed.
    func reference(to column: Int) -> String? {
        guard written.allSatisfy({ !$0.inexact.contains(column) }) else { return nil }
        return written.map { "\(Self.quoted($0.name))!\(Sheet.letters(column))\($0.totalRow)" }
            .joined(separator: "+")
    }

    /// A formula for how many rows say one of `words` in a column.
    func count(of words: [String], in column: Int) -> String {
        written.flatMap { sheet in
            let letters = Sheet.letters(column)
            let range =
                "\(Self.quoted(sheet.name))!\(letters)2:\(letters)\(max(sheet.totalRow - 1, 2))"
            return words.map { "COUNTIF(\(range),\"\($0)\")" }
        }.joined(separator: "+")
    }

    private static func quoted(_ name: String) -> String {
        name.contains(" ") ? "'\(name)'" : name
    }
}
