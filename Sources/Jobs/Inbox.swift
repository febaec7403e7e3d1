package import Core
package import Postgres

/// A callback as it lies in the inbox.
package struct InboxCallback: Sendable {
    package var callbackID: Int64
    package var provider: String
    /// The headers as a JSON object.
    package var headers: String
    package var query: String
    package var body: [UInt8]
    /// SHA-256, in hex, of the secret that came with it; nil when none came.
    package var secretDigest: String?
}

/// What was read out of a callback.
package struct CallbackReading: Sendable {
    package var callbackID: Int64
    /// `right`, `wrong`, `missing` or `not_checked`.
    package var secretCheck: String
    /// Our own job id, when its tag was right.
    package var jobID: String?
    package var candidates: [String]
    package var note: String?

    package init(
        callbackID: Int64, secretCheck: String, jobID: String? = nil, candidates: [String] = [],
        note: String? = nil
    ) {
        self.callbackID = callbackID
        self.secretCheck = secretCheck
        self.jobID = jobID
        self.candidates = candidates
        self.note = note
    }
}

/// The callback inbox: read in pages, each in a transaction of its own.
package struct Inbox: Sendable {
    /// How much of a body is looked through for an id.
    package static let bodyLimitBytes = 1 << 20
    package static let pageSize = 200

    private let run: Run

    package init(run: Run) { self.run = run }

    /// Locks a page for the transaction that the caller has open; rows that another run reads are
    /// skipped.
    package func page(_ connection: borrowing Connection) throws -> [InboxCallback] {
        try connection.query(
            """
            SELECT * FROM holdfast.undrained_callbacks(\(Self.pageSize)::integer,
                \(Self.bodyLimitBytes)::integer)
            """
        ).map { row in
            InboxCallback(
                callbackID: try row.int64("callback_id"), provider: try row.text("provider"),
                headers: try row.text("headers"), query: try row.text("query"),
                body: try row.bytes("body"), secretDigest: try row.optionalText("secret_digest"))
        }
    }

    /// Marks the page as read and wakes the jobs it is about; returns counts by result.
    package func drain(
        _ connection: borrowing Connection, _ readings: [CallbackReading]
    ) throws -> [String: Int] {
        let json = JSONValue.array(
            readings.map { reading in
                [
                    "callback_id": .integer(reading.callbackID),
                    "secret_check": .string(reading.secretCheck),
                    "job_id": .optional(reading.jobID),
                    "candidates": .array(reading.candidates.map { .string($0) }),
                    "note": .optional(reading.note),
                ]
            })
        var counts: [String: Int] = [:]
        for row in try connection.query(
            """
            SELECT * FROM holdfast.drain_callbacks(\(run.runID)::uuid,
                \(run.clockOffset)::interval, \(JSON.write(json))::jsonb)
            """)
        {
            counts[try row.text("result")] = try row.int("count")
        }
        return counts
    }
}
