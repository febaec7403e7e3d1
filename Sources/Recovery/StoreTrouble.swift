import Core
import HTTP
import Jobs
import Postgres
import Storage

/// Whose trouble it is when the store did not take a file: a pure rule over what failed since the
/// store took one last.
package struct StoreTrouble: Sendable {
    package enum Judgement: Equatable, Sendable {
        /// Nothing can be told yet; the file keeps its lease.
        case wait
        /// First since a success: prove the store, before anything else is sent to it.
        case probe
        /// Many have failed: nothing more is claimed until what is under way tells.
        case hold
        /// The files that failed are put off, each with its reason; the run goes on.
        case theirs
        /// The store takes nothing: the run ends.
        case down
    }

    /// So many accounts' files in a row without a success between, and it is the store.
    package static let accountLimit = 3

    /// Codes that speak of the whole store whatever the file.
    private static let wholeStore: Set<String> = [
        "bucket_missing", "clock_skew", "storage_key_wrong", "storage_key_missing",
    ]

    private var accounts: Set<String> = []
    private var code = ""

    package init() {}

    /// Files wait for a judgement.
    package var isOpen: Bool { !accounts.isEmpty }

    package var isHolding: Bool { accounts.count >= Self.accountLimit }

    /// The store took a file: what failed before is the trouble of those files.
    package mutating func succeeded() { accounts = [] }

    package mutating func failed(account: String, code: String) -> Judgement {
        let isFirst = accounts.isEmpty
        accounts.insert(account)
        self.code = code
        if Self.wholeStore.contains(code) { return .down }
        return isFirst ? .probe : isHolding ? .hold : .wait
    }

    /// What was missing was room.
    package var isFull: Bool { code == "disk_full" }

    /// Nothing else is under way that could tell more.
    package func judgedAlone() -> Judgement {
        guard isOpen else { return .wait }
        // Where there is room for a probe there may be none for a file.
        return isHolding || isFull ? .down : .theirs
    }
}

/// Files that the store did not take.
extension StorageMirror {
    /// The store refused this file, or cannot take any.
    mutating func storeFailed(
        _ landing: Landing, _ failure: Failure, _ connection: borrowing Connection
    ) throws {
        if failure.status == .needsPerson || failure.status == .defect {
            return try putOff(landing, refusedByStore: failure, connection)
        }
        // Whoever has a file fetched once more is told by the command itself.
        guard files.purpose == .delivery else { throw failure }
        drop(landing)
        landing.upload?.cancel()
        landing.phase = .troubled
        troubled.append((landing, failure))
        switch storeTrouble.failed(account: landing.item.accountID, code: failure.code) {
        case .down: throw failure
        case .probe:
            // It may take a while, and the leases are to outlive it.
            try files.renew(connection, landings.values.map(\.item) + waiting)
            try target.store.check(Session(), isThorough: true)
        case .wait, .hold, .theirs: troubledSince = troubledSince ?? .now
        }
    }

    /// Puts off those that failed as soon as it is clear that the trouble is theirs.
    mutating func judgeTroubled(_ connection: borrowing Connection) throws {
        guard !troubled.isEmpty else { return }
        let landings = landings
        troubled.removeAll { landings[$0.landing.item.name] !== $0.landing }
        var isDown = false
        if storeTrouble.isOpen {
            // Slow sources are not waited for.
            let isAlone = landings.values.allSatisfy { $0.phase == .troubled || $0.isSlow }
            let isLate = troubledSince.map { .now - $0 > Self.troublePatience } ?? false
            guard isAlone || isLate && storeTrouble.isHolding else { return }
            isDown = storeTrouble.judgedAlone() == .down
            if isDown, storeTrouble.isFull, let last = troubled.last { throw last.failure }
        }
        storeTrouble.succeeded()
        troubledSince = nil
        let theirs = troubled
        troubled = []
        // Also where they end the run: the store was proved to take others, which come first next time.
        for (landing, failure) in theirs {
            try putOff(landing, refusedByStore: failure, connection)
        }
        if isDown, let last = theirs.last { throw last.failure }
    }

    /// How long files that are under way are waited for when many others have failed.
    private static let troublePatience = Duration.seconds(20)
    /// Tries of a file that a busy store may cost before a person is told.
    private static let patientAttempts = 3

    private mutating func putOff(
        _ landing: Landing, refusedByStore failure: Failure, _ connection: borrowing Connection
    ) throws {
        let passes = failure.status == .unavailable && failure.code != "disk_full"
        let isQuiet =
            failure.code == UploadFailure.gone
            || passes && landing.item.attempts + 1 < Self.patientAttempts
        if !isQuiet {
            report.add(
                .init(jobID: landing.item.jobID, code: failure.code, message: failure.message),
                status: failure.status == .defect ? .defect : .needsPerson)
        }
        try putOff(landing, failure.message, connection)
    }
}
