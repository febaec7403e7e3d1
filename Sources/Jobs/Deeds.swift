import Core
package import Postgres

/// What a person does to jobs by hand.
///
/// Each deed is one transaction: it holds for all the jobs named or changes nothing.
package struct Deeds: Sendable {
    /// Who does it, as the audit trail shows it: `person:anna@host1`.
    private let actor: String

    /// What has not come to an end.
    private static let open: Set<JobState> = [
        .created, .submitted, .running, .succeeded, .timedOut,
    ]

    package init(actor: String) { self.actor = actor }

    /// Frees blocked jobs and makes them due now.
    ///
    /// - Parameter lookingUp: Providers that can be asked for a task by our own id. At any other, a job
    ///   whose create call was lost would only be set aside again.
    /// - Throws: `no_such_job` (66); `not_allowed` (1) for a job about which nothing is left to do, or
    ///   about which only a person can know anything.
    package func requeue(
        _ connection: borrowing Connection, _ jobIDs: [String], lookingUp: Set<String>
    ) throws {
        // In the order of their ids, as everywhere.
        let ordered = Set(jobIDs).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        try connection.repeatable {
            for jobID in ordered {
                let job = try lock(connection, jobID)
                guard Self.open.contains(job.state) || job.isWatched || job.blocked != nil else {
                    throw refused(
                        jobID, job,
                        "nothing is left to be done about it, so there is nothing to requeue")
                }
                guard
                    job.blocked != Blocked.submissionUnknown.rawValue
                        || lookingUp.contains(job.provider)
                else {
                    throw Failure(
                        .needsPerson, code: "not_allowed",
                        "job '\(jobID)' may have been submitted, and \(job.provider) cannot be asked "
                            + "for a task by our own id: another look would only set it aside again; "
                            + "nothing was changed; next: \(job.wayOut ?? "")")
                }
                try connection.execute("SELECT holdfast.requeue_job(\(jobID), \(actor))")
            }
        }
    }

    /// Closes a job for good; its hold is voided.
    ///
    /// - Returns: false when the job was dismissed before.
    /// - Throws: `no_such_job` (66); `not_allowed` (1) for a job that is over.
    package func dismiss(
        _ connection: borrowing Connection, _ jobID: String, reason: String
    ) throws -> Bool {
        try connection.repeatable {
            let job = try lock(connection, jobID)
            if job.state == .dismissed { return false }
            guard Self.open.contains(job.state) else {
                throw refused(jobID, job, "a job that is over cannot be dismissed")
            }
            try connection.execute(
                "SELECT holdfast.dismiss_job_by(\(jobID), \(reason), \(actor))")
            return true
        }
    }

    /// Gives a job up: its hold is voided, and a task that finishes later is a late success.
    ///
    /// - Returns: false when the job was abandoned before.
    /// - Throws: `no_such_job` (66); `not_allowed` (1) for a job that cannot be abandoned any more.
    package func abandon(
        _ connection: borrowing Connection, _ jobID: String, reason: String
    ) throws -> Bool {
        try connection.repeatable {
            let job = try lock(connection, jobID)
            guard try mayAbandon(jobID, job) else { return false }
            try connection.execute(
                "SELECT holdfast.abandon_job(\(jobID), \(reason), \(actor))")
            return true
        }
    }

    /// Whether a job can be abandoned; false when it was before.
    func mayAbandon(_ jobID: String, _ job: Locked) throws -> Bool {
        if job.state == .abandoned { return false }
        guard Self.open.contains(job.state), job.state != .succeeded else {
            throw refused(
                jobID, job,
                job.state == .succeeded
                    ? "its files are being stored; to close it all the same: "
                        + "holdfast job dismiss \(jobID) --reason TEXT"
                    : "a job that is over cannot be abandoned")
        }
        return true
    }

    /// Gives a job's credits back: a hold is voided, what was paid is refunded.
    ///
    /// - Returns: false when there was nothing to give back.
    /// - Throws: `no_such_job` (66).
    package func refund(
        _ connection: borrowing Connection, _ jobID: String, reason: String
    ) throws -> Bool {
        try connection.repeatable {
            _ = try lock(connection, jobID)
            let isGivenUp = try connection.query(
                "SELECT holdfast.give_up_refused(\(jobID), \(reason), \(actor)) AS given_up"
            ).single().bool("given_up")
            if isGivenUp { return true }
            let count: SQL = "SELECT count(*) AS n FROM holdfast.transfer WHERE job_id = \(jobID)"
            let before = try connection.query(count).single().int("n")
            try connection.execute(
                "SELECT holdfast.return_credits_by(\(jobID), \(reason), \(actor))")
            return try connection.query(count).single().int("n") > before
        }
    }

    /// Says that a task at the provider belongs to a job.
    ///
    /// - Returns: false when the job had this task before.
    /// - Throws: `no_such_job` (66); SQLSTATE HF004 when the task belongs to another job.
    package func link(
        _ connection: borrowing Connection, _ jobID: String, task: String
    ) throws -> Bool {
        try connection.repeatable {
            _ = try lock(connection, jobID)
            let known = try connection.query(
                """
                SELECT EXISTS (SELECT FROM holdfast.task t JOIN holdfast.job j USING (job_id)
                    WHERE t.job_id = \(jobID) AND t.task_id = \(task)) AS known
                """
            ).single().bool("known")
            if !known {
                try connection.execute("SELECT holdfast.mark_submitted(\(jobID), \(task))")
            }
            return !known
        }
    }

    struct Locked {
        var state: JobState
        var provider: String
        var blocked: String?
        var wayOut: String?
        var isWatched: Bool
    }

    /// Locks the row, so that what is checked is what is changed.
    private func lock(_ connection: borrowing Connection, _ jobID: String) throws -> Locked {
        try row(connection, jobID, isLocked: true)
    }

    func row(
        _ connection: borrowing Connection, _ jobID: String, isLocked: Bool
    ) throws -> Locked {
        let source: SQL =
            isLocked
            ? "holdfast.lock_job(\(jobID)) l" : "holdfast.job l WHERE l.job_id = \(jobID)"
        let rows: Rows
        do {
            rows = try connection.query(
                """
                SELECT l.state, l.provider, l.blocked, holdfast.way_out(l.job_id, l.blocked) AS way_out,
                    l.watch_until IS NOT NULL AS is_watched
                FROM \(sql: source)
                """)
        } catch {
            throw error.sqlState == "HF005" ? JobQueries.noJob([jobID]) : error as any Error
        }
        guard let row = rows.first else { throw JobQueries.noJob([jobID]) }
        return Locked(
            state: try row.state("state"), provider: try row.text("provider"),
            blocked: try row.optionalText("blocked"), wayOut: try row.optionalText("way_out"),
            isWatched: try row.bool("is_watched"))
    }

    private func refused(_ jobID: String, _ job: Locked, _ why: String) -> Failure {
        Failure(
            .needsPerson, code: "not_allowed",
            "job '\(jobID)' is \(job.state.rawValue): \(why); nothing was changed; "
                + "see holdfast job show \(jobID)")
    }
}

