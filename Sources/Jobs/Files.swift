package import Core
package import Postgres

/// A claimed result file, on its way into permanent storage.
package struct FileItem: Equatable, Sendable {
    package var jobID: String
    package var ordinal: Int
    /// The fencing token of the lease; every later write repeats it.
    package var token: Int64
    package var provider: String
    package var accountID: String
    package var kind: JobKind
    package var model: String
    package var endpoint: String?
    package var taskID: String?
    /// The provider's URL, verbatim: a secret while it lives.
    package var sourceURL: String
    package var sourceExpiresAt: Instant?
    /// What an earlier, broken attempt had committed.
    package var objectKey: String?
    package var uploadID: String?
    package var sha256: String?
    package var bytes: Int64?
    package var contentType: String?
    package var attempts: Int
    package var now: Instant
    /// Its source is known to send less than the policy `min_rate`.
    package var isSlow = false

    /// `job/ordinal`, for messages.
    package var name: String { "\(jobID)/\(ordinal)" }
}

extension FileItem {
    init(_ row: Row) throws {
        self.init(
            jobID: try row.text("job_id"), ordinal: try row.int("ordinal"),
            token: try row.int64("token"), provider: try row.text("provider"),
            accountID: try row.text("account_id"),
            kind: JobKind(rawValue: try row.text("kind")) ?? .other,
            model: try row.text("model"), endpoint: try row.optionalText("endpoint"),
            taskID: try row.optionalText("task_id"), sourceURL: try row.text("source_url"),
            sourceExpiresAt: try row.optionalInstant("source_expires_us"),
            objectKey: try row.optionalText("object_key"),
            uploadID: try row.optionalText("upload_id"), sha256: try row.optionalText("sha256"),
            bytes: try row.optionalInt64("bytes"),
            contentType: try row.optionalText("content_type"), attempts: try row.int("attempts"),
            now: try row.instant("now_us"), isSlow: try row.bool("slow"))
    }
}

/// One step of one file, written only while its lease stands.
package struct FileStep: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// Key and upload are committed; the first byte may be written.
        case begun(key: String, uploadID: String, contentType: String)
        /// All bytes are had, and flushed if they were written; nothing is visible yet.
        case complete(
            key: String, uploadID: String, contentType: String, sha256: String, bytes: Int64)
        /// The object is at its key, checked.
        case stored(key: String, sha256: String, bytes: Int64, publicURL: String)
        /// The provider gave another URL.
        case refreshed(url: String, expiresAt: Instant?)
        /// Its source is slow; the lease goes on.
        case slow
        case retry(wait: Duration, message: String)
        /// A retry of what was no media, and what it was.
        case refused(wait: Duration, message: String, as: String)
        case lost(message: String)
    }

    package var item: FileItem
    package var kind: Kind

    package init(_ item: FileItem, _ kind: Kind) {
        self.item = item
        self.kind = kind
    }

    var json: JSONValue {
        var members: [JSONObject.Member] = [
            .init(key: "job_id", value: .string(item.jobID)),
            .init(key: "ordinal", value: .integer(item.ordinal)),
            .init(key: "token", value: .integer(item.token)),
        ]
        func add(_ key: String, _ value: JSONValue) {
            members.append(.init(key: key, value: value))
        }
        switch kind {
        case .begun(let key, let uploadID, let contentType):
            add("step", "begun")
            add("object_key", .string(key))
            add("upload_id", .string(uploadID))
            add("content_type", .string(contentType))
        case .complete(let key, let uploadID, let contentType, let sha256, let bytes):
            add("step", "complete")
            add("object_key", .string(key))
            add("upload_id", .string(uploadID))
            add("content_type", .string(contentType))
            add("sha256", .string(sha256))
            add("bytes", .integer(bytes))
        case .stored(let key, let sha256, let bytes, let publicURL):
            add("step", "stored")
            add("object_key", .string(key))
            add("sha256", .string(sha256))
            add("bytes", .integer(bytes))
            add("public_url", .string(publicURL))
        case .refreshed(let url, let expiresAt):
            add("step", "refreshed")
            add("source_url", .string(url))
            add("source_expires_at", .optional(expiresAt?.description))
        case .slow: add("step", "slow")
        case .retry(let wait, let message):
            add("step", "retry")
            add("wait", .string("\(wait.microseconds) microseconds"))
            add("error_message", .string(message))
        case .refused(let wait, let message, let what):
            add("step", "refused")
            add("wait", .string("\(wait.microseconds) microseconds"))
            add("error_message", .string(message))
            add("refused_as", .string(what))
        case .lost(let message):
            add("step", "lost")
            add("error_message", .string(message))
        }
        return .object(JSONObject(members))
    }
}

