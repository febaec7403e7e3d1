package import Core
package import Postgres

/// Commits that the database has lost, as far as runs have noticed.
package struct RewindSummary: Equatable, Sendable {
    package var rewindID: Int64
    package var noticedAt: Instant
    package var sign: String
    package var message: String
    package var gapFrom: Instant
    package var gapUntil: Instant
    /// Nil while a job is held back.
    package var closedAt: Instant?
    package var closedBy: String?
    package var closeReason: String?
    /// Jobs that it may be about, those still held, and how the others were let go.
    package var jobs = 0
    package var held = 0
    package var letGo: [String: Int] = [:]
}

/// A job that may be about what was lost.
package struct RewindJob: Equatable, Sendable {
    package var rewindID: Int64
    package var jobID: String
    package var provider: String
    package var state: String
    package var blocked: String?
    package var taskID: String?
    package var credits: Int64
    /// How it was let go; nil while it is held back.
    package var how: String?
}

/// What people ask about rewinds, and what they decide.
package struct RewindQueries: Sendable {
    /// Jobs that one transaction lets go.
    private static let page = 500

    private let clockOffset: Duration

    package init(clockOffset: Duration = .zero) { self.clockOffset = clockOffset }

    /// The newest, those that are open first.
    package func list(
        _ connection: borrowing Connection, most: Int, onlyOpen: Bool = false
    ) throws -> [RewindSummary] {
        let condition: SQL = onlyOpen ? "r.closed_at IS NULL" : "true"
        return try connection.query(
            """
            SELECT r.rewind_id, r.sign, r.message, r.closed_by, r.close_reason,
                \(raw: JobStatus.microseconds("r.noticed_at")) AS noticed_us,
                \(raw: JobStatus.microseconds("r.gap_from")) AS from_us,
                \(raw: JobStatus.microseconds("r.gap_until")) AS until_us,
                \(raw: JobStatus.microseconds("r.closed_at")) AS closed_us,
                (SELECT coalesce(jsonb_object_agg(c.how, c.jobs), '{}') FROM (
                    SELECT coalesce(g.how, 'held') AS how, count(*) AS jobs
                    FROM holdfast.rewind_job g WHERE g.rewind_id = r.rewind_id
                    GROUP BY 1) c)::text AS jobs
            FROM holdfast.rewind r WHERE \(sql: condition)
            ORDER BY r.closed_at IS NOT NULL, r.rewind_id DESC LIMIT \(most)::integer
            """
        ).map { row in
            var letGo: [String: Int] = [:]
            for member in try JSON.parse(Array(row.text("jobs").utf8)).object?.members ?? [] {
                letGo[member.key] = Int(member.value.int ?? 0)
            }
            let jobs = letGo.values.reduce(0, +)
            let held = letGo.removeValue(forKey: "held") ?? 0
            return RewindSummary(
                rewindID: try row.int64("rewind_id"), noticedAt: try row.instant("noticed_us"),
                sign: try row.text("sign"), message: try row.text("message"),
                gapFrom: try row.instant("from_us"), gapUntil: try row.instant("until_us"),
                closedAt: try row.optionalInstant("closed_us"),
                closedBy: try row.optionalText("closed_by"),
                closeReason: try row.optionalText("close_reason"), jobs: jobs, held: held,
                letGo: letGo)
        }
    }

    /// The jobs of a rewind, or of all that are open; those that are held back first.
    package func jobs(
        _ connection: borrowing Connection, rewindID: Int64?, most: Int
    ) throws -> [RewindJob] {
        let condition: SQL =
            rewindID.map { "g.rewind_id = \($0)::bigint" } ?? "r.closed_at IS NULL"
        return try connection.query(
            """
            SELECT g.rewind_id, g.job_id, g.how, j.provider, j.state, j.blocked, j.task_id, j.credits
            FROM holdfast.rewind_job g JOIN holdfast.rewind r USING (rewind_id)
            JOIN holdfast.job j USING (job_id)
            WHERE \(sql: condition)
            ORDER BY g.how IS NOT NULL, g.rewind_id, g.job_id LIMIT \(most)::integer
            """
        ).map { row in
            RewindJob(
                rewindID: try row.int64("rewind_id"), jobID: try row.text("job_id"),
                provider: try row.text("provider"), state: try row.text("state"),
                blocked: try row.optionalText("blocked"),
                taskID: try row.optionalText("task_id"), credits: try row.int64("credits"),
                how: try row.optionalText("how"))
        }
    }

    /// Callbacks and tasks since the gap began that no job knows: each may belong to one of its jobs.
    package func unknownTasks(
        _ connection: borrowing Connection, since: Instant, most: Int
    ) throws -> [(provider: String, taskID: String, source: String)] {
        try connection.query(
            """
            SELECT provider, task_id, source FROM (
                SELECT c.provider, t.task_id, 'callback' AS source FROM holdfast.callback c
                CROSS JOIN LATERAL unnest(c.candidates) t (task_id)
                WHERE c.result = 'unmatched' AND c.received_at >= \(sql: Self.at(since))
                UNION
                SELECT s.provider, s.task_id, 'list' FROM holdfast.stray_task s
                WHERE s.first_seen_at >= \(sql: Self.at(since))) u
            ORDER BY provider, task_id LIMIT \(most)::integer
            """
        ).map { (try $0.text("provider"), try $0.text("task_id"), try $0.text("source")) }
    }

    private static func at(_ instant: Instant) -> SQL {
        "('epoch'::timestamptz + \(Duration.microseconds(instant.microseconds))::interval)"
    }

    /// Jobs that are held back, of those that are named or of all.
    package func held(
        _ connection: borrowing Connection, jobIDs: [String]
    ) throws -> [String] {
        try connection.query(
            """
            SELECT DISTINCT g.job_id FROM holdfast.rewind_job g WHERE g.let_go_at IS NULL
                AND (\(jobIDs.isEmpty) OR g.job_id = ANY (\(jobIDs)::text[]))
            ORDER BY g.job_id
            """
        ).map { try $0.text("job_id") }
    }

    /// Lets jobs go, page by page; each page is a transaction.
    package func release(
        _ connection: borrowing Connection, jobIDs: [String], reason: String, actor: String
    ) throws -> [String] {
        var released: [String] = []
        while true {
            let page = try connection.query(
                """
                SELECT j AS job_id FROM holdfast.release_rewind(\(jobIDs)::text[],
                    \(Self.page)::integer, \(reason), \(actor)) j
                """
            ).map { try $0.text("job_id") }
            released += page
            if page.count < Self.page { return released }
        }
    }
}
