import Core
import Postgres

extension Checkup {
    /// How transactions begin by default: what the runs do not rely on, and the application may.
    mutating func transactions(_ connection: borrowing Connection) throws {
        let row = try connection.query(
            """
            SELECT (SELECT setting FROM pg_settings WHERE name = 'default_transaction_isolation')
                    AS level,
                (SELECT setting FROM pg_settings WHERE name = 'default_transaction_read_only')
                    AS read_only,
                CASE (SELECT source FROM pg_settings WHERE name = 'default_transaction_isolation')
                WHEN 'database' THEN format('ALTER DATABASE %I RESET ', current_database())
                WHEN 'user' THEN format('ALTER ROLE %I RESET ', session_user)
                WHEN 'database user' THEN format('ALTER ROLE %I IN DATABASE %I RESET ',
                    session_user, current_database())
                ELSE 'ALTER SYSTEM RESET ' END || 'default_transaction_isolation' AS reset
            """
        ).single()
        let level = try row.text("level")
        if level == "read committed" {
            ok("transactions", "read committed by default")
        } else {
            warn(
                "transactions",
                "default_transaction_isolation is \(level); the runs begin theirs as read committed, "
                    + "and the application's calls may fail with 40001 and must then be repeated",
                "if nobody else needs it: \(try row.text("reset"))")
        }
        if try row.text("read_only") == "on" {
            fail(
                "transactions",
                "default_transaction_read_only is on, so that nothing can be written",
                "set it to off for this database and login, or use the primary's address")
        }
    }
}
