package import Core
package import Postgres

/// Credits that moved on one business day, by kind of transfer.
package struct DayTotals: Equatable, Sendable {
    package var day: String
    /// Credits by transfer kind.
    package var credits: [String: Int64]
    package var transfers: Int64
    /// Whether the day is sealed: its figures never change any more.
    package var isSealed: Bool

    package init(day: String, credits: [String: Int64], transfers: Int64, isSealed: Bool) {
        self.day = day
        self.credits = credits
        self.transfers = transfers
        self.isSealed = isSealed
    }
}

/// Jobs whose hold policy `on_submission_unknown` let go.
package struct UnknownSubmissions: Equatable, Sendable {
    /// Ids that one report names; the rest is counted.
    package static let shown = 50

    package var jobs: Int64 = 0
    package var credits: Int64 = 0
    /// The first of them.
    package var jobIDs: [String] = []

    package init() {}
}

/// What moved on a day, sealed or not.
package struct Books: Sendable {
    let run: Run

    package init(run: Run) { self.run = run }

    /// The last day that is over, by the shifted clock, the zone and the cut-off.
    package func yesterday(_ connection: borrowing Connection) throws -> String {
        try connection.query(
            """
            SELECT to_char((((clock_timestamp() + \(run.clockOffset)::interval)
                AT TIME ZONE holdfast.policy_value('business_zone'))
                - holdfast.policy_value('business_cutoff')::interval)::date - 1,
                'YYYY-MM-DD') AS day
            """
        ).single().text("day")
    }

    /// Holds that were voided since a business day began, because nobody ever told whether their jobs had
    /// been submitted.
    package func unknownSubmissions(
        _ connection: borrowing Connection, since day: String
    ) throws -> UnknownSubmissions {
        var found = UnknownSubmissions()
        for row in try connection.query(
            """
            SELECT j.job_id, j.voided, count(*) OVER () AS jobs,
                (sum(j.voided) OVER ())::bigint AS credits
            FROM holdfast.job j
            WHERE j.waives_late AND j.state IN ('failed', 'abandoned', 'dismissed')
                AND j.finished_at >= (\(day)::date + holdfast.policy_value('business_cutoff')::interval)
                    AT TIME ZONE holdfast.policy_value('business_zone')
            ORDER BY j.job_id LIMIT \(UnknownSubmissions.shown)::integer
            """)
        {
            found.jobs = try row.int64("jobs")
            found.credits = try row.int64("credits")
            found.jobIDs.append(try row.text("job_id"))
        }
        return found
    }

    package func totals(_ connection: borrowing Connection, day: String) throws -> DayTotals {
        if let sealed = try sealedTotals(connection, day: day) { return sealed }
        var totals = DayTotals(day: day, credits: [:], transfers: 0, isSealed: false)
        for row in try connection.query(
            """
            SELECT t.kind, sum(t.amount)::bigint AS credits, count(*) AS transfers
            FROM (SELECT \(day)::date + holdfast.policy_value('business_cutoff')::interval AS start,
                holdfast.policy_value('business_zone') AS zone) d
            JOIN holdfast.transfer t ON t.created_at >= d.start AT TIME ZONE d.zone
                AND t.created_at < (d.start + interval '1 day') AT TIME ZONE d.zone
            GROUP BY t.kind
            """)
        {
            totals.credits[try row.text("kind")] = try row.int64("credits")
            totals.transfers += try row.int64("transfers")
        }
        return totals
    }

    private func sealedTotals(
        _ connection: borrowing Connection, day: String
    ) throws -> DayTotals? {
        guard
            let row = try connection.query(
                """
                SELECT d.entries, d.figures -> 'moves' ->> 'granted' AS "grant",
                    d.figures -> 'moves' ->> 'held' AS hold,
                    d.figures -> 'moves' ->> 'captured' AS capture,
                    d.figures -> 'moves' ->> 'voided' AS void,
                    d.figures -> 'moves' ->> 'charged' AS charge,
                    d.figures -> 'moves' ->> 'refunded' AS refund,
                    d.figures -> 'moves' ->> 'adjusted' AS adjustment
                FROM holdfast.business_day d WHERE d.day = \(day)::date AND d.state = 'sealed'
                """
            ).first
        else { return nil }
        var totals = DayTotals(
            day: day, credits: [:], transfers: try row.int64("entries"), isSealed: true)
        for kind in ["grant", "hold", "capture", "void", "charge", "refund", "adjustment"] {
            let credits = try row.int64(kind)
            if credits != 0 { totals.credits[kind] = credits }
        }
        return totals
    }
}
