import Assembly
package import Closing
package import Core
import Ledger
package import Postgres
package import Runner

extension BooksReport: RunResult {}

/// The reports that a nightly run owes: those of the days that it sealed, of days whose reports an
/// earlier run did not come to, and of a day that was asked for.
package enum NightReports {
    /// Publishes them; a day that was published before changes nothing.
    ///
    /// Of several days the last alone is told: whoever waits for a message wants to know how things
    /// are.
    package static func publish(
        _ context: RunContext, _ connection: borrowing Connection, _ run: Run, asked: String?,
        _ report: inout RunReport
    ) throws {
        let close = DayClose(run: run)
        let owed = try close.unreported(connection)
        var days = owed
        if let asked, !days.contains(asked) { days.append(asked) }
        guard !days.isEmpty else { return }
        let sealed = SealedDays(try Connection(context))
        for day in days where !StopSignal.isRaised {
            guard let pages = try sealed.pages(day: day) else { continue }
            let reports = PublishedReports(day: day)
            let night = try NightReport.publish(
                context, pages, published: try reports.digests(connection),
                tells: day == owed.last && !run.off.contains("notices"))
            night.add(to: &report)
            try reports.note(connection, renderer: NightReport.renderer, night.published)
            // A report that differs is named once: nothing comes of saying it each night.
            let isDone = night.problems.allSatisfy { $0.problem.code == NightReport.differs }
            if isDone, owed.contains(day) {
                try close.markReported(connection, day: day)
            }
        }
    }
}
