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
    /// It has more bytes than are ever kept.
    package var isTooLarge: Bool
    /// A browser may run it.
    package var isRunnable: Bool
    /// Its name in the quarantine store; nil where it is not there.
    package var objectName: String?

    package static let headBytes = 65_536

    package init(
        type: String, sha256: String, bytes: Int64, isWhole: Bool, head: [UInt8],
        isTooLarge: Bool, isRunnable: Bool, objectName: String?
    ) {
        self.type = type
        self.sha256 = sha256
        self.bytes = bytes
        self.isWhole = isWhole
        self.head = head
        self.isTooLarge = isTooLarge
        self.isRunnable = isRunnable
        self.objectName = objectName
    }
}

extension Files {
    /// Whether all that can be kept of what the source sends is kept already.
    ///
    /// - Parameter inStore: There is a quarantine store, which takes all of it.
    package func isKept(
        _ connection: borrowing Connection, _ item: FileItem, inStore: Bool
    ) throws -> Bool {
        try connection.query(
            """
            SELECT EXISTS (SELECT FROM holdfast.refused_file r WHERE r.job_id = \(item.jobID)
                AND r.ordinal = \(item.ordinal)::integer AND (r.is_too_large
                    OR r.is_whole AND (r.object_name IS NOT NULL OR NOT \(inStore)))) AS kept
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
    ///
    /// - Returns: the objects in the quarantine store that are as old.
    package func forgetRefused(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT f AS name FROM holdfast.forget_refused(\(runID)::uuid, \(clockOffset)::interval) f
            """
        ).map { try $0.text("name") }
    }

    /// Writes down that objects are in the quarantine store no more.
    package func forgetQuarantined(
        _ connection: borrowing Connection, _ names: [String]
    ) throws {
        guard !names.isEmpty else { return }
        try connection.execute("SELECT holdfast.forget_quarantined(\(names)::text[])")
    }

    /// Writes an object's name down before its first byte is written; false when the lease is lost.
    package func beginQuarantine(
        _ connection: borrowing Connection, _ item: FileItem, _ name: String
    ) throws -> Bool {
        try connection.query(
            """
            SELECT holdfast.begin_quarantine(\(runID)::uuid, \(item.jobID),
                \(item.ordinal)::integer, \(item.token)::bigint, \(clockOffset)::interval, \(name))
                AS begun
            """
        ).single().bool("begun")
    }

    /// Keeps what is known of a refused file; nothing where its lease is lost.
    package func keep(
        _ connection: borrowing Connection, _ item: FileItem, _ file: KeptFile
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.keep_refused(\(runID)::uuid, \(item.jobID), \(item.ordinal)::integer,
                \(item.token)::bigint, \(clockOffset)::interval, \(file.type), \(file.sha256),
                \(file.bytes)::bigint, \(file.isWhole), \(file.head)::bytea, \(file.isTooLarge),
                \(file.isRunnable), \(file.objectName))
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
