package import Core
package import Ledger
package import Postgres

/// What the nightly run found.
package struct BooksReport: Equatable, Sendable {
    package var run = RunReport()
    package var day: DayTotals
    package var findings: [Finding] = []
}

/// The nightly work: invariants and breaks, kept under one identity from night to night.
package enum Reconciliation {
    package static func run(
        _ connection: borrowing Connection, _ run: Run, day: String?, apply: Bool, isDryRun: Bool
    ) throws -> BooksReport {
        let books = Books(run: run)
        var report = BooksReport(day: try books.totals(connection, day: day))
        if apply, !isDryRun {
            for settled in try books.fix(connection) {
                report.run.count("fixed")
                if let action = settled.action, let word = RunReport.creditWords[action] {
                    report.run.add(credits: settled.amount, as: word)
                }
            }
        }
        report.findings = try books.violations(connection) + books.breaks(connection)
        report.run.examined = report.findings.count
        if isDryRun {
            report.run.count("breaks_open", report.findings.count)
        } else {
            let counts = try books.record(connection, report.findings)
            report.run.count("breaks_found", counts.found)
            report.run.count("breaks_open", counts.open)
            report.run.count("breaks_closed", counts.closed)
        }
        if !report.findings.isEmpty { report.run.status = .needsPerson }
        report.run.outcomes = report.run.outcomes.filter { $0.value != 0 }
        return report
    }
}
