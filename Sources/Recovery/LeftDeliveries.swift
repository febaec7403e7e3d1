package import Core
import Jobs
package import Postgres

/// Delivers jobs whose last file was stored while somebody else held the job or its account.
package enum LeftDeliveries {
    /// Jobs in one transaction.
    static let page = 20

    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring
    ) throws -> RunReport {
        var report = RunReport()
        let files = Files(run: wiring.run)
        var after = ""
        while !wiring.shouldStop() {
            let results = try files.deliverLeft(connection, after: after, most: page)
            for result in results { report.take(delivery: result) }
            let looked = results.filter { $0.outcome == "looked_at" }
            guard looked.count == page, let last = looked.last else { break }
            after = last.jobID
        }
        return report
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
