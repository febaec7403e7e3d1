package import Core
package import Postgres

/// How a poll ended, as far as the job's patience is concerned.
package enum PollAnswer: String, Sendable {
    /// An answer about the task itself.
    case healthy
    /// Nothing was learned.
    case silence
    /// The provider called our request wrong.
    case refusal
}

/// Whether an answer could be read, as far as its family at the provider is concerned.
package enum Reading: String, Sendable {
    case readable, unreadable
    /// No answer, or one that tells of the provider's own trouble.
    case silence
}

/// What a run decided for one job; the database judges it against the row as it then is.
package struct Move: Equatable, Sendable {
    package var jobID: String
    package var token: Int64
    /// Set on moves that end a job for want of something, so that a late mark wins over them.
    package var revision: Int?
    /// The state to become; nil keeps the one it has.
    package var newState: JobState?
    package var errorCode: JobErrorCode?
    package var errorMessage: String?
    package var resultURLs: [String] = []
    package var urlExpiresAt: Instant?
    package var progress: Int?
    package var taskID: String?
    package var taskEndpoint: String?
    package var taskState: TaskState?
    package var cost: Cost?
    package var answer: PollAnswer?
    /// How long until the job is looked at again.
    package var wait: Duration?
    package var endsWatch = false
    package var blocked: Blocked?
    package var blockedReason: String?
    package var observation: Observation?
    /// The family that was asked, and whether what came could be read.
    package var family: String?
    package var reading: Reading?
    /// Set where the move ends something for want of an answer: it is put off while that is the
    /// provider's trouble.
    package var cause: Reading?
    /// The files stood in an answer that names no task.
    package var isUnnamed = false
    /// Files beyond policy `max_outputs`, which are not among `resultURLs`.
    package var surplus = 0

    package init(jobID: String, token: Int64) {
        self.jobID = jobID
        self.token = token
    }

    var json: JSONValue {
        var members: [JSONObject.Member] = [
            .init(key: "job_id", value: .string(jobID)),
            .init(key: "token", value: .integer(token)),
        ]
        func add(_ key: String, _ value: JSONValue?) {
            if let value { members.append(.init(key: key, value: value)) }
        }
        add("revision", revision.map { .integer($0) })
        add("new_state", newState.map { .string($0.rawValue) })
        add("error_code", errorCode.map { .string($0.rawValue) })
        add("error_message", errorMessage.map { .string($0) })
        if newState == .succeeded {
            add("result_urls", .array(resultURLs.map { .string($0) }))
            add("files", .integer(resultURLs.count))
        }
        if isUnnamed { add("is_unnamed", .bool(true)) }
        if surplus > 0 { add("surplus", .integer(surplus)) }
        add("url_expires_at", urlExpiresAt.map { .string($0.description) })
        add("progress", progress.map { .integer(min(max($0, 0), 100)) })
        add("task_id", taskID.map { .string($0) })
        add("task_endpoint", taskEndpoint.map { .string($0) })
        add("task_state", taskState.map { .string($0.rawValue) })
        add("cost_amount", cost.map { .string($0.amount) })
        add("cost_unit", cost.map { .string($0.unit) })
        add("answer", answer.map { .string($0.rawValue) })
        add("wait", wait.map { .string("\($0.microseconds) microseconds") })
        if endsWatch { add("ends_watch", .bool(true)) }
        add("blocked", blocked.map { .string($0.rawValue) })
        add("blocked_reason", blockedReason.map { .string($0) })
        add("observation", observation?.json)
        add("family", family.map { .string($0) })
        add("reading", reading.map { .string($0.rawValue) })
        add("cause", cause.map { .string($0.rawValue) })
        return .object(JSONObject(members))
    }
}

