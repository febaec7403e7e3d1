package import Core
package import Postgres

package enum AssetState: String, Sendable, CaseIterable {
    case pending, stored, lost
    /// The job was closed before the file was stored.
    case dropped
    /// It was stored, and its customer wanted to be forgotten.
    case forgotten
}

/// A result file as people see it.
package struct AssetSummary: Sendable {
    /// A refetch of the file that has not come to its end.
    package struct Unfinished: Equatable, Sendable {
        package var errorMessage: String?
        /// Nil when no run is at it.
        package var leasedUntil: Instant?
    }

    package var jobID: String
    package var ordinal: Int
    package var accountID: String
    package var provider: String
    package var state: AssetState
    package var contentType: String?
    package var bytes: Int64?
    package var sha256: String?
    package var objectKey: String?
    package var publicURL: String?
    /// Without its query, which is a secret while it lives.
    package var sourceURL: String
    package var sourceExpiresAt: Instant?
    package var attempts: Int
    package var errorMessage: String?
    package var storedAt: Instant?
    package var unfinished: Unfinished?
    /// What its source sends instead of media; nil for a file that is not refused.
    package var refused: RefusedContent?
    /// The database's clock when this was read, shifted by the clock offset.
    package var now: Instant
}

/// Which files a person wants to see; all that is given must hold.
package struct AssetFilter: Sendable {
    package var jobIDs: [String] = []
    package var accountID: String?
    package var state: AssetState?
    /// The source's address ends within this time, or has ended.
    package var expiring: Duration?
    package var limit = 50

    package init() {}
}

/// What people ask about files; reads only.
package struct AssetQueries: Sendable {
    private let clockOffset: Duration

    package init(clockOffset: Duration = .zero) { self.clockOffset = clockOffset }

    private var now: SQL { "(now() + \(clockOffset)::interval)" }

    /// Pending ones first, nearest expiry first; then those that are lost, those that are stored and
    /// those that were dropped or forgotten, newest first.
    ///
    /// Each state is read along an index of its own and no further than the limit.
    package func list(
        _ connection: borrowing Connection, _ filter: AssetFilter
    ) throws -> [AssetSummary] {
        let states = filter.state.map { [$0] } ?? [.pending, .lost, .stored, .dropped, .forgotten]
        var found: [AssetSummary] = []
        for state in states where found.count < filter.limit {
            found += try list(connection, filter, state, most: filter.limit - found.count)
        }
        return found
    }

    private func list(
        _ connection: borrowing Connection, _ filter: AssetFilter, _ state: AssetState, most: Int
    ) throws -> [AssetSummary] {
        var conditions: SQL = "a.state = '\(raw: state.rawValue)'"
        func add(_ condition: SQL) { conditions = "\(sql: conditions) AND \(sql: condition)" }
        if !filter.jobIDs.isEmpty { add("a.job_id = ANY (\(filter.jobIDs)::text[])") }
        if let accountID = filter.accountID {
            // As an array it is looked up first, and nobody else's files are walked through.
            add(
                """
                a.job_id = ANY (ARRAY(SELECT o.job_id FROM holdfast.job o
                    WHERE o.account_id = \(accountID)))
                """)
        }
        if let expiring = filter.expiring {
            add("a.expires_by <= \(sql: now) + \(expiring)::interval")
        }
        let order: SQL =
            switch state {
            case .pending: "a.expires_by, a.job_id, a.ordinal"
            case .lost, .dropped, .forgotten: "a.created_at DESC, a.job_id DESC, a.ordinal DESC"
            case .stored: "a.stored_at DESC, a.job_id DESC, a.ordinal DESC"
            }
        return try connection.query(
            """
            SELECT \(sql: columns) FROM holdfast.asset a JOIN holdfast.job j USING (job_id)
                LEFT JOIN holdfast.refetch r USING (job_id, ordinal)
                LEFT JOIN holdfast.refused_file k USING (job_id, ordinal)
            WHERE \(sql: conditions) ORDER BY \(sql: order) LIMIT \(most)::integer
            """
        ).map { try Self.summary($0) }
    }

    /// The files of one job in their order, or one of them.
    package func files(
        _ connection: borrowing Connection, jobID: String, ordinal: Int? = nil
    ) throws -> [AssetSummary] {
        try connection.query(
            """
            SELECT \(sql: columns) FROM holdfast.asset a JOIN holdfast.job j USING (job_id)
                LEFT JOIN holdfast.refetch r USING (job_id, ordinal)
                LEFT JOIN holdfast.refused_file k USING (job_id, ordinal)
            WHERE a.job_id = \(jobID)
                AND (\(ordinal)::integer IS NULL OR a.ordinal = \(ordinal)::integer)
            ORDER BY a.ordinal
            """
        ).map { try Self.summary($0) }
    }

    private var columns: SQL {
        """
        a.job_id, a.ordinal, j.account_id, a.provider, a.state, a.content_type, a.bytes, a.sha256,
        a.object_key, a.public_url, a.source_url, a.attempts, a.error_message,
        \(raw: JobStatus.microseconds("a.source_expires_at")) AS source_expires_us,
        \(raw: JobStatus.microseconds("a.stored_at")) AS stored_us,
        \(sql: RefusedContent.columns),
        r.job_id IS NOT NULL AS is_unfinished, r.error_message AS refetch_error,
        CASE WHEN r.lease_until > \(sql: now)
            THEN \(raw: JobStatus.microseconds("r.lease_until")) END AS leased_until_us,
        \(raw: JobStatus.microseconds("clock_timestamp()"))
            + \(clockOffset.microseconds)::bigint AS now_us
        """
    }

    private static func summary(_ row: Row) throws -> AssetSummary {
        let word = try row.text("state")
        guard let state = AssetState(rawValue: word) else {
            throw Failure(.defect, code: "database_shape", "a file is \"\(word)\"")
        }
        let unfinished = try AssetSummary.Unfinished(
            errorMessage: row.optionalText("refetch_error"),
            leasedUntil: row.optionalInstant("leased_until_us"))
        return AssetSummary(
            jobID: try row.text("job_id"), ordinal: try row.int("ordinal"),
            accountID: try row.text("account_id"), provider: try row.text("provider"),
            state: state, contentType: try row.optionalText("content_type"),
            bytes: try row.optionalInt64("bytes"), sha256: try row.optionalText("sha256"),
            objectKey: try row.optionalText("object_key"),
            publicURL: try row.optionalText("public_url"),
            sourceURL: URLText.withoutQuery(try row.text("source_url")),
            sourceExpiresAt: try row.optionalInstant("source_expires_us"),
            attempts: try row.int("attempts"),
            errorMessage: try row.optionalText("error_message"),
            storedAt: try row.optionalInstant("stored_us"),
            unfinished: try row.bool("is_unfinished") ? unfinished : nil,
            refused: try RefusedContent(row),
            now: try row.instant("now_us"))
    }
}
