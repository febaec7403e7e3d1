import Assembly
import Core
import Jobs
import Postgres
import Recovery
import Reports
import Runner

/// Whether lost commits would be noticed, and what of those that were is still open.
extension Checkup {
    mutating func rewinds(_ connection: borrowing Connection, _ context: RunContext) {
        // Without the schema, or the right to read, that has been said already.
        guard (try? RewindQueries().list(connection, most: 1)) != nil else { return }
        look("lost commits") { checks in
            let offset = try context.settings.clockOffset()
            for one in try RewindQueries(clockOffset: offset).list(
                connection, most: 10, onlyOpen: true)
            {
                checks.warn(
                    "lost commits",
                    "the database has lost commits since \(one.gapFrom) (rewind \(one.rewindID)); "
                        + "\(one.held) of \(one.jobs) jobs are held back",
                    "holdfast rewind show; runbook database-rewound")
            }
            let places = try RewindWatch.places(context.settings)
            guard !places.isEmpty else {
                return checks.warn(
                    "marks",
                    "neither a state folder nor a store is there, so that a database that loses "
                        + "commits goes unnoticed",
                    "set HOLDFAST_STORAGE_URL or HOLDFAST_STATE_DIR")
            }
            let run = Run(runID: context.runID, command: context.command, clockOffset: offset)
            let marks = Marks(run: run)
            let hosts = [JobRun.hostName] + (try marks.hosts(connection))
            let findings = RewindWatch(context, run).find(Array(Set(hosts)).sorted())
            let counters = findings.marks.flatMap { $0.marks.map(\.counter) }
            let known = try marks.known(connection, Array(Set(counters)))
            if let problem = findings.problem(known.places) {
                return checks.fail("marks", problem)
            }
            let databases = Set(findings.marks.map(\.database)).sorted()
            if let sign = Rules.rewind(known, outside: findings.marks) {
                checks.warn(
                    "marks",
                    sign.message
                        + (databases.count > 1
                            ? "; these databases write marks there: "
                                + databases.joined(separator: " and ") : ""),
                    "the next run that writes holds back what it may be about; see holdfast rewind "
                        + "show")
            } else {
                checks.ok(
                    "marks",
                    "\(known.latest.counter) so far, \(findings.marks.count) found outside, in "
                        + places.map(\.words).joined(separator: " and "))
            }
        }
    }
}
