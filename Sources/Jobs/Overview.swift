package import Core
package import Postgres

/// How things are, in numbers that come from indexes: no query grows with the number of jobs that
/// ended before the window.
package struct Overview: Sendable {
    package var now: Instant
    package var window: Duration
    /// Jobs that ended within the window, by state; those that a customer cancelled by themselves.
    package var ended: [String: Int] = [:]
    /// From creation to delivery, of the jobs delivered within the window; nil when there are none.
    package var meanTimeToCompletion: Duration?
    /// In flight and due.
    package var stuckNow = 0
    package var failedLastHour = 0
    /// Jobs that have not ended, by state.
    package var open: [String: Int] = [:]
    package var blocked: [String: Int] = [:]
    package var creditsHeld: Int64 = 0
    package var jobsHolding = 0
    package var bytesStored: Int64 = 0
    /// The table of files is too large to add up; the number comes from a sample.
    package var isBytesStoredEstimated = false
    package var filesPending = 0
    package var nearestExpiry: Instant?
    package var slowFiles: [SlowFiles] = []
    package var refusedFiles: [RefusedCount] = []
    package var heldUp: [HeldUpAccount] = []
    package var conditions: [Conditions.Standing] = []
    package var callbacksUndrained = 0
    package var oldestCallback: Instant?
    /// Lost commits that jobs are still held back for.
    package var rewinds: [RewindSummary] = []
    package var providers: [ProviderState] = []
    package var runs: [LastRun] = []

    /// Delivered of all that ended and that nobody dismissed or cancelled; nil when none did.
    package var success: (delivered: Int, of: Int)? {
        let unwanted = [JobState.dismissed.rawValue, JobErrorCode.cancelled.rawValue]
        let whole = ended.filter { !unwanted.contains($0.key) }.values.reduce(0, +)
        return whole == 0 ? nil : (ended[JobState.delivered.rawValue] ?? 0, whole)
    }
}

/// Files of one provider whose sources send next to nothing.
package struct SlowFiles: Equatable, Sendable {
    package var provider: String
    package var files: Int
    /// Of these, the ones that a run is at.
    package var underWay: Int
    /// Since when the first of them is slow.
    package var since: Instant
}

/// What all hosts know of a provider.
package struct ProviderState: Equatable, Sendable {
    package var name: String
    /// Transient failures in a row.
    package var failures: Int
    /// Set while the provider is left alone.
    package var pausedUntil: Instant?
    package var pauseReason: String?
    /// A job was ever opened for it.
    package var isUsed: Bool
    /// What keeps its lists of tasks from being read, by the first that has a problem.
    package var listProblem: String?
    /// The last failure, until an answer comes.
    package var lastError: String?
    package var lastStatus: Int?
    /// That failure was about our key.
    package var isKeyRefused = false
    /// Its families that nobody can read now.
    package var unreadable: [UnreadableFamily] = []
}

extension ProviderState {
    /// `the key is refused (401)`; nil when it is not.
    package var keyTrouble: String? {
        guard isKeyRefused else { return nil }
        return "the key is refused" + (lastStatus.map { " (\($0 == 200 ? 401 : $0))" } ?? "")
    }
}

/// The newest run of a command.
package struct LastRun: Equatable, Sendable {
    package var command: String
    /// The rest is nil when the command never ran.
    package var runID: String?
    package var host: String?
    package var startedAt: Instant?
    package var finishedAt: Instant?
    package var exitStatus: Int?
    package var examined: Int?
}

extension JobQueries {
    package static let scheduledCommands = [
        "stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler",
    ]
    /// Up to this size the table of files is added up exactly.
    private static let exactTableBytes: Int64 = 32 << 20

