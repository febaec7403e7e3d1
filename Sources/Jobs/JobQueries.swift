package import Core
package import Postgres

/// Which jobs a person wants to see.
package struct JobFilter: Equatable, Sendable {
    package enum Block: Equatable, Sendable {
        case any
        case reason(Blocked)
    }

    /// Empty for all.
    package var states: [JobState] = []
    package var provider: String?
    package var accountID: String?
    package var blocked: Block?
    /// In flight and due: past the threshold, or past the instant of the next look.
    package var isStuck = false
    /// Created at least this long ago.
    package var minimumAge: Duration?
    package var limit = 50

    package init() {}

    private static let open: Set<JobState> = [
        .created, .submitted, .running, .succeeded, .timedOut,
    ]

    fileprivate var wantsOpen: Bool { states.isEmpty || states.contains(where: Self.open.contains) }
    fileprivate var wantsEnded: Bool {
        states.isEmpty || states.contains { !Self.open.contains($0) }
    }
    fileprivate var wantsDelivered: Bool { states.isEmpty || states.contains(.delivered) }
}

/// What people ask about jobs; reads only.
package struct JobQueries: Sendable {
    /// Added to the clock of the database.
    package let clockOffset: Duration

    package init(clockOffset: Duration = .zero) { self.clockOffset = clockOffset }

    /// The shifted clock at the start of the transaction: the planner knows it, and so how few rows
    /// are younger.
    var now: SQL { "(now() + \(clockOffset)::interval)" }

    /// The job, or nil when there is none of that id.
    package func job(_ connection: borrowing Connection, _ jobID: String) throws -> JobStatus? {
        try connection.query(
            """
            SELECT \(sql: JobStatus.columns(clockOffset))
            FROM holdfast.job_status s JOIN holdfast.job j USING (job_id)
            WHERE j.job_id = \(jobID)
            """
        ).first.map { try JobStatus($0) }
    }

    /// Those of `jobIDs` that no job bears, in their order.
    package func unknown(
        _ connection: borrowing Connection, of jobIDs: [String]
    ) throws -> [String] {
        try connection.query(
            """
            SELECT w.job_id FROM unnest(\(jobIDs)::text[]) WITH ORDINALITY AS w (job_id, place)
            WHERE NOT EXISTS (SELECT FROM holdfast.job j WHERE j.job_id = w.job_id)
            ORDER BY w.place
            """
        ).map { try $0.text("job_id") }
    }

    /// Refuses ids that no job bears, all of them at once.
    package func requireJobs(
        _ connection: borrowing Connection, _ jobIDs: [String]
    ) throws {
        let missing = try unknown(connection, of: jobIDs)
        guard missing.isEmpty else { throw Self.noJob(missing) }
    }

    package static func noJob(_ jobIDs: [String]) -> Failure {
        let named = jobIDs.map { "'\($0)'" }.joined(separator: ", ")
        return Failure(
            .notFound, code: "no_such_job",
            "there is no job \(named); check the id for a cut or a blank, and the database that "
                + "HOLDFAST_DATABASE_URL names, or look with: holdfast job list --account ACCOUNT")
    }

    /// Newest first; stuck ones in the order in which they are due.
    ///
    /// Without an account or a block the newest of the open and the newest of the ended jobs are
    /// merged, each along its index, so that the cost does not grow with the number of ended jobs.
    package func list(
        _ connection: borrowing Connection, _ filter: JobFilter
    ) throws -> [JobStatus] {
        let order: SQL = filter.isStuck ? "j.next_poll_at, j.job_id" : "j.created_at DESC, j.job_id"
        return try connection.query(
            """
            WITH wanted AS (\(sql: wanted(filter)))
            SELECT \(sql: JobStatus.columns(clockOffset))
            FROM wanted w JOIN holdfast.job_status s USING (job_id)
                JOIN holdfast.job j USING (job_id)
            ORDER BY \(sql: order) LIMIT \(filter.limit)::integer
            """
        ).map { try JobStatus($0) }
    }

    /// The ids of a page of these jobs, in their order, behind `after`.
    package func ids(
        _ connection: borrowing Connection, _ filter: JobFilter, after: String
    ) throws -> [String] {
        try connection.query(
            """
            SELECT j.job_id FROM holdfast.job j
            WHERE \(sql: conditions(filter)) AND j.job_id > \(after)
            ORDER BY j.job_id LIMIT \(filter.limit)::integer
            """
        ).map { try $0.text("job_id") }
    }

    private func conditions(_ filter: JobFilter) -> SQL {
        var conditions: SQL = "true"
        func add(_ condition: SQL) { conditions = "\(sql: conditions) AND \(sql: condition)" }
        if !filter.states.isEmpty {
            add("j.state = ANY (\(filter.states.map(\.rawValue))::text[])")
        }
        if let provider = filter.provider { add("j.provider = \(provider)") }
        if let accountID = filter.accountID { add("j.account_id = \(accountID)") }
        switch filter.blocked {
        case .any: add("j.blocked IS NOT NULL")
        case .reason(let reason): add("j.blocked = \(reason.rawValue)")
        case nil: break
        }
        if let age = filter.minimumAge {
            add("j.created_at <= \(sql: now) - \(age)::interval")
        }
        return conditions
    }

    private func wanted(_ filter: JobFilter) -> SQL {
        let conditions = conditions(filter)
        func branch(_ condition: SQL, _ order: SQL) -> SQL {
            """
            (SELECT j.job_id FROM holdfast.job j WHERE \(sql: conditions) AND \(sql: condition)
                ORDER BY \(sql: order) LIMIT \(filter.limit)::integer)
            """
        }
        if filter.isStuck {
            return branch(
                """
                j.state IN ('created', 'submitted', 'running') AND j.blocked IS NULL
                AND j.pending_move IS NULL
                AND j.next_poll_at <= \(sql: now)
                """, "j.next_poll_at, j.job_id")
        }
        if filter.accountID != nil || filter.blocked != nil {
            return branch("true", "j.created_at DESC, j.job_id")
        }
        let open = branch(
            "j.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')",
            "j.created_at DESC, j.job_id")
        let ended = branch(
            filter.wantsDelivered
                ? "j.finished_at IS NOT NULL"
                // As an index that leaves the many delivered jobs out would have it.
                : "j.finished_at IS NOT NULL AND j.state IN ('failed', 'abandoned', 'dismissed')",
            "j.finished_at DESC, j.job_id")
        switch (filter.wantsOpen, filter.wantsEnded) {
        case (true, false): return open
        case (false, true): return ended
        default: return "\(sql: open) UNION \(sql: ended)"
        }
    }
}
