import Core
import Postgres

/// Questions to the application's database: read-only, each in a short transaction of its own, with
/// the mapping's search path and without row-level security.
package struct SourceSession: Sendable {
    /// Hosted databases end statements after eight seconds; ours end themselves before that.
    static let statementLimit = Duration.seconds(7)

    let searchPath: [String]

    init(_ mapping: Mapping) { searchPath = mapping.searchPath }

    /// - Throws: `PostgresError`, also where row-level security would show a part of the rows.
    func query(_ connection: borrowing Connection, _ sql: String) throws -> Rows {
        try connection.transaction(.readOnly) {
            try connection.execute(
                """
                SELECT set_config('search_path', \(path), true),
                    set_config('row_security', 'off', true),
                    set_config('statement_timeout', \("\(Self.statementLimit.milliseconds)ms"), true)
                """)
            return try connection.query(SQL(raw: sql))
        }
    }

    private var path: String { searchPath.map(SQLText.name).joined(separator: ", ") }
}
