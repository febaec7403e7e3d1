import Core

/// What stands in a cell of a workbook.
enum Cell {
    case empty
    case text(String)
    case number(Int64)
    case money(Money)
    /// An exact decimal number as text.
    case decimal(String)
    /// A formula and what it comes to.
    case count(formula: String, Int64)
    case sum(formula: String, Money)
}

/// How a cell looks; the numbers are places in `Workbook.styles`.
enum CellStyle: Int64 {
    case plain, header, number, money, text, inert, totalNumber, totalMoney, totalText, title
}

/// One sheet, written row by row.
struct Sheet {
    private(set) var row = 0
    private var ink = Ink { _ in }
    private let isTable: Bool
    private let columns: [String]

    /// Characters that a cell can hold.
    static let textLimit = 32_767

    /// - Parameter isTable: Whether all rows but the last can be filtered by the first one.
    init(widths: [Int], isTable: Bool) {
        self.isTable = isTable
        columns = widths.indices.map(Self.letters)
        ink.write(
            """
            <?xml version="1.0" encoding="UTF-8" standalone="yes"?>
            <worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">\
            <sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" \
            activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>\
            <sheetFormatPr defaultRowHeight="15"/><cols>
            """)
        for (index, width) in widths.enumerated() {
            ink.write("<col min=\"\(index + 1)\" max=\"\(index + 1)\" width=\"\(width)\" ")
            ink.write("customWidth=\"1\"/>" as StaticString)
        }
        ink.write("</cols><sheetData>\n" as StaticString)
    }

    mutating func header(_ titles: [String]) {
        write(titles.map { .text($0) }) { _ in .header }
    }

    mutating func total(_ cells: [Cell]) {
        write(cells) { cell in
            switch cell {
            case .empty, .text: .totalText
            case .number, .count: .totalNumber
            case .money, .decimal, .sum: .totalMoney
            }
        }
    }

    mutating func append(_ cells: [Cell], isTitle: Bool = false) {
        write(cells) { cell in
            if isTitle { return .title }
            switch cell {
            case .empty: return .plain
            case .text(let text): return Inert.wouldBeRead(text) ? .inert : .text
            case .number, .count: return .number
            case .money, .decimal, .sum: return .money
            }
        }
    }

    /// What was written since the last time.
    mutating func take() -> [UInt8] { ink.take() }

    /// Ends the sheet; `hasTotal` says that its last row is not to be filtered.
    mutating func end(hasTotal: Bool = false) {
        ink.write("</sheetData>" as StaticString)
        let last = hasTotal ? row - 1 : row
        if isTable, last > 1 {
            ink.write("<autoFilter ref=\"A1:\(columns.last ?? "A")\(last)\"/>")
        }
        ink.write(
            "<pageSetup orientation=\"landscape\" fitToHeight=\"0\"/></worksheet>\n" as StaticString
        )
    }

    private mutating func write(_ cells: [Cell], style: (Cell) -> CellStyle) {
        row += 1
        ink.write("<row r=\"" as StaticString)
        ink.write(Int64(row))
        ink.write("\">" as StaticString)
        for (column, cell) in cells.enumerated() {
            let style = style(cell)
            if case .empty = cell, style == .plain { continue }
            ink.write("<c r=\"" as StaticString)
            ink.write(columns[column])
            ink.write(Int64(row))
            ink.write("\" s=\"" as StaticString)
            ink.write(style.rawValue)
            ink.write("\"" as StaticString)
            write(cell)
        }
        ink.write("</row>\n" as StaticString)
    }

    private mutating func write(_ cell: Cell) {
        switch cell {
        case .empty: ink.write("/>" as StaticString)
        case .text(let text): write(text: text)
        case .number(let number) where Self.isNumber(number):
            ink.write("><v>" as StaticString)
            ink.write(number)
            ink.write("</v></c>" as StaticString)
        case .number(let number): write(text: String(number))
        case .money(let money): write(value: money.text)
        case .decimal(let decimal): write(value: decimal)
        case .count(let formula, let value): write(value: String(value), formula)
        case .sum(let formula, let value): write(value: value.text, formula)
        }
    }

    /// A number with more digits than a spreadsheet keeps stands as text, and so does what would
    /// have been computed.
    private mutating func write(value: String, _ formula: String? = nil) {
        guard Self.isNumber(value) else { return write(text: value) }
        ink.write(">" as StaticString)
        if let formula { ink.write("<f>\(Self.escaped(formula))</f>") }
        ink.write("<v>\(value)</v></c>")
    }

    static func isNumber(_ value: String) -> Bool {
        Figures.isDecimal(value) && Figures.isExactInSpreadsheets(value)
    }

    static func isNumber(_ value: Int64) -> Bool {
        value.magnitude < 1_000_000_000_000_000 || isNumber(String(value))
    }

    static func isNumber(_ money: Money) -> Bool {
        money.micros.magnitude < 1_000_000_000_000_000 || isNumber(money.text)
    }

    private mutating func write(text: String) {
        ink.write(" t=\"inlineStr\"><is><t xml:space=\"preserve\">" as StaticString)
        ink.write(Self.escaped(Self.safe(text)))
        ink.write("</t></is></c>" as StaticString)
    }

    /// `_x0041_` stands for a character in this format, so its underscore is spelled out.
    static func safe(_ text: String) -> String {
        var line = Inert.line(text)
        if line.contains("_x") {
            line.replace(#/_(?=x[0-9A-Fa-f]{4}_)/#, with: "_x005F_")
        }
        guard line.utf16.count > textLimit else { return line }
        // Cut by what the format counts, between characters.
        var (cut, length) = ("", 0)
        for character in line {
            length += character.utf16.count
            if length >= textLimit { break }
            cut.append(character)
        }
        return cut + "…"
    }

    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x26 || $0 == 0x3c || $0 == 0x3e }) else {
            return text
        }
        return text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            .replacing(">", with: "&gt;")
    }

    /// `A`, `B`, … `Z`, `AA`.
    static func letters(_ column: Int) -> String {
        let letter = String(Unicode.Scalar(UInt8(ascii: "A") + UInt8(column % 26)))
        return column < 26 ? letter : letters(column / 26 - 1) + letter
    }
}
