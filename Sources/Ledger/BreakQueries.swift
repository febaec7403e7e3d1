package import Core
package import Postgres

/// A break as it is kept.
package struct KeptBreak: Equatable, Sendable {
    package var breakID: Int64
    package var kind, subject: String
    /// `open`, `resolved` (by a person, until the next night closes it) or `closed`.
    package var status: String
    package var jobID, accountID, provider, model, taskID: String?
    package var also: [String]
    package var loses: String
    package var credits: Int64?
    /// An exact decimal in the provider's unit.
    package var amount, unit: String?
    package var detail, cause, fix, meaning: String
    /// The facts that it was found by, as JSON.
    package var evidence: String
    package var firstSeenAt, lastSeenAt: Instant
    package var resolvedAt: Instant?
    package var resolvedBy, resolution: String?
    package var closedAt: Instant?
    /// `healed`, `fixed` or `resolved`.
    package var closedHow: String?
    package var now: Instant
}

/// What a run did about a break.
package struct KeptFix: Equatable, Sendable {
    package var happenedAt: Instant
    package var runID, planDigest, rule, action, outcome: String
    package var credits: Int64?
    package var undo: String?
}

/// Which breaks a person wants to see.
package struct BreakFilter: Sendable {
    package enum Status: String, CaseIterable, Sendable {
        case open, resolved, closed, all
    }

    package var status = Status.open
    package var kind: String?
    package var jobID: String?
    package var accountID: String?
    package var provider: String?
    package var limit = 51

    package init() {}
}

/// What people ask of breaks from the command line.
package struct BreakQueries: Sendable {
    private let clockOffset: Duration

    package init(clockOffset: Duration) { self.clockOffset = clockOffset }

    /// The oldest first.
    package func list(
        _ connection: borrowing Connection, _ filter: BreakFilter
    ) throws -> [KeptBreak] {
        try connection.query(
            """
            SELECT * FROM (\(sql: Self.columns(clockOffset))) b
            WHERE (\(filter.status.rawValue) = 'all' OR b.status = \(filter.status.rawValue))
                AND (\(filter.kind)::text IS NULL OR b.class = \(filter.kind))
                AND (\(filter.jobID)::text IS NULL OR b.job_id = \(filter.jobID))
                AND (\(filter.accountID)::text IS NULL OR b.account_id = \(filter.accountID))
                AND (\(filter.provider)::text IS NULL OR b.provider = \(filter.provider))
            ORDER BY b.first_seen_at, b.break_id LIMIT \(filter.limit)::integer
            """
        ).map(Self.kept)
    }

    package func find(
        _ connection: borrowing Connection, _ breakID: Int64
    ) throws -> (KeptBreak, [KeptFix])? {
        guard
            let row = try connection.query(
                """
                SELECT * FROM (\(sql: Self.columns(clockOffset))) b
                WHERE b.break_id = \(breakID)::bigint
                """
            ).first
        else { return nil }
        let fixes = try connection.query(
            """
            SELECT (extract(epoch FROM happened_at) * 1000000)::bigint AS happened_us, run_id::text,
                plan_digest, rule, action, outcome, credits, undo
            FROM holdfast.break_fix WHERE break_id = \(breakID)::bigint ORDER BY fix_id
            """
        ).map { row in
            KeptFix(
                happenedAt: try row.instant("happened_us"), runID: try row.text("run_id"),
                planDigest: try row.text("plan_digest"), rule: try row.text("rule"),
                action: try row.text("action"), outcome: try row.text("outcome"),
                credits: try row.optionalInt64("credits"), undo: try row.optionalText("undo"))
        }
        return (try Self.kept(row), fixes)
    }

    /// Answers a break; the next night closes it.
    /// - Returns: nil when there is no such break, false when it was closed before.
    package func resolve(
        _ connection: borrowing Connection, _ breakID: Int64, reason: String, actor: String
    ) throws -> Bool? {
        try connection.query(
            "SELECT holdfast.resolve_break(\(breakID)::bigint, \(reason), \(actor)) AS done"
        ).single().optionalBool("done")
    }

    private static func columns(_ clockOffset: Duration) -> SQL {
        """
        SELECT b.break_id, b.class, b.subject, CASE WHEN b.closed_at IS NOT NULL THEN 'closed'
                WHEN b.resolved_at IS NOT NULL THEN 'resolved' ELSE 'open' END AS status,
            b.job_id, b.account_id, b.provider, b.model, b.task_id, b.also, b.loses, b.credits,
            b.amount::text AS amount, b.unit, b.detail, b.cause, b.fix, c.meaning,
            b.evidence::text AS evidence, b.first_seen_at, b.resolved_by, b.resolution, b.closed_how,
            (extract(epoch FROM b.first_seen_at) * 1000000)::bigint AS first_seen_us,
            (extract(epoch FROM b.last_seen_at) * 1000000)::bigint AS last_seen_us,
            (extract(epoch FROM b.resolved_at) * 1000000)::bigint AS resolved_us,
            (extract(epoch FROM b.closed_at) * 1000000)::bigint AS closed_us,
            (extract(epoch FROM clock_timestamp() + \(clockOffset)::interval) * 1000000)::bigint
                AS now_us
        FROM holdfast.break b JOIN holdfast.break_class c USING (class)
        """
    }

    private static func kept(_ row: Row) throws -> KeptBreak {
        KeptBreak(
            breakID: try row.int64("break_id"), kind: try row.text("class"),
            subject: try row.text("subject"), status: try row.text("status"),
            jobID: try row.optionalText("job_id"), accountID: try row.optionalText("account_id"),
            provider: try row.optionalText("provider"), model: try row.optionalText("model"),
            taskID: try row.optionalText("task_id"), also: try row.texts("also"),
            loses: try row.text("loses"), credits: try row.optionalInt64("credits"),
            amount: try row.optionalText("amount"), unit: try row.optionalText("unit"),
            detail: try row.text("detail"), cause: try row.text("cause"), fix: try row.text("fix"),
            meaning: try row.text("meaning"), evidence: try row.text("evidence"),
            firstSeenAt: try row.instant("first_seen_us"),
            lastSeenAt: try row.instant("last_seen_us"),
            resolvedAt: try row.optionalInstant("resolved_us"),
            resolvedBy: try row.optionalText("resolved_by"),
            resolution: try row.optionalText("resolution"),
            closedAt: try row.optionalInstant("closed_us"),
            closedHow: try row.optionalText("closed_how"), now: try row.instant("now_us"))
    }
}
