package import Core
package import Postgres

/// Trouble that lasts, as the runs have noted it.
package struct Conditions: Sendable {
    /// A condition that a run met lately.
    package struct Standing: Equatable, Sendable {
        package var message: String
        package var beganAt: Instant
        package var times: Int
    }

    /// Codes of what keeps all files from being stored.
    private static let storeCodes = "storage\\_%|disk\\_full|bucket\\_%|store\\_%"

    /// What keeps the store from taking files; nil while it takes them.
    package static func ofStore(_ connection: borrowing Connection) throws -> Standing? {
        try connection.query(
            """
            SELECT message, \(raw: JobStatus.microseconds("began_at")) AS began_us, times
            FROM holdfast.condition
            WHERE name LIKE ANY (string_to_array(\(storeCodes), '|'))
            ORDER BY seen_at DESC LIMIT 1
            """
        ).first.map { row in
            Standing(
                message: try row.text("message"), beganAt: try row.instant("began_us"),
                times: try row.int("times"))
        }
    }
}
