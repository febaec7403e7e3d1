package import Core
package import Postgres

/// Trouble that lasts, as the runs have noted it.
package struct Conditions: Sendable {
    /// A condition that a run met lately.
    package struct Standing: Equatable, Sendable {
        /// The code of the problem, such as `breaker_open`.
        package var name: String
        package var message: String
        package var beganAt: Instant
        package var seenAt: Instant
        package var times: Int
    }

    private static let columns = """
        name, message, \(JobStatus.microseconds("began_at")) AS began_us,
        \(JobStatus.microseconds("seen_at")) AS seen_us, times
        """

    /// All that last, the oldest first; few, because each is about a provider, a store or a host.
    package static func all(_ connection: borrowing Connection) throws -> [Standing] {
        try connection.query(
            """
            SELECT \(raw: columns) FROM holdfast.condition ORDER BY began_at, name, subject LIMIT 50
            """
        ).map { try Standing($0) }
    }

    /// Codes of what keeps all files from being stored.
    private static let storeCodes = "storage\\_%|disk\\_full|bucket\\_%|store\\_%"

    /// What keeps the store from taking files; nil while it takes them.
    package static func ofStore(_ connection: borrowing Connection) throws -> Standing? {
        try connection.query(
            """
            SELECT \(raw: columns) FROM holdfast.condition
            WHERE name LIKE ANY (string_to_array(\(storeCodes), '|'))
            ORDER BY seen_at DESC LIMIT 1
            """
        ).first.map { try Standing($0) }
    }
}

extension Conditions.Standing {
    init(_ row: Row) throws {
        self.init(
            name: try row.text("name"), message: try row.text("message"),
            beganAt: try row.instant("began_us"), seenAt: try row.instant("seen_us"),
            times: try row.int("times"))
    }
}

/// Jobs of one account that are ready to settle, and that somebody else's transaction has kept from it
/// for longer than five minutes.
package struct HeldUpAccount: Equatable, Sendable {
    package var account: String
    package var jobs: Int
    package var since: Instant

    /// Finds whoever holds them.
    package static let advice =
        "find the transaction that holds them and end it: SELECT pid, usename, xact_start, query FROM "
        + "pg_stat_activity WHERE xact_start < now() - interval '5 minutes'"

    /// By account, the longest first.
    package static func all(
        _ connection: borrowing Connection, clockOffset: Duration
    ) throws -> [HeldUpAccount] {
        try connection.query(
            """
            SELECT h.account_id, count(*) AS jobs,
                \(raw: JobStatus.microseconds("min(h.since)")) AS since_us
            FROM (SELECT j.account_id, j.held_up_since AS since FROM holdfast.job j
                    WHERE j.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
                        AND j.blocked IS NULL
                UNION ALL SELECT j.account_id, u.held_up_since
                    FROM holdfast.undelivered u JOIN holdfast.job j USING (job_id)
                    WHERE j.blocked IS NULL) h
            WHERE h.since <= clock_timestamp() + \(clockOffset)::interval - interval '5 minutes'
            GROUP BY h.account_id ORDER BY min(h.since), h.account_id LIMIT 20
            """
        ).map { row in
            HeldUpAccount(
                account: try row.text("account_id"), jobs: try row.int("jobs"),
                since: try row.instant("since_us"))
        }
    }
}
