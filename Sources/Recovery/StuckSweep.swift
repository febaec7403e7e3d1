package import Core
import Jobs
package import Postgres

/// The sweeper's work: drains the inbox, then moves on every job that is past its threshold.
package enum StuckSweep {
    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var drained = RunReport()
        try InboxDrain.run(connection, wiring, into: &drained)
        var report = try Polling(wiring, pass: .sweep, selection: selection).run(connection)
        for (outcome, number) in drained.outcomes { report.count(outcome, number) }
        return report
    }
}
