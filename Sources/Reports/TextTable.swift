/// Rows in aligned columns, each on one line and never cut.
package struct TextTable: Sendable {
    private var rows: [[String]]
    private let rightAligned: Set<Int>
    private let indent: String

    /// - Parameters:
    ///   - titles: One for each column; empty for a table without a head.
    ///   - numbers: The columns that hold numbers, counted from 0.
    package init(_ titles: [String] = [], numbers: Set<Int> = [], indent: Int = 0) {
        rows = titles.isEmpty ? [] : [titles.map { $0.uppercased() }]
        rightAligned = numbers
        self.indent = String(repeating: " ", count: indent)
    }

    package mutating func add(_ cells: String...) { add(cells) }
    package mutating func add(_ cells: [String]) { rows.append(cells.map(Plain.line)) }

    package var text: String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                return rightAligned.contains(column) ? blanks + cell : cell + blanks
            }
            let line = indent + cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}
