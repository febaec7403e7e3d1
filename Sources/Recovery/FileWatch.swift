package import Core
import HTTP
import Jobs
package import Postgres
import Storage

/// What a nightly look at stored files came to.
package struct FileWatchReport: Sendable {
    /// Files that were looked at.
    package var looked = 0
    /// For people, each a sentence about one file or about the store.
    package var warnings: [String] = []
    /// What a person must look at: the store is not the one that the files are in.
    package var problem: RunReport.Problem?
}

/// The nightly look at files that are in the store: those that no night has seen, then others in turn.
///
/// The store is asked what it has without its bytes; these are read where it tells no checksum, and
/// only as many as the night may. What is missing or differs is stored again while its source lives.
package struct FileWatch {
    /// Files that are looked at between two notes of how far it came.
    static let page = 200
    /// Files stored longer ago are not looked at.
    static let age = Duration.seconds(30 * 86_400)
    /// So many missing files, and more than half of those looked at, are trouble of the store.
    static let manyMissing = 20
    /// So many files that could not be looked at, and none that could, are the same.
    static let manyUnreadable = 8
    static let warningLimit = 10

    /// Who does it, as a job's story shows it.
    private static let actor = "ledger-reconciler"

    private let wiring: Wiring
    private let target: MirrorTarget
    private let watched: WatchedFiles
    private let stored: StoredFiles
    private let queries: JobQueries
    private let deadline: ContinuousClock.Instant
    private let session: Session

    private struct Trouble: Error { var words: String }

    /// - Parameter timeBudget: After this long nothing more is looked at; the next night goes on.
    package init(_ wiring: Wiring, _ target: MirrorTarget, timeBudget: Duration) throws {
        self.wiring = wiring
        self.target = target
        let offset = wiring.run.clockOffset
        watched = WatchedFiles(run: wiring.run)
        stored = StoredFiles(since: Self.age, clockOffset: offset)
        queries = JobQueries(clockOffset: offset)
        deadline = .now + timeBudget
        session = try Session()
    }

    private var isOver: Bool { wiring.shouldStop() || ContinuousClock.now >= deadline }

    /// What tonight has come to so far.
    private struct Night {
        var progress: WatchedFiles.Progress
        var report = FileWatchReport()
        /// Files that earlier nights found missing: they are looked at apart from the others.
        var known: Set<String> = []
        /// The store was seen to be the one that the files are in.
        var isStoreKnown = false
    }

    /// Looks until the night's share is looked at, the time is over or somebody wants it to stop.
    ///
    /// A file or a store that fails is a warning; what the database says is thrown.
    package func run(_ connection: borrowing Connection) throws -> FileWatchReport {
        var night = Night(progress: try watched.begin(connection))
        do {
            let missing = try lookForMissing(connection, &night)
            try lookAtShare(connection, &night)
            try mend(connection, missing, &night)
        } catch let trouble as Trouble {
            night.report.warnings.append(trouble.words)
        }
        return night.report
    }

    /// Looks again for what earlier nights found missing: somebody may have brought it back.
    ///
    /// - Returns: What is to be mended. A file that its source has no more is not: nobody is asked
    ///   for it again.
    private func lookForMissing(
        _ connection: borrowing Connection, _ night: inout Night
    ) throws -> [VerifiedFile] {
        let missing = try watched.missing(connection)
        guard !missing.isEmpty else { return [] }
        night.known = Set(missing.map { Self.name($0.file) })
        let gone = Set(missing.filter(\.isGone).map { Self.name($0.file) })
        let look = try look(connection, missing.map(\.file), bytesLeft: night.progress.bytesLeft)
        night.progress.bytesLeft -= look.bytes
        for verified in look.found where verified.finding == .ok {
            try watched.forget(connection, verified.file)
        }
        return look.found.filter { $0.finding != .ok && !gone.contains(Self.name($0.file)) }
    }

    /// Looks at the files that no night has seen, then at others.
    private func lookAtShare(
        _ connection: borrowing Connection, _ night: inout Night
    ) throws {
        guard night.progress.filesLeft > 0, let newest = try stored.newest(connection) else {
            return
        }
        let seen = night.progress.fresh
        try walk(connection, isFresh: true, upTo: newest, &night)
        if let seen { try walk(connection, isFresh: false, upTo: seen.storedAt, &night) }
    }

    /// Looks at files page by page, in the order in which they were stored; those that were looked
    /// at before begin again from the start once.
    private func walk(
        _ connection: borrowing Connection, isFresh: Bool, upTo last: Instant, _ night: inout Night
    ) throws {
        var mayBeginAgain = !isFresh && night.progress.again != nil
        while night.progress.filesLeft > 0, !isOver {
            let place = isFresh ? night.progress.fresh : night.progress.again
            let most = Int(clamping: min(night.progress.filesLeft, Int64(Self.page)))
            let files = Array(
                try stored.page(connection, after: place, upTo: last).prefix(most))
            if files.isEmpty {
                guard mayBeginAgain else { return }
                mayBeginAgain = false
                night.progress.again = nil
                continue
            }
            let look = try look(
                connection, files.filter { !night.known.contains(Self.name($0)) },
                bytesLeft: night.progress.bytesLeft)
            night.report.looked += look.found.count
            try judge(look, &night.report)
            try mend(connection, look.found, &night)
            let end = look.isWhole ? files.last : look.end
            guard let end else { return }
            try watched.note(
                connection, isFresh: isFresh, end, looked: look.found.count, bytes: look.bytes)
            night.progress.filesLeft -= Int64(look.found.count)
            night.progress.bytesLeft -= look.bytes
            if isFresh { night.progress.fresh = end } else { night.progress.again = end }
        }
    }

    private static func name(_ file: StoredFile) -> String { "\(file.jobID)/\(file.ordinal)" }

    // MARK: Looking

    /// What a look at some files found, how many bytes it read, whether it came to its end, and the
    /// last file of those that were looked at without a gap.
    private struct Look {
        var found: [VerifiedFile] = []
        var bytes: Int64 = 0
        var isWhole = true
        var end: StoredFile?
    }

    private func look(
        _ connection: borrowing Connection, _ files: [StoredFile], bytesLeft: Int64
    ) throws -> Look {
        var look = Look()
        var planned: Int64 = 0
        var unreadable = 0
        var readable = 0
        var isHopeless: Bool { readable == 0 && unreadable >= Self.manyUnreadable }
        let part = session.part()
        defer { part.cancel() }
        let verification = Verification(
            target.store, part, shouldStop: { isOver || isHopeless },
            mayRead: { file in
                guard planned + file.bytes <= bytesLeft else { return false }
                planned += file.bytes
                return true
            })
        var rest = files[...]
        var found: [VerifiedFile] = []
        try verification.run(
            next: { rest.popFirst() }, current: { try stored.current(connection, $0) },
            ended: { verified in
                found.append(verified)
                if case .unreadable = verified.finding { unreadable += 1 } else { readable += 1 }
            })
        look.found = found
        look.bytes = verification.bytes
        look.isWhole = !isOver && !isHopeless
        let names = Set(found.map { Self.name($0.file) })
        look.end = files.prefix { names.contains(Self.name($0)) }.last
        return look
    }

    /// Tells a store that is away, or another one, from files that are missing.
    private func judge(_ look: Look, _ report: inout FileWatchReport) throws {
        var missing = 0
        var problems: [String] = []
        for verified in look.found {
            switch verified.finding {
            case .missing: missing += 1
            case .unreadable(let words): problems.append(words)
            case .ok, .differs: break
            }
        }
        if problems.count >= Self.manyUnreadable, problems.count == look.found.count {
            throw Trouble(words: "stored files are not looked at: \(problems[0])")
        }
        guard missing >= Self.manyMissing, missing * 2 > look.found.count else { return }
        let words =
            "\(missing) of \(look.found.count) files that were looked at are not in the store, such"
            + " as \(look.found.first { $0.finding == .missing }?.file.objectKey ?? "")"
        report.problem = .init(
            code: "store_is_another",
            message: words + "; is HOLDFAST_STORAGE_URL where they were stored? nothing was fetched"
                + " again; see holdfast asset verify --since 30d")
        throw Trouble(words: words)
    }

    /// Looks at some files that chance chooses, before the night's first fetch of one that is
    /// missing: the night's share alone may be too small to show that the store is another one.
    private func requireStore(
        _ connection: borrowing Connection, _ night: inout Night
    ) throws {
        guard !night.isStoreKnown else { return }
        let known = night.known
        let others = try stored.sample(connection, Self.manyMissing * 2)
            .filter { !known.contains(Self.name($0)) }
        try judge(look(connection, others, bytesLeft: 0), &night.report)
        night.isStoreKnown = true
    }

    // MARK: Mending

    private func mend(
        _ connection: borrowing Connection, _ found: [VerifiedFile], _ night: inout Night
    ) throws {
        if found.contains(where: { $0.finding == .missing }) {
            try requireStore(connection, &night)
        }
        for verified in found where verified.finding != .ok {
            try mend(connection, verified, &night.report)
        }
    }

    /// Stores a file again, or keeps it for the matching.
    private func mend(
        _ connection: borrowing Connection, _ verified: VerifiedFile,
        _ report: inout FileWatchReport
    ) throws {
        let file = verified.file
        let name = "file \(file.ordinal) of \(file.jobID)"
        let found: String
        switch verified.finding {
        case .ok: return
        case .unreadable(let words):
            return warn("\(name) cannot be looked at: \(words)", &report)
        case .missing: found = "is missing"
        case .differs(let bytes, _):
            found =
                bytes == file.bytes
                ? "has other bytes than were stored" : "has \(bytes) bytes instead of \(file.bytes)"
        }
        guard !isOver else {
            return try watched.keep(
                connection, file, found: found, reason: "the night had no time left", isGone: false)
        }
        do {
            guard let job = try queries.job(connection, file.jobID) else { return }
            let refetched = try Refetch(wiring, target)
                .run(connection, job, ordinal: file.ordinal, actor: Self.actor)
            guard let one = refetched.files.first else { return }
            switch one.outcome {
            case .stored:
                warn("the object of \(name) \(found); it is stored again", &report)
                try watched.forget(connection, file)
            case .fine, .busy, .changed: break
            case .gone, .putOff, .blocked, .never:
                let why = one.reason ?? refetched.report.problems.first?.message
                try watched.keep(
                    connection, file, found: found, reason: why ?? "see the job's story",
                    isGone: one.outcome == .gone)
            }
        } catch let failure as Failure where failure.code == "nothing_to_refetch" {
            try watched.forget(connection, file)
        } catch let failure as Failure {
            try watched.keep(
                connection, file, found: found, reason: failure.message, isGone: false)
        }
    }

    private func warn(_ words: String, _ report: inout FileWatchReport) {
        if report.warnings.count < Self.warningLimit { report.warnings.append(words) }
    }
}
