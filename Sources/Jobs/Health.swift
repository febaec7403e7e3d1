package import Core
package import Postgres

/// What this login may do in the database.
package struct LoginRights: Equatable, Sendable {
    package var login: String
    /// The shared roles that exist in this cluster.
    package var roles: [String]
    /// Those of them that the login is a member of.
    package var memberOf: [String]
    package var mayRead: Bool
    package var mayRun: Bool
    package var maySetPolicies: Bool
}

/// Jobs that wait for a person for one reason.
package struct BlockedJobs: Equatable, Sendable {
    package var reason: String
    package var jobs: Int
    /// What to do about the first of them.
    package var wayOut: String
}

/// Things that point to trouble, for `doctor`.
package struct Symptoms: Equatable, Sendable {
    /// Started over an hour and under a day ago, and never ended.
    package var deadRuns: Int
    package var blocked: [BlockedJobs]
    /// In flight or watched, by provider.
    package var waiting: [String: Int]
    package var staleCallbacks: Int
}

/// The questions of `doctor`; reads only.
package struct Health: Sendable {
    /// A run's end is missed after this long, and looked for within this long.
    private static let deadAfter = Duration.seconds(3600)
    private static let deadWithin = Duration.seconds(86_400)
    /// How old an undrained callback may get.
    package static let callbackPatience = Duration.seconds(300)

    private let clockOffset: Duration

    package init(clockOffset: Duration) { self.clockOffset = clockOffset }

    private var now: SQL { JobQueries(clockOffset: clockOffset).now }

    /// The database's own clock.
    package static func clock(_ connection: borrowing Connection) throws -> Instant {
        try connection.query(
            "SELECT \(raw: JobStatus.microseconds("clock_timestamp()")) AS now_us"
        ).single().instant("now_us")
    }

    package static func rights(_ connection: borrowing Connection) throws -> LoginRights {
        let row = try connection.query(
            """
            SELECT current_user AS login, r.roles, r.member_of,
                has_schema_privilege('holdfast', 'USAGE')
                    AND has_table_privilege('holdfast.job', 'SELECT') AS may_read,
                has_schema_privilege('holdfast', 'USAGE') AND coalesce((
                    SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p
                    WHERE p.pronamespace = 'holdfast'::regnamespace
                        AND p.proname IN ('begin_run', 'claim_jobs', 'record_moves')), false)
                    AS may_run,
                has_schema_privilege('holdfast', 'USAGE')
                    AND has_table_privilege('holdfast.policy', 'INSERT, UPDATE') AS may_set
            FROM (SELECT coalesce(array_agg(rolname::text ORDER BY rolname), '{}') AS roles,
                    coalesce(array_agg(rolname::text ORDER BY rolname)
                        FILTER (WHERE pg_has_role(oid, 'USAGE')), '{}') AS member_of
                FROM pg_roles WHERE rolname IN ('holdfast_owner', 'holdfast_app', 'holdfast_jobs',
                    'holdfast_report')) r
            """
        ).single()
        return LoginRights(
            login: try row.text("login"), roles: try row.texts("roles"),
            memberOf: try row.texts("member_of"), mayRead: try row.bool("may_read"),
            mayRun: try row.bool("may_run"), maySetPolicies: try row.bool("may_set"))
    }

    package func symptoms(_ connection: borrowing Connection) throws -> Symptoms {
        let row = try connection.query(
            """
            SELECT (SELECT count(*) FROM holdfast.run r
                    WHERE r.command = ANY (\(JobQueries.scheduledCommands)::text[])
                        AND r.started_at > \(sql: now) - \(Self.deadWithin)::interval
                        AND r.started_at < \(sql: now) - \(Self.deadAfter)::interval
                        AND r.finished_at IS NULL) AS dead,
                (SELECT count(*) FROM holdfast.callback c WHERE c.drained_at IS NULL
                    AND c.received_at < \(sql: now) - \(Self.callbackPatience)::interval) AS stale
            """
        ).single()
        return Symptoms(
            deadRuns: try row.int("dead"),
            blocked: try connection.query(
                """
                SELECT blocked, count(*) AS jobs, holdfast.way_out(min(job_id), blocked) AS way_out
                FROM holdfast.job WHERE blocked IS NOT NULL GROUP BY 1 ORDER BY 1
                """
            ).map {
                BlockedJobs(
                    reason: try $0.text("blocked"), jobs: try $0.int("jobs"),
                    wayOut: try $0.text("way_out"))
            },
            waiting: try counts(
                connection,
                """
                SELECT provider AS name, count(*) AS jobs FROM holdfast.job
                WHERE state IN ('created', 'submitted', 'running', 'timed_out')
                    AND blocked IS NULL GROUP BY 1
                """), staleCallbacks: try row.int("stale"))
    }

    private func counts(_ connection: borrowing Connection, _ sql: SQL) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for row in try connection.query(sql) {
            counts[try row.text("name")] = try row.int("jobs")
        }
        return counts
    }

    /// How many callbacks of a provider are looked at, and how far back.
    private static let streak = 20
    private static let streakWithin = 1000
    /// Fewer may be a stranger's.
    private static let streakLeast = 3

    /// Providers whose latest callbacks were all refused.
    package func refusedStreaks(_ connection: borrowing Connection) throws -> [RefusedStreak] {
        try connection.query(
            """
            SELECT provider, count(*) AS callbacks, array_agg(DISTINCT why) AS reasons
            FROM (SELECT c.provider, c.result, \(raw: CallbackRefusal.why) AS why,
                    row_number() OVER (PARTITION BY c.provider ORDER BY c.callback_id DESC) AS place
                FROM (SELECT * FROM holdfast.callback ORDER BY callback_id DESC
                    LIMIT \(Self.streakWithin)::integer) c
                WHERE c.drained_at IS NOT NULL) c
            WHERE place <= \(Self.streak)::integer
            GROUP BY provider
            HAVING bool_and(result = 'refused') AND count(*) >= \(Self.streakLeast)::integer
            ORDER BY provider
            """
        ).map { row in
            RefusedStreak(
                provider: try row.text("provider"), callbacks: try row.int("callbacks"),
                reasons: try row.texts("reasons"))
        }
    }
}