/// What became of a file's step, or (without an ordinal) of its job.
package struct FileResult: Equatable, Sendable {
    package var jobID: String
    package var ordinal: Int?
    package var outcome: String
    package var action: String?
    package var amount: Int64?
    package var detail: String?

    init(_ row: Row, ordinal: Int?) throws {
        jobID = try row.text("job_id")
        self.ordinal = ordinal
        outcome = try row.text("outcome")
        action = try row.optionalText("action")
        amount = try row.optionalInt64("amount")
        detail = try row.optionalText("detail")
    }

    /// The same as the result of the job's move.
    package var move: MoveResult {
        MoveResult(
            jobID: jobID, outcome: outcome, action: action, amount: amount, detail: detail)
    }
}

/// Less than so many bytes a second for so long, and a source is slow.
package struct PaceLimit: Equatable, Sendable {
    package var bytesPerSecond: Int64
    package var window: Duration

    package init(bytesPerSecond: Int64, window: Duration) {
        self.bytesPerSecond = bytesPerSecond
        self.window = window
    }

    /// For messages.
    package var words: String {
        "min_rate (\(bytesPerSecond) bytes a second over slow_after, \(DurationText.describe(window)))"
    }
}

/// What a claim brought.
package struct FileClaim {
    package var items: [FileItem] = []
    /// The only item is one whose claims have kept ending without a result; nothing else is to be
    /// under way beside it.
    package var isSuspect = false
    /// Jobs set aside because their files were claimed too often without a result.
    package var setAside: [String] = []

    package var isEmpty: Bool { items.isEmpty && setAside.isEmpty }
    /// How many of the items come from sources that are not known to be slow.
    package var ordinaryItems: Int { items.count { !$0.isSlow } }
}

