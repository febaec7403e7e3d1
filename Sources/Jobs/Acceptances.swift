package import Core
package import Postgres

/// What became of the wish to have a refused file delivered.
package enum AcceptanceStart: Sendable {
    /// The file is leased to this run; and its name in the quarantine store.
    case begun(FileItem, objectName: String?)
    /// It was delivered by the same wish before.
    case already
    /// Nothing was changed.
    case refused(Failure)
}

/// Refused files that a person has delivered all the same.
package struct Acceptances: Sendable {
    private let run: Run

    package init(run: Run) { self.run = run }

    /// Begins under the file's lease.
    ///
    /// - Parameter actor: Who does it, as the audit trail shows it: `person:anna@host1`.
    package func begin(
        _ connection: borrowing Connection, _ jobID: String, ordinal: Int, sha256: String,
        reason: String, actor: String
    ) throws -> AcceptanceStart {
        let row = try connection.query(
            """
            SELECT b.outcome, b.detail, b.object_name, (b.item).* FROM holdfast.accept_refused(
                \(run.runID)::uuid, \(jobID), \(ordinal)::integer, \(sha256), \(reason),
                \(actor), \(run.clockOffset)::interval) b
            """
        ).single()
        let detail = try row.optionalText("detail") ?? ""
        let file = "file \(ordinal) of job '\(jobID)'"
        func refused(
            _ code: String, _ words: String, _ status: ExitStatus = .needsPerson
        ) -> AcceptanceStart {
            .refused(Failure(status, code: code, "\(words); nothing was changed"))
        }
        switch try row.text("outcome") {
        case "begun":
            return .begun(try FileItem(row), objectName: try row.optionalText("object_name"))
        case "already": return .already
        case "no_file":
            return refused(
                "no_such_file", "job '\(jobID)' has no file \(ordinal); see holdfast asset list",
                .notFound)
        case "closed":
            return refused("job_closed", "job '\(jobID)' is \(detail): its files are settled")
        case "not_refused":
            return refused("not_refused", "\(file) was not refused: it is \(detail)")
        case "digest_differs":
            return refused(
                "digest_differs",
                "\(file) arrived with sha256 \(detail), which is not the one given; look at what "
                    + "is to be delivered, and give its own")
        case "runnable":
            return refused(
                "type_refused",
                "\(file) is \(detail), which a browser may run, and is delivered to nobody; give "
                    + "it up with holdfast job refund")
        case "blocked":
            return refused(
                "job_blocked",
                "job '\(jobID)' is stopped by something else (\(detail)); see holdfast job show")
        case "busy":
            return refused(
                "file_busy",
                "another run is at \(file); try again when its lease is over, in two minutes")
        case let word:
            throw Failure(.defect, code: "database_shape", "accept_refused said \"\(word)\"")
        }
    }
}
