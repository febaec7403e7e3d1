import Core
import Jobs
import Postgres

/// A decision that could not be written, because somebody else holds the job or its account.
struct HeldUpDecision {
    /// The pause before it is tried again.
    static let pause = Duration.milliseconds(250)
    /// Tries that take what is free; after them its account is waited for, by itself.
    static let freeTries = 2
    /// Tries where another run is counting for the brakes.
    static let brakeTries = 20
    /// How long one run waits for accounts in all.
    static let patience = Duration.seconds(5)

    var item: WorkItem
    var decision: Decision
    /// The account that somebody holds, or whose job somebody holds; nil where it is the brakes.
    var account: String?
    var tries: Int
}

/// The application is never made to wait for a run, nor a run for the application: what is free is
/// settled, and what is not is tried again beside other work, then by itself, then left for later.
extension Polling {
    /// Counts what became of a batch, and keeps what somebody else holds.
    mutating func take(
        _ results: [MoveResult], _ batch: [(item: WorkItem, decision: Decision)],
        _ decisions: [String: Decision], tries: [String: Int] = [:]
    ) {
        let locked = Dictionary(
            results.filter { $0.outcome == "locked" }.map { ($0.jobID, $0.detail) },
            uniquingKeysWith: { first, _ in first })
        report.take(results.filter { $0.outcome != "locked" }, decisions, pass)
        guard !locked.isEmpty else { return }
        for (item, decision) in batch {
            guard let account = locked[item.jobID] else { continue }
            heldUp.append(
                HeldUpDecision(
                    item: item, decision: decision, account: account,
                    tries: tries[item.jobID, default: 0] + 1))
        }
        nextTry = .now + HeldUpDecision.pause
    }

    /// Tries again what was held up: once more beside everything else, then account by account.
    mutating func tryAgain(_ connection: borrowing Connection) throws {
        guard !heldUp.isEmpty, ContinuousClock.now >= nextTry else { return }
        let all = heldUp
        heldUp = []
        let byAccount = Dictionary(
            grouping: all.filter { $0.account != nil && $0.tries >= HeldUpDecision.freeTries },
            by: { $0.account ?? "" })
        let others = all.filter { $0.account == nil || $0.tries < HeldUpDecision.freeTries }
        let free = others.filter { $0.tries < HeldUpDecision.brakeTries }
        var left = free[...]
        while !left.isEmpty {
            let batch = Array(left.prefix(pace.size))
            left = left.dropFirst(batch.count)
            try write(connection, batch, isPatient: false)
        }
        var late = others.filter { $0.tries >= HeldUpDecision.brakeTries }
        for (_, ofAccount) in byAccount.sorted(by: { $0.key < $1.key }) {
            late += try waitFor(connection, ofAccount)
        }
        try postpone(connection, late)
    }

    /// Settles jobs of one account, waiting for it; returns those that are still held up.
    ///
    /// A batch of which nothing could be written says that the account is held: the rest of it is not
    /// waited for once more.
    private mutating func waitFor(
        _ connection: borrowing Connection, _ ofAccount: [HeldUpDecision]
    ) throws -> [HeldUpDecision] {
        var late: [HeldUpDecision] = []
        var left = ofAccount[...]
        while !left.isEmpty, patience > .zero, !wiring.shouldStop() {
            let batch = Array(left.prefix(pace.size))
            left = left.dropFirst(batch.count)
            let begun = ContinuousClock.now
            let known = heldUp.count
            try write(connection, batch, isPatient: true)
            patience -= ContinuousClock.now - begun
            let again = heldUp[known...]
            late += again.filter { $0.account != nil }
            heldUp = heldUp[..<known] + again.filter { $0.account == nil }
            if again.count == batch.count, again.allSatisfy({ $0.account != nil }) { break }
        }
        return late + left
    }

    private mutating func write(
        _ connection: borrowing Connection, _ batch: [HeldUpDecision], isPatient: Bool
    ) throws {
        let moves = batch.map(\.decision.move)
        let begun = ContinuousClock.now
        let results = try connection.repeatableStatement {
            try ledgerOfMoves.record(connection, moves, isPatient: isPatient)
        }
        if !isPatient { pace.note(batch.count, took: .now - begun) }
        take(
            results, batch.map { (item: $0.item, decision: $0.decision) },
            Dictionary(
                batch.map { ($0.item.jobID, $0.decision) }, uniquingKeysWith: { first, _ in first }),
            tries: Dictionary(
                batch.map { ($0.item.jobID, $0.tries) }, uniquingKeysWith: { first, _ in first }))
    }

    /// Leaves jobs for a later run, or for later in this one: their claims do not count.
    mutating func postpone(
        _ connection: borrowing Connection, _ held: [HeldUpDecision]
    ) throws {
        for job in try claims.postpone(connection, held.map(\.item)) {
            report.add(job.problem, status: .needsPerson)
        }
        if !held.isEmpty { report.count("still_running", held.count) }
    }
}
