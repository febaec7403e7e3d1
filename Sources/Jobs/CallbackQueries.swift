package import Core
package import Postgres

/// What became of a callback, or will.
package enum CallbackResult: String, Sendable, CaseIterable {
    case matched, duplicate, unmatched, refused
    /// In the inbox, not read yet.
    case waiting
}

/// A callback in a list: everything but what came with it.
package struct CallbackSummary: Sendable {
    package var callbackID: Int64
    package var provider: String
    package var result: CallbackResult
    package var secretCheck: String?
    package var jobID: String?
    package var taskIDs: [String]
    package var note: String?
    package var bodyBytes: Int64
    /// The size of the whole body where less was kept.
    package var wholeBytes: Int64?
    package var receivedAt: Instant
    package var drainedAt: Instant?
    package var replayedAt: Instant?
    package var replayedBy: String?
    package var vouchedBy: String?
    package var now: Instant
}

/// A callback with what came with it.
package struct CallbackDetail: Sendable {
    package var summary: CallbackSummary
    /// Each check by itself, as JSON; nil until it is read.
    package var checks: String?
    /// As a JSON object.
    package var headers: String
    package var query: String
    /// The beginning of the body.
    package var body: [UInt8]
    package var bodySHA256: String
    package var spoolID: String?
}

/// Which callbacks a person wants to see; all that is given must hold.
package struct CallbackFilter: Sendable {
    package var result: CallbackResult?
    package var provider: String?
    package var jobID: String?
    package var limit = 50

    package init() {}
}

/// What people ask about callbacks, and the one thing that they do to them.
package struct CallbackQueries: Sendable {
    /// How much of a body is shown.
    private static let bodyLimitBytes = 64 << 10

    private let clockOffset: Duration

    package init(clockOffset: Duration = .zero) { self.clockOffset = clockOffset }

    /// Newest first.
    package func list(
        _ connection: borrowing Connection, _ filter: CallbackFilter
    ) throws -> [CallbackSummary] {
        var conditions: SQL = "true"
        func add(_ condition: SQL) { conditions = "\(sql: conditions) AND \(sql: condition)" }
        switch filter.result {
        case .waiting: add("c.drained_at IS NULL")
        case let result?: add("c.result = \(result.rawValue) AND c.drained_at IS NOT NULL")
        case nil: break
        }
        if let provider = filter.provider { add("c.provider = \(provider)") }
        if let jobID = filter.jobID { add("c.job_id = \(jobID)") }
        return try connection.query(
            """
            SELECT \(sql: columns) FROM holdfast.callback c WHERE \(sql: conditions)
            ORDER BY c.callback_id DESC LIMIT \(filter.limit)::integer
            """
        ).map { try Self.summary($0) }
    }

    /// One callback; nil when there is none of that id.
    package func callback(
        _ connection: borrowing Connection, _ callbackID: Int64
    ) throws -> CallbackDetail? {
        try connection.query(
            """
            SELECT \(sql: columns), c.checks::text AS checks, c.headers::text AS headers, c.query,
                substring(c.body FROM 1 FOR \(Self.bodyLimitBytes)::integer) AS body,
                encode(coalesce(c.whole_sha256, sha256(c.body)), 'hex') AS body_sha256,
                (SELECT s.spool_id FROM holdfast.spooled_callback s
                    WHERE s.callback_id = c.callback_id LIMIT 1) AS spool_id
            FROM holdfast.callback c WHERE c.callback_id = \(callbackID)::bigint
            """
        ).first.map { row in
            CallbackDetail(
                summary: try Self.summary(row), checks: try row.optionalText("checks"),
                headers: try row.text("headers"), query: try row.text("query"),
                body: try row.bytes("body"), bodySHA256: try row.text("body_sha256"),
                spoolID: try row.optionalText("spool_id"))
        }
    }

    /// Puts a callback back into the inbox.
    ///
    /// - Parameter vouches: Whether the actor believes it although it was refused.
    /// - Returns: what it was before; `waiting` was there already, and `refused` without anybody to
    ///   vouch for it stays as it is. Nil when there is none of that id.
    package func replay(
        _ connection: borrowing Connection, _ callbackID: Int64, actor: String, vouches: Bool
    ) throws -> CallbackResult? {
        try connection.query(
            """
            SELECT holdfast.replay_callback(\(callbackID)::bigint, \(actor), \(vouches)::boolean)
                AS was
            """
        ).single().optionalText("was").flatMap(CallbackResult.init(rawValue:))
    }

    private var columns: SQL {
        """
        c.callback_id, c.provider, CASE WHEN c.drained_at IS NULL THEN 'waiting'
            ELSE c.result END AS result, c.secret_check, c.job_id, c.candidates, c.note,
        octet_length(c.body) AS body_bytes, c.whole_bytes,
        \(raw: JobStatus.microseconds("c.received_at")) AS received_us,
        \(raw: JobStatus.microseconds("c.drained_at")) AS drained_us,
        \(raw: JobStatus.microseconds("c.replayed_at")) AS replayed_us,
        c.replayed_by, c.vouched_by,
        \(raw: JobStatus.microseconds("clock_timestamp()"))
            + \(clockOffset.microseconds)::bigint AS now_us
        """
    }

    private static func summary(_ row: Row) throws -> CallbackSummary {
        let word = try row.text("result")
        guard let result = CallbackResult(rawValue: word) else {
            throw Failure(.defect, code: "database_shape", "a callback is \"\(word)\"")
        }
        return CallbackSummary(
            callbackID: try row.int64("callback_id"), provider: try row.text("provider"),
            result: result, secretCheck: try row.optionalText("secret_check"),
            jobID: try row.optionalText("job_id"), taskIDs: try row.texts("candidates"),
            note: try row.optionalText("note"), bodyBytes: try row.int64("body_bytes"),
            wholeBytes: try row.optionalInt64("whole_bytes"),
            receivedAt: try row.instant("received_us"),
            drainedAt: try row.optionalInstant("drained_us"),
            replayedAt: try row.optionalInstant("replayed_us"),
            replayedBy: try row.optionalText("replayed_by"),
            vouchedBy: try row.optionalText("vouched_by"), now: try row.instant("now_us"))
    }
}
