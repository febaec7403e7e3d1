import Core

/// Rows of comma-separated values as in RFC 4180: numbers bare, texts in quotes.
struct CSVTable {
    private var ink: Ink
    private var isFirstCell = true

    init(_ ink: Ink, _ style: ReportStyle, columns: [String]) {
        self.ink = ink
        if style.hasByteOrderMark { self.ink.write("\u{feff}" as StaticString) }
        for column in columns { word(column) }
        endRow()
    }

    /// A text of somebody else.
    mutating func text(_ text: String?) {
        guard let text else { return separate() }
        quoted(Inert.cell(text))
    }

    /// A text that is ours, such as a day.
    mutating func word(_ text: String) {
        separate()
        ink.write(text)
    }

    mutating func number(_ number: Int64?) {
        separate()
        if let number { ink.write(number) }
    }

    mutating func money(_ money: Money?) {
        separate()
        if let money { ink.write(money.text) }
    }

    /// A decimal number that came as text; whatever is none stands as text.
    mutating func decimal(_ text: String?) {
        guard let text else { return separate() }
        Figures.isDecimal(text) ? word(text) : quoted(Inert.cell(text))
    }

    mutating func endRow() {
        ink.write("\r\n" as StaticString)
        isFirstCell = true
    }

    mutating func rest() throws { try ink.rest() }
    mutating func flush() throws { try ink.flush() }

    private mutating func quoted(_ text: String) {
        separate()
        ink.write(byte: UInt8(ascii: "\""))
        if text.utf8.contains(UInt8(ascii: "\"")) {
            ink.write(text.replacing("\"", with: "\"\""))
        } else {
            ink.write(text)
        }
        ink.write(byte: UInt8(ascii: "\""))
    }

    private mutating func separate() {
        if !isFirstCell { ink.write(byte: UInt8(ascii: ",")) }
        isFirstCell = false
    }
}
