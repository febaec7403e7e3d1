package import Core
package import Postgres

/// One thing that stands wrong: a violated invariant, or a break between job, credits and files.
package struct Finding: Equatable, Sendable {
    /// The invariant or break class, such as `closed_job_is_settled` or `paid_not_charged`.
    package var kind: String
    /// The job, account or task it is about.
    package var subject: String
    package var detail: String
    package var credits: Int64?
    /// What a person does next.
    package var fix: String
    package var isInvariant: Bool

    package init(
        kind: String, subject: String, detail: String, credits: Int64? = nil, fix: String,
        isInvariant: Bool
    ) {
        self.kind = kind
        self.subject = subject
        self.detail = detail
        self.credits = credits
        self.fix = fix
        self.isInvariant = isInvariant
    }
}

/// Credits of one business day (UTC) by kind of transfer.
package struct DayTotals: Equatable, Sendable {
    package var day: String
    /// Credits by transfer kind.
    package var credits: [String: Int64]
    package var transfers: Int

    package init(day: String, credits: [String: Int64], transfers: Int) {
        self.day = day
        self.credits = credits
        self.transfers = transfers
    }
}

/// How the night's findings compare with the nights before.
package struct BreakCounts: Equatable, Sendable {
    package var found: Int
    package var open: Int
    package var closed: Int
}

/// The books: invariants of the ledger, breaks between jobs, credits and files, totals of a day.
package struct Books: Sendable {
    /// Accounts looked at in one statement, so that no snapshot stays open for long.
    package static let accountPage = 2000

    let run: Run

    package init(run: Run) { self.run = run }

    /// Every violated invariant, page by page; each page is a statement of its own.
    package func violations(_ connection: borrowing Connection) throws -> [Finding] {
        var found: [Finding] = []
        var after: String? = ""
        while let start = after {
            found += try connection.query(
                """
                SELECT * FROM holdfast.check_invariants(\(start), \(Self.accountPage)::integer)
                """
            ).map { row in
                Finding(
                    kind: try row.text("invariant"), subject: try row.text("subject"),
                    detail: try row.text("detail"),
                    fix: "keep everything as it is and read runbooks/unsettled-credits.md",
                    isInvariant: true)
            }
            after = try connection.query(
                """
                SELECT (SELECT account_id FROM holdfast.account WHERE account_id > \(start)
                    ORDER BY account_id OFFSET \(Self.accountPage - 1)::integer LIMIT 1) AS after
                """
            ).single().optionalText("after")
        }
        return found
    }

    /// Every break that is not a violated invariant.
    package func breaks(_ connection: borrowing Connection) throws -> [Finding] {
        let rows = try connection.transaction(.readOnly) {
            // The view reads the clock; a login that may only read may not call act_as.
            try connection.execute(
                """
                SELECT set_config('holdfast.clock_offset', \(run.clockOffset)::interval::text, true)
                """)
            return try connection.query(
                "SELECT class, subject, detail, credits, fix FROM holdfast.finding ORDER BY 1, 2")
        }
        return try rows.map { row in
            Finding(
                kind: try row.text("class"), subject: try row.text("subject"),
                detail: try row.text("detail"), credits: try row.optionalInt64("credits"),
                fix: try row.text("fix"), isInvariant: false)
        }
    }

    /// Keeps the findings under one identity from night to night.
    package func record(
        _ connection: borrowing Connection, _ findings: [Finding]
    ) throws -> BreakCounts {
        let json = JSONValue.array(
            findings.map { finding in
                [
                    "class": .string(finding.kind), "subject": .string(finding.subject),
                    "detail": .string(finding.detail),
                    "credits": finding.credits.map { .integer($0) } ?? .null,
                    "fix": .string(finding.fix),
                ]
            })
        let row = try connection.query(
            """
            SELECT * FROM holdfast.record_breaks(\(run.runID)::uuid,
                \(run.clockOffset)::interval, \(JSON.write(json))::jsonb)
            """
        ).single()
        return BreakCounts(
            found: try row.int("opened"), open: try row.int("standing"),
            closed: try row.int("closed"))
    }

    /// What moved on a day; yesterday by the shifted clock when none is named.
    package func totals(_ connection: borrowing Connection, day: String?) throws -> DayTotals {
        let day =
            try day
            ?? connection.query(
                """
                SELECT to_char(((clock_timestamp() + \(run.clockOffset)::interval)
                    AT TIME ZONE 'UTC')::date - 1, 'YYYY-MM-DD') AS day
                """
            ).single().text("day")
        var totals = DayTotals(day: day, credits: [:], transfers: 0)
        for row in try connection.query(
            """
            SELECT kind, sum(amount)::bigint AS credits, count(*) AS transfers
            FROM holdfast.transfer
            WHERE created_at >= \(day)::date::timestamp AT TIME ZONE 'UTC'
                AND created_at < (\(day)::date + 1)::timestamp AT TIME ZONE 'UTC'
            GROUP BY kind ORDER BY kind
            """)
        {
            totals.credits[try row.text("kind")] = try row.int64("credits")
            totals.transfers += try row.int("transfers")
        }
        return totals
    }
}

extension Books {
    /// Delivers what has all its files and was not delivered; returns what moved.
    ///
    /// The move is the mirrorer's own, judged again in its transaction, under the brakes.
    package func fix(
        _ connection: borrowing Connection
    ) throws -> [(jobID: String, action: String?, amount: Int64)] {
        try connection.query(
            """
            SELECT job_id, action, coalesce(amount, 0) AS amount
            FROM holdfast.fix_undelivered(\(run.runID)::uuid, \(run.clockOffset)::interval, 500)
            WHERE outcome IN ('delivered', 'failed')
            """
        ).map { row in
            (try row.text("job_id"), try row.optionalText("action"), try row.int64("amount"))
        }
    }
}
