package import Core
import HTTP
package import Jobs
package import Postgres
import Providers
import Storage

/// What became of one file that a person wanted fetched once more.
package struct RefetchedFile: Sendable {
    package enum Outcome: String, Sendable {
        /// Its object is as it should be; nothing was done.
        case fine
        case stored
        /// The source has it no more; the file is as it was, unless its job was not settled yet.
        case gone
        /// The source or the provider could not be asked now.
        case putOff = "put_off"
        /// Somebody else changed it, or is at it.
        case changed, busy
        /// Its job is blocked.
        case blocked
        /// It was never stored, and its job is over.
        case never
    }

    package var before: AssetSummary
    /// What was found in the store; nil for a file that is not said to be there.
    package var finding: ObjectFinding?
    package var outcome: Outcome
    package var after: AssetSummary
    /// Why it is not in the store.
    package var reason: String?
}

/// What became of all of them.
package struct Refetched: Sendable {
    package var files: [RefetchedFile]
    package var report: RunReport

    package init(files: [RefetchedFile], report: RunReport) {
        self.files = files
        self.report = report
    }

    /// What the files alone come to.
    package var status: ExitStatus {
        files.reduce(report.status) { worst, file in
            switch file.outcome {
            case .fine, .stored: worst
            case .putOff: ExitStatus.worst(worst, .unavailable)
            case .gone, .changed, .busy, .blocked, .never: ExitStatus.worst(worst, .needsPerson)
            }
        }
    }
}

/// Fetches files of one job once more, where their objects are not what they should be.
///
/// The store is looked at first. A job that is settled stays as it is, with its credits; one that
/// is not goes on by the same rules as ever.
package struct Refetch {
    private let wiring: Wiring
    private let target: MirrorTarget
    private let queries: AssetQueries

    package init(_ wiring: Wiring, _ target: MirrorTarget) {
        self.wiring = wiring
        self.target = target
        queries = AssetQueries(clockOffset: wiring.run.clockOffset)
    }

    /// Looks, fetches what has to be fetched, and looks at what the database says then.
    ///
    /// - Parameters:
    ///   - ordinal: Nil for all files of the job.
    ///   - actor: Who wants it, as the audit trail shows it.
    /// - Throws: `no_such_file` (66); `nothing_to_refetch` or `provider_off` (1); what the store
    ///   says (69, 78).
    package func run(
        _ connection: borrowing Connection, _ job: JobStatus, ordinal: Int?, actor: String
    ) throws -> Refetched {
        let before = try queries.files(connection, jobID: job.jobID, ordinal: ordinal)
        guard !before.isEmpty else { throw Self.noFile(job, ordinal) }
        let findings = try verify(connection, before)
        let orders = before.compactMap { Self.order($0, findings[$0.ordinal]) }
        let waits = job.state == .succeeded && before.contains { $0.state == .pending }
        let isOpen = before.contains { $0.state == .pending || $0.state == .dropped }
        guard !orders.isEmpty || isOpen else { throw Self.allFine(job, before) }
        try requireProvider(job)
        let starts =
            orders.isEmpty
            ? [:]
            : try Refetches(run: wiring.run).begin(connection, job.jobID, orders, actor: actor)
        let report = try fetch(connection, job, starts, waits)
        let after = try queries.files(connection, jobID: job.jobID, ordinal: ordinal)
        return Refetched(
            files: zip(before, after).map { before, after in
                Self.file(
                    before, after, findings[before.ordinal], starts[before.ordinal], job, report)
            }, report: report)
    }

    private func verify(
        _ connection: borrowing Connection, _ files: [AssetSummary]
    ) throws -> [Int: ObjectFinding] {
        let session = try Session()
        let verification = Verification(target.store, session, shouldStop: wiring.shouldStop)
        var rest = files.compactMap(StoredFile.init)[...]
        let stored = StoredFiles(clockOffset: wiring.run.clockOffset)
        var findings: [Int: ObjectFinding] = [:]
        try verification.run(
            next: { rest.popFirst() }, current: { try stored.current(connection, $0) },
            ended: { findings[$0.file.ordinal] = $0.finding })
        for case .unreadable(let problem) in findings.values {
            throw Failure(.needsPerson, code: "object_unreadable", problem)
        }
        return findings
    }

    /// What to begin for a file; nil when there is nothing to repair.
    private static func order(_ file: AssetSummary, _ finding: ObjectFinding?) -> RefetchOrder? {
        let reason: String
        switch (file.state, finding) {
        case (.pending, _), (.dropped, _): return nil
        case (.lost, _): reason = "it was lost" + (file.errorMessage.map { ": \($0)" } ?? "")
        case (.stored, .missing): reason = "its object is missing"
        case (.stored, .differs(let bytes, let sha256)):
            reason = "its object differs: \(bytes) bytes, sha256 \(sha256)"
        default:
            // The object may be there because an attempt died just after it.
            guard file.unfinished != nil else { return nil }
            reason = "an earlier attempt did not come to its end"
        }
        return RefetchOrder(
            ordinal: file.ordinal, objectKey: file.objectKey, sha256: file.sha256, reason: reason)
    }

    private func fetch(
        _ connection: borrowing Connection, _ job: JobStatus, _ starts: [Int: RefetchStart],
        _ waits: Bool
    ) throws -> RunReport {
        let selection = Selection(jobIDs: [job.jobID])
        let items = starts.values.compactMap { start in
            if case .begun(let item) = start { item } else { nil }
        }
        guard items.isEmpty else {
            return try StorageMirror(wiring, target, selection, refetching: items).run(connection)
        }
        guard waits || starts.values.contains(.reopened) else { return RunReport() }
        return try StorageMirror(wiring, target, selection).run(connection)
    }
}

