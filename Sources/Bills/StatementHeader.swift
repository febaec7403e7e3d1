import Core

/// Where the mapped columns are.
struct StatementHeader {
    /// Columns of the file.
    var count = 0
    var places: [StatementMapping.Column: Int] = [:]
    /// A column that seems to tell the unit although none is mapped.
    var strangeUnit: Int?
    var strangeUnitName: String?

    private static let namesShown = 40

    static func namesUnit(_ name: String) -> Bool {
        ["unit", "currency", "billing_unit", "billing unit"].contains(name.lowercased())
    }

    /// Finds the columns of a CSV file by its first line.
    /// - Throws: `usage_mapping` (64) with the names that there are.
    init(_ fields: [String], _ mapping: StatementMapping, file: String) throws(Failure) {
        let names = fields.map { name in
            String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        count = names.count
        for column in StatementMapping.Column.allCases {
            guard let name = mapping.columns[column] else { continue }
            let found = names.indices.filter { names[$0].utf8.elementsEqual(name.utf8) }
            guard let place = found.first else {
                throw Self.missing(column, name, names, mapping, file)
            }
            guard found.count == 1 else {
                throw Failure(
                    .wrongUsage, code: "usage_mapping",
                    "\(file) has \(found.count) columns \(name), so that \(column.flag) is not "
                        + "clear; rename one of them in the file")
            }
            places[column] = place
        }
        if mapping.columns[.unit] == nil, let place = names.firstIndex(where: Self.namesUnit) {
            strangeUnit = place
            strangeUnitName = names[place]
        }
    }

    /// Sees that the first object of a JSON file has the members that every line needs.
    init(
        checking object: JSONObject, _ mapping: StatementMapping, file: String, line: Int
    ) throws(Failure) {
        strangeUnitName =
            mapping.columns[.unit] == nil ? object.keys.first(where: Self.namesUnit) : nil
        for column in [StatementMapping.Column.amount, .time, .unit] {
            guard let name = mapping.columns[column], !object.has(name) else { continue }
            throw Self.missing(column, name, object.keys, mapping, file)
        }
    }

    private static func missing(
        _ column: StatementMapping.Column, _ name: String, _ names: [String],
        _ mapping: StatementMapping, _ file: String
    ) -> Failure {
        let noun = mapping.format == .csv ? "column" : "member"
        if mapping.format == .csv, names.count == 1, let only = names.first,
            let other = otherDelimiter(only, than: mapping.delimiter)
        {
            return Failure(
                .wrongUsage, code: "usage_delimiter",
                "the first line of \(file) is one column with the delimiter "
                    + "\(mapping.delimiterWord); it seems to be \(other): --delimiter "
                    + (other == "tab" ? other : "'\(other)'"))
        }
        let shown = names.prefix(namesShown).map { "'\(LineReader.plain($0))'" }
            .joined(separator: ", ")
        return Failure(
            .wrongUsage, code: "usage_mapping",
            "\(file) has no \(noun) '\(name)' (\(column.flag)); there are \(shown)"
                + (names.count > namesShown ? " and \(names.count - namesShown) more" : ""))
    }

    private static func otherDelimiter(_ line: String, than delimiter: UInt8) -> String? {
        [",", ";", "tab", "|"].map { word in
            let byte = StatementMapping.delimiter(word) ?? 0
            return (word, byte == delimiter ? 0 : line.utf8.count { $0 == byte })
        }.filter { $0.1 > 0 }.max { $0.1 < $1.1 }?.0
    }
}
