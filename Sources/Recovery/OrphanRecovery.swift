package import Core
import Jobs
package import Postgres

/// The recoverer's work: settles moves that a person released, then asks about every job that is
/// watched after its deadline or after its end.
package enum OrphanRecovery {
    /// Released moves settled in one transaction.
    static let releasedPage = 500

    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var released = RunReport()
        let moves = Moves(run: wiring.run)
        while !wiring.shouldStop() {
            let results = try connection.repeatable {
                try moves.applyReleased(
                    connection, most: releasedPage, jobIDs: selection.jobIDs)
            }
            released.examined += Set(results.map(\.jobID)).count
            released.take(results, [:], .recover)
            if results.count < releasedPage { break }
        }
        var report = try Polling(wiring, pass: .recover, selection: selection).run(connection)
        report.merge(released)
        return report
    }
}

extension RunReport {
    /// Adds another report's counts to this one.
    package mutating func merge(_ other: RunReport) {
        examined += other.examined
        for (outcome, number) in other.outcomes { count(outcome, number) }
        for (action, amount) in other.credits { add(credits: amount, as: action) }
        for problem in other.problems { add(problem, status: other.status) }
        status = ExitStatus.worst(status, other.status)
    }
}
