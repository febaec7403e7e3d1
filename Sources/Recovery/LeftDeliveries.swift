package import Core
import Jobs
package import Postgres

/// Delivers jobs whose last file was stored while somebody else held the job or its account.
package enum LeftDeliveries {
    /// Jobs in one transaction.
    static let page = 20

    /// How long the end of a run tries again what somebody else holds; other runs do for moments.
    package static let patience = Duration.milliseconds(500)
    private static let pause = Duration.milliseconds(50)

    /// - Parameter patience: For how long jobs that somebody holds are tried again.
    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, patience: Duration = .zero
    ) throws -> RunReport {
        var report = RunReport()
        let until = ContinuousClock.now + patience
        while try pass(connection, wiring, into: &report), .now < until, !wiring.shouldStop() {
            Pause.wait(pause)
        }
        return report
    }

    /// Goes through all of them once; returns whether somebody holds one.
    private static func pass(
        _ connection: borrowing Connection, _ wiring: Wiring, into report: inout RunReport
    ) throws -> Bool {
        let files = Files(run: wiring.run)
        var after = ""
        var isHeld = false
        while !wiring.shouldStop() {
            let results = try files.deliverLeft(connection, after: after, most: page)
            for result in results { report.take(delivery: result) }
            if results.contains(where: { $0.outcome == "locked" }) { isHeld = true }
            let looked = results.filter { $0.outcome == "looked_at" }
            guard looked.count == page, let last = looked.last else { break }
            after = last.jobID
        }
        return isHeld
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
