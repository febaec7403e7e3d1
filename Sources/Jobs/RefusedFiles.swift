package import Core
package import Postgres

/// What is kept of a file that the source sends and that is no media.
package struct KeptFile: Sendable {
    /// What it is, in words.
    package var type: String
    /// Of all bytes that were read.
    package var sha256: String
    package var bytes: Int64
    /// Those were all.
    package var isWhole: Bool
    package var head: [UInt8]

    package static let headBytes = 65_536

    package init(
        type: String, sha256: String, bytes: Int64, isWhole: Bool, head: [UInt8]
    ) {
        self.type = type
        self.sha256 = sha256
        self.bytes = bytes
        self.isWhole = isWhole
        self.head = head
    }
}

extension Files {
    /// Whether something is kept already of what the source sends.
    package func isKept(_ connection: borrowing Connection, _ item: FileItem) throws -> Bool {
        try connection.query(
            """
            SELECT EXISTS (SELECT FROM holdfast.refused_file r WHERE r.job_id = \(item.jobID)
                AND r.ordinal = \(item.ordinal)::integer) AS kept
            """
        ).single().bool("kept")
    }

    /// At most so many bytes of a refused file are read.
    package func quarantineLimit(_ connection: borrowing Connection) throws -> Int64 {
        try connection.query(
            "SELECT holdfast.policy_value('quarantine_max_bytes')::bigint AS bytes"
        ).single().int64("bytes")
    }

    /// Forgets what was kept for longer than the policy `keep_quarantine`.
    package func forgetRefused(_ connection: borrowing Connection) throws {
        try connection.execute(
            "SELECT holdfast.forget_refused(\(runID)::uuid, \(clockOffset)::interval)")
    }

    /// Keeps what is known of a refused file; nothing where its lease is lost.
    package func keep(
        _ connection: borrowing Connection, _ item: FileItem, _ file: KeptFile
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.keep_refused(\(runID)::uuid, \(item.jobID), \(item.ordinal)::integer,
                \(item.token)::bigint, \(clockOffset)::interval, \(file.type), \(file.sha256),
                \(file.bytes)::bigint, \(file.isWhole), \(file.head)::bytea)
            """)
    }
}

/// Files of one provider that are refused.
package struct RefusedCount: Equatable, Sendable {
    package var provider: String
    package var files: Int
    /// Of these, the ones whose jobs wait for a person.
    package var setAside: Int
    package var since: Instant
}

extension JobQueries {
    /// Files that are refused because they are no media, by provider.
    package func refusedFiles(_ connection: borrowing Connection) throws -> [RefusedCount] {
        try connection.query(
            """
            SELECT a.provider, count(*) AS files,
                count(*) FILTER (WHERE j.blocked = 'person') AS aside,
                \(raw: JobStatus.microseconds("min(a.refused_since)")) AS since_us
            FROM holdfast.asset a JOIN holdfast.job j USING (job_id)
            WHERE a.state = 'pending' AND a.refused_since IS NOT NULL
            GROUP BY a.provider ORDER BY a.provider
            """
        ).map { row in
            RefusedCount(
                provider: try row.text("provider"), files: try row.int("files"),
                setAside: try row.int("aside"), since: try row.instant("since_us"))
        }
    }
}
