package import Core
package import Postgres

/// The close of business days: their entries are counted page by page, then a day is sealed and
/// chained to the one before it.
package struct DayClose: Sendable {
    let run: Run

    package init(run: Run) { self.run = run }

    /// Begins the close of the next day that is over, or goes on with one that was begun.
    ///
    /// - Parameter version: Of this program, for the day's record.
    /// - Returns: The day, as in `2026-11-20`; nil when none is due.
    package func begin(_ connection: borrowing Connection, version: String) throws -> String? {
        try connection.query(
            """
            SELECT to_char(day, 'YYYY-MM-DD') AS day FROM holdfast.begin_close(\(run.runID)::uuid,
                \(run.clockOffset)::interval, \(version))
            """
        ).first?.text("day")
    }

    /// Whether another day is over after this one.
    package func isLast(_ connection: borrowing Connection, day: String) throws -> Bool {
        try connection.query(
            """
            SELECT (b.ends_at + interval '1 day 5 minutes')
                > clock_timestamp() + \(run.clockOffset)::interval AS is_last
            FROM holdfast.business_day b WHERE b.day = \(day)::date
            """
        ).single().bool("is_last")
    }

    /// Counts what the day has left to count.
    package func count(
        _ connection: borrowing Connection, day: String, shouldStop: () -> Bool
    ) throws {
        var hasMore = true
        while hasMore, !shouldStop() {
            hasMore = try connection.query(
                """
                SELECT holdfast.count_page(\(run.runID)::uuid, \(run.clockOffset)::interval,
                    \(day)::date) AS has_more
                """
            ).single().bool("has_more")
        }
    }

    /// What the jobs of a day came to, by model, as JSON for its seal; read apart from the seal, because
    /// it may take seconds.
    package func jobs(_ connection: borrowing Connection, day: String) throws -> String {
        try connection.query("SELECT holdfast.day_jobs(\(day)::date)::text AS jobs")
            .single().text("jobs")
    }

    /// Seals a day that is counted.
    ///
    /// - Parameter jobs: What its jobs came to.
    /// - Returns: false when another run has sealed it meanwhile.
    package func seal(
        _ connection: borrowing Connection, day: String, jobs: String
    ) throws -> Bool {
        try connection.query(
            """
            SELECT holdfast.seal_day(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(day)::date, \(jobs)::jsonb) AS sealed
            """
        ).single().bool("sealed")
    }

    /// Sealed days whose reports have not been written and told yet, the oldest first.
    package func unreported(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT to_char(d, 'YYYY-MM-DD') AS day
            FROM holdfast.unreported_days(\(run.clockOffset)::interval) d
            """
        ).map { try $0.text("day") }
    }

    package func markReported(_ connection: borrowing Connection, day: String) throws {
        try connection.execute(
            """
            SELECT holdfast.mark_reported(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(day)::date)
            """)
    }
}
