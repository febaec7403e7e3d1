package import Core

/// What a statement returned: plain values, copied out of libpq's result.
package struct Rows: Sendable, RandomAccessCollection {
    package let columns: [String]
    /// Row after row; nil is SQL's NULL.
    let cells: [String?]
    /// Where each name is; nil for a name that two columns bear.
    let positions: [String: Int?]
    package let count: Int

    init(columns: [String], cells: [String?], count: Int) {
        self.columns = columns
        self.cells = cells
        self.count = count
        positions = Dictionary(
            columns.enumerated().map { ($1, Optional($0)) }, uniquingKeysWith: { _, _ in nil })
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { count }
    package subscript(index: Int) -> Row { Row(rows: self, index: index) }

    /// The one row that the statement returns.
    /// - Throws: a defect when it returned none or several.
    package func single() throws(Failure) -> Row {
        guard count == 1 else {
            throw Failure(
                .defect, code: "database_shape",
                "expected one row with \(columns.joined(separator: ", ")), got \(count)")
        }
        return self[0]
    }
}

/// One row; each read names its column and throws a defect when the column is not there, is NULL
/// where NULL was not expected, or does not hold the type asked for.
package struct Row: Sendable {
    let rows: Rows
    let index: Int

    package func text(_ column: String) throws(Failure) -> String {
        guard let cell = try cell(column) else { throw shape(column, "is NULL") }
        return cell
    }

    package func optionalText(_ column: String) throws(Failure) -> String? {
        try cell(column)
    }

    package func int(_ column: String) throws(Failure) -> Int {
        try required(column, try optionalInt(column))
    }

    package func optionalInt(_ column: String) throws(Failure) -> Int? {
        try read(column, as: "an integer") { Int($0) }
    }

    package func int64(_ column: String) throws(Failure) -> Int64 {
        try required(column, try optionalInt64(column))
    }

    package func optionalInt64(_ column: String) throws(Failure) -> Int64? {
        try read(column, as: "an integer") { Int64($0) }
    }

    package func double(_ column: String) throws(Failure) -> Double {
        try required(column, try read(column, as: "a number") { Double($0) })
    }

    package func bool(_ column: String) throws(Failure) -> Bool {
        try required(column, try optionalBool(column))
    }

    package func optionalBool(_ column: String) throws(Failure) -> Bool? {
        try read(column, as: "a boolean") { $0 == "t" ? true : $0 == "f" ? false : nil }
    }

    /// The column holds microseconds since 1970 as a `bigint`.
    package func instant(_ column: String) throws(Failure) -> Instant {
        try required(column, try optionalInstant(column))
    }

    package func optionalInstant(_ column: String) throws(Failure) -> Instant? {
        try optionalInt64(column).map { Instant(microseconds: $0) }
    }

    /// The column holds microseconds as a `bigint`.
    package func duration(_ column: String) throws(Failure) -> Duration {
        .microseconds(try int64(column))
    }

    package func optionalDuration(_ column: String) throws(Failure) -> Duration? {
        try optionalInt64(column).map { .microseconds($0) }
    }

    /// A `text[]`, or any other array whose elements are wanted as text.
    package func texts(_ column: String) throws(Failure) -> [String] {
        try required(column, try optionalTexts(column))
    }

    package func optionalTexts(_ column: String) throws(Failure) -> [String]? {
        try read(column, as: "an array without NULL") { text in
            guard let elements = ArrayText.read(text) else { return nil }
            let texts = elements.compactMap { $0 }
            return texts.count == elements.count ? texts : nil
        }
    }

    /// A `text[]` that may hold NULL.
    package func nullableTexts(_ column: String) throws(Failure) -> [String?] {
        try required(column, try read(column, as: "an array") { ArrayText.read($0) })
    }

    /// A `bigint[]` or `int[]`.
    package func int64s(_ column: String) throws(Failure) -> [Int64] {
        let numbers: [Int64]? = try read(column, as: "an array of integers") { text in
            guard let elements = ArrayText.read(text) else { return nil }
            let numbers = elements.compactMap { $0.flatMap { Int64($0) } }
            return numbers.count == elements.count ? numbers : nil
        }
        return try required(column, numbers)
    }

    /// A `bytea` in the hex form that servers send by default.
    package func bytes(_ column: String) throws(Failure) -> [UInt8] {
        try required(column, try optionalBytes(column))
    }

    package func optionalBytes(_ column: String) throws(Failure) -> [UInt8]? {
        try read(column, as: "bytes") { Hex.read($0) }
    }

    private func cell(_ column: String) throws(Failure) -> String? {
        guard let position = rows.positions[column] else {
            throw shape(column, "is not there; there are \(rows.columns.joined(separator: ", "))")
        }
        guard let position else { throw shape(column, "is there more than once") }
        guard rows.indices.contains(index) else {
            throw shape(column, "was asked of row \(index) of \(rows.count)")
        }
        return rows.cells[index * rows.columns.count + position]
    }

    private func read<T>(
        _ column: String, as type: String, _ convert: (String) -> T?
    ) throws(Failure) -> T? {
        guard let cell = try cell(column) else { return nil }
        guard let value = convert(cell) else { throw shape(column, "is not \(type)") }
        return value
    }

    private func required<T>(_ column: String, _ value: T?) throws(Failure) -> T {
        guard let value else { throw shape(column, "is NULL") }
        return value
    }

    /// Never the value itself: it may be anything that a customer or a provider wrote.
    private func shape(_ column: String, _ problem: String) -> Failure {
        Failure(.defect, code: "database_shape", "column \"\(column)\" \(problem)")
    }
}
