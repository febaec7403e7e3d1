package import Core
package import Postgres

/// When the old value of a secret that is being exchanged was last needed.
package enum OldSecrets {
    /// - Returns: nil when no callback has needed it.
    package static func lastNeeded(
        _ connection: borrowing Connection, variable: String, name: String
    ) throws -> Instant? {
        try connection.query(
            """
            SELECT \(raw: JobStatus.microseconds("s.last_needed_at")) AS needed_us
            FROM holdfast.old_secret s WHERE s.variable = \(variable) AND s.name = \(name)
            """
        ).first?.instant("needed_us")
    }
}
