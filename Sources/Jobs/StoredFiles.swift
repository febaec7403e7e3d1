package import Core
package import Postgres

/// An object as the database believes it to be.
package struct StoredFile: Equatable, Sendable {
    package var jobID: String
    package var ordinal: Int
    package var objectKey: String
    package var bytes: Int64
    package var sha256: String
    package var storedAt: Instant

    package init(
        jobID: String, ordinal: Int, objectKey: String, bytes: Int64, sha256: String,
        storedAt: Instant
    ) {
        self.jobID = jobID
        self.ordinal = ordinal
        self.objectKey = objectKey
        self.bytes = bytes
        self.sha256 = sha256
        self.storedAt = storedAt
    }
}

/// The files that are in the store, as far as somebody wants to look at them; reads only.
package struct StoredFiles: Sendable {
    /// Empty for all jobs.
    private let jobIDs: [String]
    /// Only files that were stored within this time.
    private let since: Duration?
    private let clockOffset: Duration

    /// Files that are counted one by one; more than that are estimated.
    private let countLimit: Int
    /// Files read for each one that is chosen, where there are too many to choose among all.
    private static let choice = 50.0
    static let pageRows = 500

    package init(
        jobIDs: [String] = [], since: Duration? = nil, clockOffset: Duration = .zero,
        countLimit: Int = 1_000_000
    ) {
        self.countLimit = countLimit
        self.jobIDs = jobIDs
        self.since = since
        self.clockOffset = clockOffset
    }

    private var now: SQL { "(now() + \(clockOffset)::interval)" }

    private var conditions: SQL {
        var conditions: SQL = "a.state = 'stored'"
        if !jobIDs.isEmpty {
            conditions = "\(sql: conditions) AND a.job_id = ANY (\(jobIDs)::text[])"
        }
        if let since {
            conditions = "\(sql: conditions) AND a.stored_at > \(sql: now) - \(since)::interval"
        }
        return conditions
    }

    /// How many there are; an estimate where there are too many to count.
    package func count(
        _ connection: borrowing Connection
    ) throws -> (files: Int64, isEstimated: Bool) {
        let row = try connection.query(
            """
            SELECT (SELECT count(*) FROM (SELECT FROM holdfast.asset a
                    WHERE \(sql: conditions) LIMIT \(countLimit)::integer + 1) c) AS counted,
                (SELECT reltuples::bigint FROM pg_class
                    WHERE oid = 'holdfast.asset'::regclass) AS estimated
            """
        ).single()
        let counted = try row.int64("counted")
        guard counted > countLimit else { return (counted, false) }
        return (max(counted, try row.int64("estimated")), true)
    }

    /// Some of them, chosen by chance.
    ///
    /// Where there are too many to choose among all of them, it is among those of some pages of
    /// the table, which chance chooses as well.
    package func sample(
        _ connection: borrowing Connection, _ most: Int
    ) throws -> [StoredFile] {
        let (files, isEstimated) = try count(connection)
        var percent = isEstimated ? Double(most) * Self.choice * 100 / Double(files) : 100
        while true {
            let part: SQL = percent < 100 ? "TABLESAMPLE SYSTEM (\(percent)::real)" : ""
            let found = try connection.query(
                """
                SELECT \(raw: Self.columns) FROM holdfast.asset a \(sql: part)
                WHERE \(sql: conditions) ORDER BY random() LIMIT \(most)::integer
                """
            ).map { try Self.file($0) }
            if found.count >= most || percent >= 100 { return found }
            percent *= 10
        }
    }

    /// The next page in the order in which they were stored, up to `last`; empty at the end.
    package func page(
        _ connection: borrowing Connection, after place: StoredFile?, upTo last: Instant
    ) throws -> [StoredFile] {
        var range: SQL = "a.stored_at <= \(sql: Self.timestamp(last))"
        if let place {
            range = """
                \(sql: range) AND (a.stored_at, a.job_id, a.ordinal)
                    > (\(sql: Self.timestamp(place.storedAt)), \(place.jobID),
                        \(place.ordinal)::integer)
                """
        }
        return try connection.query(
            """
            SELECT \(raw: Self.columns) FROM holdfast.asset a
            WHERE \(sql: conditions) AND \(sql: range)
            ORDER BY a.stored_at, a.job_id, a.ordinal LIMIT \(Self.pageRows)::integer
            """
        ).map { try Self.file($0) }
    }

    /// When the newest of all was stored; nil when there is none.
    package func newest(_ connection: borrowing Connection) throws -> Instant? {
        try connection.query(
            """
            SELECT \(raw: JobStatus.microseconds("max(a.stored_at)")) AS newest_us
            FROM holdfast.asset a WHERE a.state = 'stored'
            """
        ).single().optionalInstant("newest_us")
    }

    /// What the database says of a file now; nil when it is not stored any more.
    package func current(
        _ connection: borrowing Connection, _ file: StoredFile
    ) throws -> StoredFile? {
        try connection.query(
            """
            SELECT \(raw: Self.columns) FROM holdfast.asset a
            WHERE a.job_id = \(file.jobID) AND a.ordinal = \(file.ordinal)::integer
                AND a.state = 'stored'
            """
        ).first.map { try Self.file($0) }
    }

    /// To the microsecond, unlike `to_timestamp`, which rounds.
    private static func timestamp(_ instant: Instant) -> SQL {
        "('epoch'::timestamptz + \(Duration.microseconds(instant.microseconds))::interval)"
    }

    private static let columns =
        "a.job_id, a.ordinal, a.object_key, a.bytes, a.sha256, "
        + JobStatus.microseconds("a.stored_at") + " AS stored_us"

    static func file(_ row: Row) throws -> StoredFile {
        StoredFile(
            jobID: try row.text("job_id"), ordinal: try row.int("ordinal"),
            objectKey: try row.text("object_key"), bytes: try row.int64("bytes"),
            sha256: try row.text("sha256"), storedAt: try row.instant("stored_us"))
    }
}
