package import Core
import Jobs
package import Postgres

/// Delivers jobs whose last file was stored while somebody else held the job or its account.
package enum LeftDeliveries {
    /// Jobs in one transaction.
    static let page = 20
    /// How long the end of a run waits in all for accounts that somebody holds.
    private static let patience = Duration.seconds(5)
    private static let pause = Duration.milliseconds(50)

    /// - Parameter isLast: At the end of a run. What is still held is then tried once more, and after
    ///   that its account is waited for, by itself; the beginning of a run leaves it for the end.
    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, isLast: Bool = false
    ) throws -> RunReport {
        var report = RunReport()
        let held = try pass(connection, wiring, into: &report)
        if isLast, !held.isEmpty, !wiring.shouldStop() {
            Pause.wait(pause)
            try wait(
                for: try pass(connection, wiring, into: &report), connection, wiring, into: &report)
        }
        return report
    }

    /// Goes through all of them once; returns the accounts of those that somebody holds.
    private static func pass(
        _ connection: borrowing Connection, _ wiring: Wiring, into report: inout RunReport
    ) throws -> Set<String> {
        let files = Files(run: wiring.run)
        var after = ""
        var held: Set<String> = []
        while !wiring.shouldStop() {
            let results = try files.deliverLeft(connection, after: after, most: page)
            for result in results { report.take(delivery: result) }
            let looked = results.filter { $0.outcome == "looked_at" }
            let locked = Set(results.filter { $0.outcome == "locked" }.map(\.jobID))
            held.formUnion(looked.filter { locked.contains($0.jobID) }.compactMap(\.detail))
            guard looked.count == page, let last = looked.last else { break }
            after = last.jobID
        }
        return held
    }

    /// Waits for accounts, one after the other; one that cannot be had within its half second is left
    /// for the next run.
    private static func wait(
        for accounts: Set<String>, _ connection: borrowing Connection, _ wiring: Wiring,
        into report: inout RunReport
    ) throws {
        let files = Files(run: wiring.run)
        let until = ContinuousClock.now + patience
        for account in accounts.sorted() {
            var hasMore = true
            while hasMore, .now < until, !wiring.shouldStop() {
                let results = try files.deliverLeft(connection, of: account, most: page)
                for result in results { report.take(delivery: result) }
                let locked = results.count { $0.outcome == "locked" }
                hasMore = results.count { $0.outcome == "looked_at" } == page && locked < page
            }
        }
    }
}

extension RunReport {
    /// Counts what became of a job whose files have all come to an end.
    mutating func take(delivery result: FileResult) {
        switch result.outcome {
        case "locked", "looked_at": break
        case "held_up":
            add(
                HeldUpJob(
                    jobID: result.jobID, account: result.detail ?? "", duration: .seconds(300)
                )
                .problem,
                status: .needsPerson)
        case "refused", "braked":
            take([result.move], [:], .sweep)
        default:
            if result.action == nil || result.action != "void" || result.outcome != "delivered" {
                count(result.outcome)
            }
            if let action = result.action, let word = Self.creditWords[action] {
                add(credits: result.amount ?? 0, as: word)
            }
        }
    }
}
