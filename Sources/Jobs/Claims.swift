package import Core
package import Postgres

/// What one claim brought.
package struct Claim: Sendable {
    package var items: [WorkItem] = []
    /// Jobs that three claims in a row did not survive: they wait for a person now.
    package var setAside: [String] = []
    /// More is due than could be claimed: a provider's rate or its room was used up.
    package var isThrottled = false
    /// The one among them that earlier runs did not survive.
    package var suspect: String?

    package init() {}
}

/// Which of the two minutely passes over jobs: the work of the executable that bears its name.
package enum Pass: String, Sendable {
    case sweep = "stuck-sweeper"
    case recover = "orphan-recoverer"
}

/// A job that is ready to be settled, and whose account or row somebody else holds.
package struct HeldUpJob: Equatable, Sendable {
    package var jobID: String
    package var account: String
    package var duration: Duration

    package init(jobID: String, account: String, duration: Duration) {
        self.jobID = jobID
        self.account = account
        self.duration = duration
    }

    /// What a person is told.
    package var problem: RunReport.Problem {
        .init(
            jobID: jobID, code: "held_up",
            message: "it has been ready for \(DurationText.describe(duration)), and another "
                + "transaction holds it or account \(account); \(HeldUpAccount.advice)")
    }
}

/// Leases on jobs: claimed in one statement with a fencing token, renewed, given back.
package struct Claims: Sendable {
    private let run: Run
    private let pass: Pass

    package init(run: Run, pass: Pass) {
        self.run = run
        self.pass = pass
    }

    /// Claims due jobs within the providers' rates.
    /// - Parameters:
    ///   - connection: The run's connection, outside a transaction.
    ///   - rooms: The providers that this host can ask, with how many jobs of each at most; the
    ///     database stops at 500 of one provider.
    ///   - most: How many at most in all.
    ///   - jobIDs: Named jobs, whose thresholds do not matter; empty for whatever is due.
    ///   - maySuspect: Whether this run holds no job that earlier runs did not survive.
    package func claim(
        _ connection: borrowing Connection, rooms: [(provider: String, room: Int)], most: Int,
        jobIDs: [String], maySuspect: Bool = true
    ) throws -> Claim {
        let rows = try connection.query(
            """
            SELECT (c.item).*, c.set_aside, c.busy, c.suspect
            FROM holdfast.claim_jobs(\(run.runID)::uuid, \(pass.rawValue),
                \(rooms.map(\.provider))::text[], \(rooms.map(\.room))::integer[],
                \(most)::integer, \(jobIDs)::text[], \(run.clockOffset)::interval,
                \(maySuspect)::boolean) c
            """)
        var claim = Claim()
        for row in rows {
            if let jobID = try row.optionalText("set_aside") {
                claim.setAside.append(jobID)
            } else if try row.optionalBool("busy") == true {
                claim.isThrottled = true
            } else {
                claim.items.append(try WorkItem(row))
                if try row.optionalBool("suspect") == true {
                    claim.suspect = claim.items.last?.jobID
                }
            }
        }
        return claim
    }

    /// Makes jobs due that rest or were set aside for want of an answer, as far as there is reason to
    /// believe that there is one now.
    ///
    /// - Returns: how many.
    package func askAgain(
        _ connection: borrowing Connection, version: String, most: Int
    ) throws -> Int {
        try connection.query(
            """
            SELECT holdfast.ask_again(\(run.runID)::uuid, \(pass.rawValue), \(version),
                \(run.clockOffset)::interval, \(most)::integer) AS freed
            """
        ).single().int("freed")
    }

    /// What a claim would bring: reads only, for a dry run.
    package func due(
        _ connection: borrowing Connection, providers: [String], most: Int, jobIDs: [String]
    ) throws -> [WorkItem] {
        let rows = try connection.query(
            """
            SELECT d.* FROM holdfast.due_jobs(\(pass.rawValue), \(providers)::text[],
                \(most)::integer, \(jobIDs)::text[],
                clock_timestamp() + \(run.clockOffset)::interval) d
            """)
        return try rows.map { try WorkItem($0) }
    }

    /// Renews the leases of work under way, and the run's place.
    package func renew(_ connection: borrowing Connection, _ held: [WorkItem]) throws {
        try connection.execute(
            """
            SELECT holdfast.renew_leases(\(run.runID)::uuid, \(held.map(\.jobID))::text[],
                \(held.map(\.token))::bigint[], \(run.clockOffset)::interval)
            """)
    }

    /// Gives leases back unused, as at the end of a run that was stopped.
    package func release(_ connection: borrowing Connection, _ held: [WorkItem]) throws {
        guard !held.isEmpty else { return }
        try connection.execute(
            """
            SELECT holdfast.release_leases(\(run.runID)::uuid, \(held.map(\.jobID))::text[],
                \(held.map(\.token))::bigint[], \(run.clockOffset)::interval)
            """)
    }

    /// Gives leases back of jobs that somebody else holds up: the claims do not count, and the jobs come
    /// again soon.
    ///
    /// - Returns: Those that have been held up for long and were not told of within the hour.
    package func postpone(
        _ connection: borrowing Connection, _ held: [WorkItem]
    ) throws -> [HeldUpJob] {
        guard !held.isEmpty else { return [] }
        return try connection.query(
            """
            SELECT p.* FROM holdfast.postpone_jobs(\(run.runID)::uuid,
                \(held.map(\.jobID))::text[], \(held.map(\.token))::bigint[],
                \(run.clockOffset)::interval) p
            """
        ).map {
            HeldUpJob(
                jobID: try $0.text("job_id"), account: try $0.text("account_id"),
                duration: .microseconds(try $0.int64("held_up_us")))
        }
    }

    /// Commits one more try at the application's trigger before it is made.
    ///
    /// - Returns: the number of the try; nil when the application was heard of meanwhile or the
    ///   lease is gone, and nothing must be sent.
    package func countRetrigger(_ connection: borrowing Connection, _ item: WorkItem) throws -> Int?
    {
        try connection.query(
            """
            SELECT holdfast.count_retrigger(\(run.runID)::uuid, \(item.jobID),
                \(item.token)::bigint, \(item.revision)::integer,
                \(run.clockOffset)::interval) AS try
            """
        ).single().optionalInt("try")
    }
}
