package import Core
package import Postgres

/// How far the nightly look at stored files has come, and what it found missing.
package struct WatchedFiles: Sendable {
    /// What tonight may still do, and the last files that were looked at: for the first time, and
    /// again.
    package struct Progress: Equatable, Sendable {
        package var filesLeft: Int64
        package var bytesLeft: Int64
        package var fresh: StoredFile?
        package var again: StoredFile?
    }

    /// Files that one night looks for again at most.
    static let missingLimit = 500

    private let run: Run

    package init(run: Run) { self.run = run }

    /// Begins tonight's look, or goes on with it.
    package func begin(_ connection: borrowing Connection) throws -> Progress {
        let row = try connection.query(
            """
            SELECT w.* FROM holdfast.begin_file_watch(\(run.runID)::uuid,
                \(run.clockOffset)::interval) w
            """
        ).single()
        return Progress(
            filesLeft: try row.int64("files_left"), bytesLeft: try row.int64("bytes_left"),
            fresh: try Self.place(row, "fresh"), again: try Self.place(row, "again"))
    }

    /// Notes the last file that was looked at; nil for the others to begin from the start.
    package func note(
        _ connection: borrowing Connection, isFresh: Bool, _ place: StoredFile?, looked: Int,
        bytes: Int64
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.note_file_watch(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(isFresh), \(place?.storedAt.microseconds)::bigint, \(place?.jobID),
                \(place?.ordinal)::integer, \(looked)::bigint, \(bytes)::bigint)
            """)
    }

    /// Files that earlier nights found missing, and whether their source has them no more; it said
    /// so of the object that was stored then, not of one that was stored anew.
    package func missing(
        _ connection: borrowing Connection
    ) throws -> [(file: StoredFile, isGone: Bool)] {
        try connection.query(
            """
            SELECT a.job_id, a.ordinal, a.object_key, a.bytes, a.sha256,
                \(raw: JobStatus.microseconds("a.stored_at")) AS stored_us,
                m.is_gone AND m.stored_at = a.stored_at AS is_gone
            FROM holdfast.missing_file m JOIN holdfast.asset a USING (job_id, ordinal)
            WHERE a.state = 'stored' ORDER BY m.job_id, m.ordinal
            LIMIT \(Self.missingLimit)::integer
            """
        ).map { (try StoredFiles.file($0), try $0.bool("is_gone")) }
    }

    /// Keeps a file that is not as it should be and cannot be had again.
    package func keep(
        _ connection: borrowing Connection, _ file: StoredFile, found: String, reason: String,
        isGone: Bool
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.note_missing_file(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(file.jobID), \(file.ordinal)::integer, \(file.objectKey), \(file.sha256), \(found),
                \(reason), \(isGone))
            """)
    }

    /// Forgets a file that is as it should be.
    package func forget(_ connection: borrowing Connection, _ file: StoredFile) throws {
        try connection.execute(
            """
            SELECT holdfast.forget_missing_file(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(file.jobID), \(file.ordinal)::integer)
            """)
    }

    /// Only the place of it: when it was stored, and which it is.
    private static func place(_ row: Row, _ name: String) throws -> StoredFile? {
        guard let stored = try row.optionalInstant("\(name)_us"),
            let jobID = try row.optionalText("\(name)_job"),
            let ordinal = try row.optionalInt("\(name)_ordinal")
        else { return nil }
        return StoredFile(
            jobID: jobID, ordinal: ordinal, objectKey: "", bytes: 0, sha256: "", storedAt: stored)
    }
}