    /// All numbers as of one instant.
    package func overview(
        _ connection: borrowing Connection, window: Duration
    ) throws -> Overview {
        try connection.transaction(.readOnlySnapshot) {
            let row = try connection.query(
                """
                SELECT \(raw: JobStatus.microseconds("clock_timestamp()"))
                    + \(clockOffset.microseconds)::bigint AS now_us
                """
            ).single()
            var overview = Overview(now: try row.instant("now_us"), window: window)
            try ended(connection, &overview)
            try open(connection, &overview)
            try files(connection, &overview)
            overview.slowFiles = try slowFiles(connection)
            overview.refusedFiles = try refusedFiles(connection)
            overview.heldUp = try HeldUpAccount.all(connection, clockOffset: clockOffset)
            overview.conditions = try Conditions.all(connection)
            overview.rewinds = try RewindQueries(clockOffset: clockOffset).list(
                connection, most: 10, onlyOpen: true)
            overview.providers = try providers(connection)
            overview.runs = try lastRuns(connection)
            return overview
        }
    }

    private func ended(_ connection: borrowing Connection, _ overview: inout Overview) throws {
        for row in try connection.query(
            """
            SELECT state, count(*) FILTER (WHERE in_window) AS jobs,
                count(*) FILTER (WHERE finished_at > \(sql: now) - interval '1 hour')
                    AS last_hour,
                (avg(extract(epoch FROM finished_at - created_at)) FILTER (WHERE in_window)
                    * 1000000)::bigint AS mean_us
            FROM (SELECT CASE WHEN state = 'failed' AND error_code = 'cancelled' THEN error_code
                    ELSE state END AS state, finished_at, created_at,
                    finished_at > \(sql: now) - \(overview.window)::interval AS in_window
                FROM holdfast.job
                WHERE finished_at > \(sql: now)
                    - greatest(\(overview.window)::interval, interval '1 hour')) e
            GROUP BY state
            """)
        {
            let state = try row.text("state")
            if state == JobState.failed.rawValue {
                overview.failedLastHour = try row.int("last_hour")
            }
            let jobs = try row.int("jobs")
            if jobs > 0 { overview.ended[state] = jobs }
            if state == JobState.delivered.rawValue {
                overview.meanTimeToCompletion = try row.optionalDuration("mean_us")
            }
        }
    }

    private func open(_ connection: borrowing Connection, _ overview: inout Overview) throws {
        for row in try connection.query(
            """
            SELECT state, count(*) AS jobs FROM holdfast.job
            WHERE state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
            GROUP BY state
            """)
        {
            overview.open[try row.text("state")] = try row.int("jobs")
        }
        for row in try connection.query(
            """
            SELECT blocked, count(*) AS jobs FROM holdfast.job WHERE blocked IS NOT NULL
            GROUP BY blocked
            """)
        {
            overview.blocked[try row.text("blocked")] = try row.int("jobs")
        }
        let row = try connection.query(
            """
            SELECT (SELECT count(*) FROM holdfast.sweepable_job
                    WHERE next_poll_at <= \(sql: now)) AS stuck,
                h.jobs, h.credits
            FROM (SELECT count(*) AS jobs, coalesce(sum(credits), 0)::bigint AS credits
                FROM holdfast.job WHERE credit_state = 'held') h
            """
        ).single()
        overview.stuckNow = try row.int("stuck")
        overview.jobsHolding = try row.int("jobs")
        overview.creditsHeld = try row.int64("credits")
    }

    private func files(_ connection: borrowing Connection, _ overview: inout Overview) throws {
        let row = try connection.query(
            """
            SELECT f.pending, f.expiry_us, c.undrained, c.oldest_us,
                pg_relation_size('holdfast.asset') AS table_bytes
            FROM (SELECT count(*) AS pending,
                    \(raw: JobStatus.microseconds("min(expires_by)")) AS expiry_us
                FROM holdfast.asset WHERE state = 'pending') f,
                (SELECT count(*) AS undrained,
                    \(raw: JobStatus.microseconds("min(received_at)")) AS oldest_us
                FROM holdfast.callback WHERE drained_at IS NULL) c
            """
        ).single()
        overview.filesPending = try row.int("pending")
        overview.nearestExpiry = try row.optionalInstant("expiry_us")
        overview.callbacksUndrained = try row.int("undrained")
        overview.oldestCallback = try row.optionalInstant("oldest_us")
        let tableBytes = try row.int64("table_bytes")
        overview.isBytesStoredEstimated = tableBytes > Self.exactTableBytes
        // A sample of as many pages as are read whole at most.
        let percent = min(100, Double(Self.exactTableBytes) * 100 / Double(max(tableBytes, 1)))
        let sample: SQL =
            overview.isBytesStoredEstimated ? "TABLESAMPLE SYSTEM (\(percent)::real)" : ""
        overview.bytesStored = try connection.query(
            """
            SELECT (coalesce(sum(a.bytes), 0) * 100 / \(percent)::numeric)::bigint AS bytes
            FROM holdfast.asset a \(sql: sample) WHERE a.state = 'stored'
            """
        ).single().int64("bytes")
    }

