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
    /// Less was kept than was sent.
    package var isCut: Bool
    /// SHA-256 of the whole of a cut body, where it is known.
    package var wholeSHA256: [UInt8]?
    /// SHA-256, in hex, of the secret that came with it; nil when none came.
    package var secretDigest: String?
    /// SHA-256, in hex, of the secret that the provider sent in clear.
    package var headerSecretDigest: String?
    /// What the checks came to when it was read before, as JSON; its secrets are gone since.
    package var earlierChecks: String?
    package var receivedAt: Instant

    package init(
        callbackID: Int64, provider: String, headers: String = "{}", query: String = "",
        body: [UInt8] = [], isCut: Bool = false, wholeSHA256: [UInt8]? = nil,
        secretDigest: String? = nil, headerSecretDigest: String? = nil,
        earlierChecks: String? = nil, receivedAt: Instant
    ) {
        self.callbackID = callbackID
        self.provider = provider
        self.headers = headers
        self.query = query
        self.body = body
        self.isCut = isCut
        self.wholeSHA256 = wholeSHA256
        self.secretDigest = secretDigest
        self.headerSecretDigest = headerSecretDigest
        self.earlierChecks = earlierChecks
        self.receivedAt = receivedAt
    }
}

/// What was read out of a callback.
package struct CallbackReading: Sendable {
    package var callbackID: Int64
    /// `right`, `wrong`, `missing` or `not_checked`: all checks together.
    package var secretCheck: String
    /// Each check by itself.
    package var checks: JSONValue
    /// Our own job id, when its tag was right.
    package var jobID: String?
    package var candidates: [String]
    package var note: String?
    /// Secrets whose old value was needed for it: the variable, and what names that value.
    package var oldSecrets: [(variable: String, name: String)]

    package init(
        callbackID: Int64, secretCheck: String, checks: JSONValue = .null, jobID: String? = nil,
        candidates: [String] = [], note: String? = nil,
        oldSecrets: [(variable: String, name: String)] = []
    ) {
        self.callbackID = callbackID
        self.secretCheck = secretCheck
        self.checks = checks
        self.jobID = jobID
        self.candidates = candidates
        self.note = note
        self.oldSecrets = oldSecrets
    }
}

/// What a page of the inbox came to.
package struct DrainedPage: Sendable {
    /// Callbacks by result.
    package var counts: [String: Int] = [:]
    /// Callbacks that the database refused, which stay unmatched, and what it said.
    package var setAside: [(callbackID: Int64, problem: String)] = []
}

/// The callback inbox: read in pages, each in a transaction of its own.
package struct Inbox: Sendable {
    /// An application that marks a task of a page, or wants a job of it, waits for its transaction.
    package static let pageSize = 20
    /// Bodies in one page; the one that passes it is the last.
    package static let pageLimitBytes: Int64 = 4 << 20

    private let run: Run

    package init(run: Run) { self.run = run }

    /// Locks a page behind a callback for the transaction that the caller has open; rows that
    /// another run reads are skipped.
    package func page(
        _ connection: borrowing Connection, after callbackID: Int64
    ) throws -> [InboxCallback] {
        try connection.query(
            """
            SELECT * FROM holdfast.undrained_callbacks(\(callbackID)::bigint,
                \(Self.pageSize)::integer, \(Self.pageLimitBytes)::bigint)
            """
        ).map { row in
            InboxCallback(
                callbackID: try row.int64("callback_id"), provider: try row.text("provider"),
                headers: try row.text("headers"), query: try row.text("query"),
                body: try row.bytes("body"), isCut: try row.bool("is_cut"),
                wholeSHA256: try row.optionalBytes("whole_sha256"),
                secretDigest: try row.optionalText("secret_digest"),
                headerSecretDigest: try row.optionalText("header_secret_digest"),
                earlierChecks: try row.optionalText("earlier_checks"),
                receivedAt: try row.instant("received_us"))
        }
    }

    /// The keys that a provider published at this address, when they were fetched lately enough.
    package func webhookKeys(
        _ connection: borrowing Connection, provider: String, url: String, within age: Duration
    ) throws -> String? {
        try connection.query(
            """
            SELECT k.document FROM holdfast.webhook_keys k
            WHERE k.provider = \(provider) AND k.url = \(url)
                AND k.fetched_at > clock_timestamp() - \(age)::interval
                AND k.fetched_at <= clock_timestamp()
            """
        ).first?.text("document")
    }

    /// Keeps the keys that a provider publishes.
    package func keep(
        _ connection: borrowing Connection, keys document: String, provider: String, url: String
    ) throws {
        try connection.execute(
            "SELECT holdfast.keep_webhook_keys(\(provider), \(url), \(document))")
    }

    /// What was wrong with those of a page that were refused, counted by provider.
    package func refusals(
        _ connection: borrowing Connection, of callbackIDs: [Int64]
    ) throws -> [(provider: String, why: String, count: Int, different: Int)] {
        try connection.query(
            """
            SELECT c.provider, \(raw: CallbackRefusal.why) AS why, count(*) AS count,
                count(DISTINCT c.digest) AS different
            FROM holdfast.callback c
            WHERE c.callback_id = ANY (\(callbackIDs)::bigint[])
                AND c.result = 'refused' AND c.drained_at IS NOT NULL
            GROUP BY 1, 2 ORDER BY 1, 2
            """
        ).map { row in
            (
                try row.text("provider"), try row.text("why"), try row.int("count"),
                try row.int("different")
            )
        }
    }

    /// Marks the page as read and wakes the jobs it is about.
    package func drain(
        _ connection: borrowing Connection, _ readings: [CallbackReading]
    ) throws -> DrainedPage {
        let json = JSONValue.array(
            readings.map { reading in
                [
                    "callback_id": .integer(reading.callbackID),
                    "secret_check": .string(reading.secretCheck), "checks": reading.checks,
                    "job_id": .optional(reading.jobID),
                    "candidates": .array(reading.candidates.map { .string($0) }),
                    "note": .optional(reading.note),
                    "old_secrets": .array(
                        reading.oldSecrets.map {
                            ["variable": .string($0.variable), "name": .string($0.name)]
                        }),
                ]
            })
        var page = DrainedPage()
        for row in try connection.query(
            """
            SELECT * FROM holdfast.drain_callbacks(\(run.runID)::uuid,
                \(run.clockOffset)::interval, \(JSON.write(json))::jsonb)
            """)
        {
            if let problem = try row.optionalText("problem") {
                page.setAside.append((try row.int64("callback_id"), problem))
            } else {
                page.counts[try row.text("result")] = try row.int("count")
            }
        }
        return page
    }
}