// MARK: Outcomes

extension Refetch {
    private static func file(
        _ before: AssetSummary, _ after: AssetSummary, _ finding: ObjectFinding?,
        _ start: RefetchStart?, _ job: JobStatus, _ report: RunReport
    ) -> RefetchedFile {
        var file = RefetchedFile(
            before: before, finding: finding, outcome: .fine, after: after)
        switch start {
        case nil where before.state == .dropped || before.state == .forgotten,
            nil where before.state == .pending && job.state != .succeeded:
            file.outcome = .never
        case nil where before.state != .pending: break
        case .changed: file.outcome = .changed
        case .busy: file.outcome = .busy
        case .blocked: file.outcome = .blocked
        case .begun:
            // Somebody else may be at it again by now, who looked before it was stored.
            if after.storedAt != before.storedAt {
                file.outcome = .stored
            } else if let unfinished = after.unfinished {
                file.outcome = .putOff
                file.reason = unfinished.errorMessage
            } else {
                file.outcome = .gone
                file.reason =
                    report.problems.first {
                        $0.code == "file_lost" && $0.message.hasPrefix("file \(before.ordinal) ")
                    }?.message
            }
        case .reopened, .pending, nil:
            switch after.state {
            case .stored: file.outcome = .stored
            case .lost: file.outcome = .gone
            case .pending: file.outcome = job.blocked == nil ? .putOff : .blocked
            case .dropped, .forgotten: file.outcome = .never
            }
            file.reason = after.errorMessage
        }
        return file
    }

    private func requireProvider(_ job: JobStatus) throws(Failure) {
        guard !wiring.providers.isConfigured(job.provider) else { return }
        throw Failure(
            .needsPerson, code: "provider_off",
            "\(job.provider) is off on this host, so it could not be asked for a fresh address; set "
                + wiring.providers.missingVariables(job.provider).joined(separator: " and ")
                + "; nothing was changed")
    }

    private static func noFile(_ job: JobStatus, _ ordinal: Int?) -> Failure {
        let words =
            ordinal.map { "has no file \($0)" } ?? "has no files: it is \(job.state.rawValue)"
        return Failure(
            ordinal == nil ? .needsPerson : .notFound, code: "no_such_file",
            "job '\(job.jobID)' \(words); see holdfast asset list --job \(job.jobID)")
    }

    private static func allFine(_ job: JobStatus, _ files: [AssetSummary]) -> Failure {
        let words =
            files.count == 1
            ? "the object of file \(files[0].ordinal) of job '\(job.jobID)' is"
            : "the objects of all \(files.count) files of job '\(job.jobID)' are"
        return Failure(
            .needsPerson, code: "nothing_to_refetch",
            "\(words) in the store, with the size and SHA-256 that they should have; nothing was "
                + "changed")
    }
}

extension StoredFile {
    /// The object that the database says is there; nil for a file that is not stored.
    fileprivate init?(_ file: AssetSummary) {
        guard file.state == .stored, let objectKey = file.objectKey, let bytes = file.bytes,
            let sha256 = file.sha256, let storedAt = file.storedAt
        else { return nil }
        self.init(
            jobID: file.jobID, ordinal: file.ordinal, objectKey: objectKey, bytes: bytes,
            sha256: sha256, storedAt: storedAt)
    }
}