/// Leases on files, and the steps written under them.
package struct Files: Sendable {
    /// Whose files they are, and so where their leases and steps are kept.
    package enum Purpose: Sendable {
        /// Of jobs that are to be delivered.
        case delivery
        /// Of settled jobs, for a person who wants them fetched once more.
        case refetch
        /// Of a job that waits for a person, who wants a refused file delivered.
        case acceptance
    }

    package let purpose: Purpose
    private let run: Run
    var runID: String { run.runID }
    var clockOffset: Duration { run.clockOffset }

    package init(run: Run, purpose: Purpose = .delivery) {
        self.run = run
        self.purpose = purpose
    }

    /// The function of the database that does it for files of this purpose.
    private func function(
        _ delivery: String, _ refetch: String, acceptance: String? = nil
    ) -> SQL {
        let name =
            switch purpose {
            case .delivery: delivery
            case .refetch: refetch
            case .acceptance: acceptance ?? delivery
            }
        return SQL(raw: "holdfast." + name)
    }

    /// Claims files, nearest expiry first.
    ///
    /// - Parameters:
    ///   - mostSlow: At most so many, beside the others, whose sources are known to be slow.
    ///   - alone: The run holds no file, so that a suspect may be claimed.
    package func claim(
        _ connection: borrowing Connection, most: Int, mostSlow: Int, alone: Bool,
        jobIDs: [String], providers: [String]
    ) throws -> FileClaim {
        let rows = try connection.query(
            """
            SELECT (c.item).*, c.suspect, c.set_aside FROM holdfast.claim_files(
                \(run.runID)::uuid, \(most)::integer, \(mostSlow)::integer, \(alone),
                \(jobIDs)::text[], \(providers)::text[], \(run.clockOffset)::interval) c
            """)
        var claim = FileClaim()
        for row in rows {
            if let jobID = try row.optionalText("set_aside") {
                claim.setAside.append(jobID)
            } else {
                claim.items.append(try FileItem(row))
                claim.isSuspect = try row.bool("suspect")
            }
        }
        return claim
    }

    /// What a claim would bring: reads only, for a dry run.
    package func due(
        _ connection: borrowing Connection, most: Int, jobIDs: [String], providers: [String]
    ) throws -> [FileItem] {
        try connection.query(
            """
            SELECT d.* FROM holdfast.due_files(\(most)::integer, \(jobIDs)::text[],
                \(providers)::text[], clock_timestamp() + \(run.clockOffset)::interval) d
            """
        ).map { try FileItem($0) }
    }

    package func renew(_ connection: borrowing Connection, _ held: [FileItem]) throws {
        try connection.execute(
            """
            SELECT \(sql: function("renew_file_leases", "renew_refetches"))(\(run.runID)::uuid,
                \(held.map(\.jobID))::text[], \(held.map(\.ordinal))::integer[],
                \(held.map(\.token))::bigint[], \(run.clockOffset)::interval)
            """)
    }

    package func release(_ connection: borrowing Connection, _ held: [FileItem]) throws {
        guard !held.isEmpty else { return }
        try connection.execute(
            """
            SELECT \(sql: function("release_files", "release_refetches"))(\(run.runID)::uuid,
                \(held.map(\.jobID))::text[], \(held.map(\.ordinal))::integer[],
                \(held.map(\.token))::bigint[], \(run.clockOffset)::interval)
            """)
    }

    /// How slow a source may be, as the policies say.
    package func pace(_ connection: borrowing Connection) throws -> PaceLimit {
        let row = try connection.query(
            """
            SELECT holdfast.policy_value('min_rate')::bigint AS rate,
                (extract(epoch FROM holdfast.policy_interval('slow_after')) * 1000000)::bigint
                    AS after_us
            """
        ).single()
        return PaceLimit(
            bytesPerSecond: try row.int64("rate"), window: try row.duration("after_us"))
    }

    /// Gives this run's place up while it keeps its leases.
    package func leavePlace(_ connection: borrowing Connection) throws {
        try connection.execute(
            "SELECT holdfast.leave_place(\(run.runID)::uuid, \(run.clockOffset)::interval)")
    }

    /// Whether it is this run's turn at something that one of all hosts does once in a while.
    package func takeTurn(
        _ connection: borrowing Connection, _ name: String, every interval: Duration
    ) throws -> Bool {
        try connection.query(
            """
            SELECT holdfast.take_turn(\(name), \(interval)::interval, \(run.runID)::uuid,
                \(run.clockOffset)::interval) AS mine
            """
        ).single().bool("mine")
    }

    /// Writes steps, in one statement, with the deliveries and credits that follow from them.
    ///
    /// A step that the database refuses is found by halves: its job waits for a person (`unwritable`,
    /// and `refused` for the job), and the others are written. Where a person waits for the file, it
    /// is thrown.
    package func record(
        _ connection: borrowing Connection, _ steps: [FileStep]
    ) throws -> [FileResult] {
        guard !steps.isEmpty else { return [] }
        guard purpose == .delivery else { return try write(connection, steps) }
        var refused: [FileResult] = []
        let written = try connection.bisecting(steps) {
            try write(connection, $0)
        } refused: { step, error in
            refused += try refuse(connection, step, error.description)
        }
        return written.flatMap(\.self) + refused
    }

    private func write(
        _ connection: borrowing Connection, _ steps: [FileStep]
    ) throws -> [FileResult] {
        let json = JSON.write(.array(steps.map(\.json)))
        return try connection.repeatableStatement {
            try connection.query(
                """
                SELECT r.* FROM \(sql: function("record_files", "record_refetches",
                    acceptance: "record_accepted"))(
                    \(run.runID)::uuid, \(run.clockOffset)::interval, \(json)::jsonb) r
                """
            ).map { try FileResult($0, ordinal: try $0.optionalInt("ordinal")) }
        }
    }

    private func refuse(
        _ connection: borrowing Connection, _ step: FileStep, _ complaint: String
    ) throws -> [FileResult] {
        let item = step.item
        return try connection.query(
            """
            SELECT r.* FROM holdfast.refuse_file(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(item.jobID), \(item.ordinal)::integer, \(item.token)::bigint, \(complaint)) r
            """
        ).map { try FileResult($0, ordinal: try $0.optionalInt("ordinal")) }
    }

    /// Delivers jobs of one account that had to be left, and waits for that account: at most half a
    /// second, in a transaction of its own.
    package func deliverLeft(
        _ connection: borrowing Connection, of account: String, most: Int
    ) throws -> [FileResult] {
        try connection.repeatableStatement {
            try connection.query(
                """
                SELECT d.* FROM holdfast.deliver_left_of(\(run.runID)::uuid,
                    \(run.clockOffset)::interval, \(account), \(most)::integer) d
                """
            ).map { try FileResult($0, ordinal: nil) }
        }
    }

    /// Delivers a page of jobs, behind `after`, that had to be left because somebody else held them.
    package func deliverLeft(
        _ connection: borrowing Connection, after: String, most: Int
    ) throws -> [FileResult] {
        try connection.repeatableStatement {
            try connection.query(
                """
                SELECT d.* FROM holdfast.deliver_left(\(run.runID)::uuid,
                    \(run.clockOffset)::interval, \(after), \(most)::integer) d
                """
            ).map { try FileResult($0, ordinal: nil) }
        }
    }
}
