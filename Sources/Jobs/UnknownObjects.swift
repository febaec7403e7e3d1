package import Core
package import Postgres

/// An object in the store that no row knows, and what its name says that it is.
package struct UnknownObject: Equatable, Sendable {
    package var name: String
    package var bytes: Int64
    /// The job that it bears the name of, when there is one, and how that and its file are.
    package var jobID: String?
    package var jobState: String?
    package var fileState: String?
    package var ordinal: Int?
}

/// Compares names of objects with the rows; reads only.
package enum UnknownObjects {
    /// One object of the store, with the job and the file of its name.
    package struct Named: Sendable {
        package var name: String
        package var bytes: Int64
        package var jobID: String?
        package var ordinal: Int?

        package init(name: String, bytes: Int64, jobID: String?, ordinal: Int?) {
            self.name = name
            self.bytes = bytes
            self.jobID = jobID
            self.ordinal = ordinal
        }
    }

    /// Where the next night goes on; nil for the begin of the list.
    package static func place(_ connection: borrowing Connection) throws -> String? {
        try connection.query("SELECT place FROM holdfast.orphan_walk").first?
            .optionalText("place")
    }

    /// Keeps a page for the matching, and where the next one begins.
    package static func note(
        _ connection: borrowing Connection, _ run: Run, _ page: [Named], next: String?
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.note_orphans(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(page.map(\.name))::text[], \(page.map(\.bytes))::bigint[],
                \(page.map { $0.jobID ?? "" })::text[],
                \(page.map { $0.ordinal ?? -1 })::integer[], \(next))
            """)
    }

    /// Those of a page that no row knows.
    package static func among(
        _ connection: borrowing Connection, _ page: [Named]
    ) throws -> [UnknownObject] {
        let byName = Dictionary(page.map { ($0.name, $0) }, uniquingKeysWith: { one, _ in one })
        return try connection.query(
            """
            SELECT * FROM holdfast.unknown_objects(\(page.map(\.name))::text[],
                \(page.map { $0.jobID ?? "" })::text[],
                \(page.map { $0.ordinal ?? -1 })::integer[])
            """
        ).map { row in
            let name = try row.text("name")
            return UnknownObject(
                name: name, bytes: byName[name]?.bytes ?? 0,
                jobID: try row.optionalText("job_id"),
                jobState: try row.optionalText("job_state"),
                fileState: try row.optionalText("file_state"), ordinal: byName[name]?.ordinal)
        }
    }
}
