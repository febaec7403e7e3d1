import Core
import Jobs

/// What somebody who watches a run sees of its files: free of secrets and signed queries.
package enum FileProgress: Equatable, Sendable {
    case ended(EndedFile)
    case total(FileTotals)
}

/// A file that came to an end in this run.
package struct EndedFile: Equatable, Sendable {
    /// `stored`, `already_stored`, `retry_later` or `lost`.
    package var outcome: String
    /// Its key, or `job/ordinal` where it has none.
    package var name: String
    /// What was received of it.
    package var bytes: Int64
    /// From the first byte that was asked for; zero for a file that was not fetched.
    package var duration: Duration
    /// Why it is not in the store.
    package var reason: String?

    package init(
        outcome: String, name: String, bytes: Int64, duration: Duration, reason: String? = nil
    ) {
        self.outcome = outcome
        self.name = name
        self.bytes = bytes
        self.duration = duration
        self.reason = reason
    }
}

/// How far all files of a run are.
package struct FileTotals: Equatable, Sendable {
    package var claimed = 0
    package var ended = 0
    /// Received so far, also of files that are under way.
    package var bytes: Int64 = 0
    package var duration = Duration.zero
    /// Until the first address of a file under way ends; negative when it has.
    package var untilExpiry: Duration?

    package init() {}
}

/// Counts for those who watch.
struct FileTally {
    /// Drawing more often than four times a second helps nobody.
    static let pause = Duration.milliseconds(250)

    private(set) var ended = 0
    private(set) var endedBytes: Int64 = 0
    private var lastTold: ContinuousClock.Instant?
    /// The database's clock at the last claim, and when that was.
    private var claimedAt: (there: Instant, here: ContinuousClock.Instant)?

    mutating func claimed(_ items: [FileItem]) {
        if let item = items.first { claimedAt = (item.now, .now) }
    }

    mutating func ended(_ bytes: Int64) {
        ended += 1
        endedBytes += bytes
    }

    /// Whether it is time to tell again.
    mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
        if let lastTold, now - lastTold < Self.pause { return false }
        lastTold = now
        return true
    }

    func left(until expiry: Instant, _ now: ContinuousClock.Instant) -> Duration? {
        claimedAt.map { expiry - ($0.there + (now - $0.here)) }
    }
}

extension StorageMirror {
    /// Tells how far all files are, four times a second at most.
    mutating func tellTotals() {
        let now = ContinuousClock.now
        guard tally.isDue(now) else { return }
        var totals = FileTotals()
        totals.claimed = report.examined
        totals.ended = tally.ended
        totals.bytes = landings.values.reduce(tally.endedBytes) { $0 + $1.received }
        totals.duration = now - started
        totals.untilExpiry = landings.values.compactMap(\.item.sourceExpiresAt).min()
            .flatMap { tally.left(until: $0, now) }
        wiring.progress(.total(totals))
    }

    /// Tells what became of one file.
    mutating func tellEnd(_ landing: Landing, _ step: FileStep, _ word: String) {
        tally.ended(landing.received)
        var end = EndedFile(
            outcome: word, name: landing.item.name, bytes: landing.received,
            duration: landing.firstFetch.map { .now - $0 } ?? .zero)
        switch step.kind {
        case .stored(let key, _, let bytes, _):
            end.name = key
            end.bytes = bytes
        case .retry(_, let message), .lost(let message): end.reason = message
        case .begun, .complete, .refreshed, .slow: return
        }
        wiring.progress(.ended(end))
    }
}
