package import Core
import Jobs
package import Postgres

/// The sweeper's work: empties the spool folder, drains the inbox, then moves on every job that is past its threshold.
package enum StuckSweep {
    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var drained = RunReport()
        // A storm must leave time for the jobs themselves.
        let deadline = ContinuousClock.now + selection.timeBudget / 2
        if let spool = wiring.spool {
            try SpoolDrain(wiring, spool).run(connection, until: deadline, into: &drained)
        }
        var inbox = InboxDrain(wiring)
        try inbox.run(connection, until: deadline, into: &drained)
        var report = try Polling(wiring, pass: .sweep, selection: selection).run(connection)
        for (outcome, number) in drained.outcomes { report.count(outcome, number) }
        report.refusedCallbacks = drained.refusedCallbacks
        for problem in drained.problems { report.add(problem, status: drained.status) }
        return report
    }
}
