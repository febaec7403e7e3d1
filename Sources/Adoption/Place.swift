/// Where in a database a value of a job stands.
package struct Place: Sendable {
    package indirect enum Source: Sendable {
        case column(ColumnPlace)
        case constant(String)
        /// An SQL expression over the row.
        case rule(String)
        /// The first that is neither null nor empty.
        case firstOf([Place])
        case allOf([Place])
        /// The first row of another table, or all of them.
        case child(ChildPlace, isEach: Bool)
        /// Up to parents, or to rows that share a value.
        case steps([Step], isJoined: Bool)
    }

    package var source: Source
    /// Null unless this is true.
    package var when: String?

    /// The column that is written; nil where none is.
    package var written: ColumnPlace? {
        switch source {
        case .column(let column): column
        case .firstOf(let places), .allOf(let places):
            places.lazy.compactMap { place -> ColumnPlace? in
                if case .column(let column) = place.source { column } else { nil }
            }.first
        default: nil
        }
    }
}

/// A column of the row, or a part of the JSON in it.
package struct ColumnPlace: Equatable, Sendable {
    package enum Shape: String, CaseIterable, Sendable {
        case one
        /// A JSON array in json, jsonb or text.
        case json
        /// text[]
        case array
        /// jsonb[]
        case jsonArray = "json_array"
    }

    package var column: String
    /// Steps into JSON; `*` is each element.
    package var path: [String] = []
    package var shape = Shape.one

    /// It may have several values.
    package var isSeveral: Bool { shape != .one || path.contains("*") }
}

/// Rows of another table that belong to the job's row.
package struct ChildPlace: Sendable {
    package var table: TableName
    /// Column of the job's row, and the column there that equals it.
    package var from: String
    package var to: String
    package var column: String
    package var path: [String]
    package var filter: String?
    package var order: String?
    /// What a row that we write holds; nil: we write none.
    package var insert: [(column: String, sql: String)]?
    /// Of children that are tasks, all of which are needed.
    package var status: (column: String, words: [(word: String, meaning: Meaning)])?
}

/// One step from table to table.
package struct Step: Sendable {
    package var table: TableName
    package var from: String
    package var to: String
    /// Of the last step only.
    package var column: String?
    package var path: [String] = []
    package var filter: String?
    package var order: String?
}