/// A job that a brake stopped, and what would move.
package struct BrakedJob: Equatable, Sendable {
    package var jobID: String
    package var accountID: String
    package var provider: String
    package var newState: String
    /// capture, void, charge, refund or waive; nil when no credits move.
    package var action: String?
    package var credits: Int64
    package var reason: String?
}

/// Which brakes a person releases; nil means any.
package struct BrakeScope: Equatable, Sendable {
    package var jobID: String?
    package var accountID: String?
    package var provider: String?

    package init(jobID: String?, accountID: String?, provider: String?) {
        self.jobID = jobID
        self.accountID = accountID
        self.provider = provider
    }
}

extension Deeds {
    /// What would move if the brakes of `scope` were released: reads only.
    package static func braked(
        _ connection: borrowing Connection, _ scope: BrakeScope
    ) throws -> [BrakedJob] {
        try connection.query(
            """
            SELECT j.job_id, j.account_id, j.provider, j.blocked_reason,
                coalesce(j.pending_move->>'new_state', j.state) AS new_state,
                c.action, coalesce(c.amount, 0) AS credits
            FROM holdfast.job j CROSS JOIN LATERAL holdfast.credit_action(j,
                j.pending_move->>'new_state', (j.pending_move->>'files')::integer) c
            WHERE j.blocked = 'brake'
                AND (\(scope.jobID)::text IS NULL OR j.job_id = \(scope.jobID))
                AND (\(scope.accountID)::text IS NULL OR j.account_id = \(scope.accountID))
                AND (\(scope.provider)::text IS NULL OR j.provider = \(scope.provider))
            ORDER BY j.job_id
            """
        ).map { row in
            BrakedJob(
                jobID: try row.text("job_id"), accountID: try row.text("account_id"),
                provider: try row.text("provider"), newState: try row.text("new_state"),
                action: try row.optionalText("action"), credits: try row.int64("credits"),
                reason: try row.optionalText("blocked_reason"))
        }
    }

    /// Jobs freed in one transaction.
    private static let releasePage = 1000

    /// Lets the stopped moves of `scope` go; the recoverer's next run settles them.
    ///
    /// - Returns: how many jobs were freed.
    package func releaseBrakes(
        _ connection: borrowing Connection, _ scope: BrakeScope
    ) throws -> Int {
        var freed = 0
        while true {
            let page = try connection.query(
                """
                SELECT holdfast.release_brakes(\(scope.jobID)::text, \(scope.accountID)::text,
                    \(scope.provider)::text, \(actor), \(Self.releasePage)::integer) AS freed
                """
            ).single().int("freed")
            freed += page
            if page < Self.releasePage { return freed }
        }
    }
}