/// A verdict with its evidence, as it is kept: bounded, redacted, with the original's digest.
package struct Observation: Equatable, Sendable {
    /// `poll`, `lookup` or `retrigger`.
    package var source: String
    package var httpStatus: Int?
    package var verdict: Verdict
    package var evidence: String?
    package var bodyDigest: String?
    package var bodyBytes: Int?

    package init(
        source: String, httpStatus: Int?, verdict: Verdict, evidence: String?,
        bodyDigest: String? = nil, bodyBytes: Int? = nil
    ) {
        self.source = source
        self.httpStatus = httpStatus
        self.verdict = verdict
        self.evidence = evidence
        self.bodyDigest = bodyDigest
        self.bodyBytes = bodyBytes
    }

    var json: JSONValue {
        [
            "source": .string(source),
            "http_status": httpStatus.map { .integer($0) } ?? .null,
            "state": .string(verdict.state.rawValue),
            "error_class": .string(verdict.errorClass.rawValue),
            "error_message": .optional(verdict.errorMessage.map { String($0.prefix(1000)) }),
            "progress": verdict.progress.map { .integer(min(max($0, 0), 100)) } ?? .null,
            "evidence": .optional(evidence),
            "body_sha256": .optional(bodyDigest),
            "body_bytes": bodyBytes.map { .integer($0) } ?? .null,
        ]
    }
}

/// What became of a move.
package struct MoveResult: Equatable, Sendable {
    package var jobID: String
    /// `go`, `lease_lost`, `finished_meanwhile`, `postponed`, `braked`, `refused` (the database would
    /// not have it, and the job waits for a person) or `locked` (somebody else holds the job or its
    /// account; nothing changed, and the lease stays).
    package var outcome: String
    /// capture, void, charge, refund or waive; nil when no credits moved.
    package var action: String?
    package var amount: Int64?
    /// Why it was braked or refused; of a locked one the account, where that is what is held.
    package var detail: String?
    /// For a released move: the state it led to.
    package var newState: String?
}

extension MoveResult {
    init(_ row: Row, newState: String? = nil) throws {
        self.init(
            jobID: try row.text("job_id"), outcome: try row.text("outcome"),
            action: try row.optionalText("action"), amount: try row.optionalInt64("amount"),
            detail: try row.optionalText("detail"), newState: newState)
    }
}

/// Writes what a run decided, with its credits.
package struct Moves: Sendable {
    private let run: Run

    package init(run: Run) { self.run = run }

    /// Writes moves; what somebody else holds comes back as it was.
    ///
    /// - Parameters:
    ///   - connection: Outside a transaction, so that what is locked is free at once.
    ///   - moves: One for each job.
    ///   - isPatient: Waits half a second for the moves' accounts: for those of one account, in a
    ///     transaction of their own.
    package func record(
        _ connection: borrowing Connection, _ moves: [Move], isPatient: Bool = false
    ) throws -> [MoveResult] {
        moves.isEmpty ? [] : try write(connection, moves, isPatient: isPatient)
    }

    /// Has the server plan what `record` does, while nothing is locked: that takes it longer than
    /// several moves.
    package func prepare(_ connection: borrowing Connection) throws {
        _ = try connection.repeatableStatement { try write(connection, [], isPatient: false) }
    }

    private func write(
        _ connection: borrowing Connection, _ moves: [Move], isPatient: Bool
    ) throws -> [MoveResult] {
        let json = JSON.write(.array(moves.map(\.json)))
        return try connection.query(
            """
            SELECT r.* FROM holdfast.record_moves(\(run.runID)::uuid, \(run.command),
                \(run.clockOffset)::interval, \(json)::jsonb, \(isPatient)) r
            """
        ).map { try MoveResult($0) }
    }

    /// Applies moves that a brake had stopped and a person released, of the named jobs or of all.
    package func applyReleased(
        _ connection: borrowing Connection, most: Int, jobIDs: [String]
    ) throws -> [MoveResult] {
        try connection.query(
            """
            SELECT r.* FROM holdfast.apply_released(\(run.runID)::uuid, \(run.command),
                \(run.clockOffset)::interval, \(most)::integer, \(jobIDs)::text[]) r
            """
        ).map { try MoveResult($0, newState: try $0.optionalText("new_state")) }
    }
}