    /// Files whose sources are slow, by provider.
    package func slowFiles(_ connection: borrowing Connection) throws -> [SlowFiles] {
        try connection.query(
            """
            SELECT a.provider, count(*) AS files,
                count(*) FILTER (WHERE a.lease_until > \(sql: now)) AS under_way,
                \(raw: JobStatus.microseconds("min(a.slow_since)")) AS since_us
            FROM holdfast.asset a WHERE a.state = 'pending' AND a.slow_since IS NOT NULL
            GROUP BY a.provider ORDER BY a.provider
            """
        ).map { row in
            SlowFiles(
                provider: try row.text("provider"), files: try row.int("files"),
                underWay: try row.int("under_way"), since: try row.instant("since_us"))
        }
    }

    /// Every provider that the database knows.
    package func providers(_ connection: borrowing Connection) throws -> [ProviderState] {
        let unreadable = Dictionary(
            grouping: try UnreadableFamily.all(connection), by: \.provider)
        return try connection.query(
            """
            SELECT p.provider, p.failures,
                CASE WHEN p.paused_until > \(sql: now)
                    THEN \(raw: JobStatus.microseconds("p.paused_until")) END AS paused_us,
                p.pause_reason, p.last_error, p.last_status, p.is_key_refused,
                EXISTS (SELECT FROM holdfast.offer o WHERE o.provider = p.provider) AS is_used,
                (SELECT concat_ws(': ', nullif(l.endpoint, ''), l.problem)
                    FROM holdfast.task_list l
                    WHERE l.provider = p.provider AND l.problem IS NOT NULL
                    ORDER BY l.endpoint LIMIT 1) AS list_problem
            FROM holdfast.provider p ORDER BY p.provider
            """
        ).map { row in
            let name = try row.text("provider")
            return ProviderState(
                name: name, failures: try row.int("failures"),
                pausedUntil: try row.optionalInstant("paused_us"),
                pauseReason: try row.optionalText("pause_reason"),
                isUsed: try row.bool("is_used"),
                listProblem: try row.optionalText("list_problem"),
                lastError: try row.optionalText("last_error"),
                lastStatus: try row.optionalInt("last_status"),
                isKeyRefused: try row.bool("is_key_refused"), unreadable: unreadable[name] ?? [])
        }
    }

    /// The newest run of each command that a schedule starts.
    package func lastRuns(_ connection: borrowing Connection) throws -> [LastRun] {
        try connection.query(
            """
            SELECT c.command, r.run_id, r.host, r.exit_status, r.examined,
                \(raw: JobStatus.microseconds("r.started_at")) AS started_us,
                \(raw: JobStatus.microseconds("r.finished_at")) AS finished_us
            FROM unnest(\(Self.scheduledCommands)::text[]) WITH ORDINALITY AS c (command, place)
            LEFT JOIN LATERAL (
                SELECT * FROM holdfast.run n WHERE n.command = c.command
                ORDER BY n.started_at DESC LIMIT 1) r ON true
            ORDER BY c.place
            """
        ).map { row in
            LastRun(
                command: try row.text("command"), runID: try row.optionalText("run_id"),
                host: try row.optionalText("host"),
                startedAt: try row.optionalInstant("started_us"),
                finishedAt: try row.optionalInstant("finished_us"),
                exitStatus: try row.optionalInt("exit_status"),
                examined: try row.optionalInt("examined"))
        }
    }
}
