package import Core
package import Ledger
package import Postgres

/// What the nightly run came to.
package struct BooksReport: Equatable, Sendable {
    package var run = RunReport()
    package var day: DayTotals
    /// Days that this run has sealed, the oldest first.
    package var sealedDays: [String] = []
    /// The first findings, by class and subject; `standing` counts all of them.
    package var findings: [FoundBreak] = []
    package var standing = 0
    package var violations = 0
    package var plan: FixPlan?
    package var fixes: [FixOutcome] = []

    /// Findings that one report shows; all of them are kept, and in the night's files.
    package static let shown = 1000
}

/// What may be mended without judgement.
package struct FixPlan: Equatable, Sendable {
    /// By class and subject; `limit` of them at most.
    package var fixes: [FoundBreak] = []
    /// SHA-256 in hex: the same for the same fixes in the same books.
    package var digest = ""
    /// Why some or all that could be mended are not.
    package var heldBack: [String] = []

    /// Fixes of one run; the rest comes with the next.
    package static let limit = 10_000
}

/// The nightly work: closes the days that are over, matches everything with everything, mends what
/// needs no judgement, and keeps each break under one identity from night to night.
package struct Reconciliation {
    private let run: Run
    private let books: Books
    private let breaks: BreakBook
    private let close: DayClose
    private let shouldStop: () -> Bool

    package init(_ run: Run, shouldStop: @escaping () -> Bool) {
        self.run = run
        self.shouldStop = shouldStop
        books = Books(run: run)
        breaks = BreakBook(run: run)
        close = DayClose(run: run)
    }

    /// - Parameters:
    ///   - day: Whose movements are reported; the last day that is over if nil.
    ///   - version: Of this program, for the record of the days it closes.
    package func perform(
        _ connection: borrowing Connection, day: String?, apply: Bool, isDryRun: Bool,
        version: String
    ) throws -> BooksReport {
        let day = try day ?? books.yesterday(connection)
        var report = BooksReport(
            day: DayTotals(day: day, credits: [:], transfers: 0, isSealed: false))
        let last = isDryRun ? nil : try closeMissedDays(connection, &report, version: version)
        if !isDryRun {
            report.run.count("breaks_closed", try breaks.closeResolved(connection))
        }
        let matching = try Matching(connection, run)
        try match(connection, matching, &report, isDryRun: isDryRun)
        if apply {
            try mend(connection, &report, isDryRun: isDryRun)
        }
        if !isDryRun, !shouldStop() {
            report.run.count(
                "breaks_closed", try breaks.closeHealed(connection, since: matching.begunAt))
            if let last { try seal(connection, last, &report) }
        }
        report.run.count("breaks_open", report.standing)
        report.day = try books.totals(connection, day: day)
        if report.standing > 0 { report.run.status = .needsPerson }
        report.run.outcomes = report.run.outcomes.filter { $0.value != 0 }
        return report
    }

    /// Counts the days that are over, and seals all but the last of them: that one is sealed after the
    /// matching, with the breaks of tonight.
    /// - Returns: The last day; nil when no day is due.
    private func closeMissedDays(
        _ connection: borrowing Connection, _ report: inout BooksReport, version: String
    ) throws -> String? {
        while !shouldStop(), let day = try close.begin(connection, version: version) {
            try close.count(connection, day: day, shouldStop: shouldStop)
            if shouldStop() { return nil }
            if try close.isLast(connection, day: day) { return day }
            try seal(connection, day, &report)
        }
        return nil
    }

    private func seal(
        _ connection: borrowing Connection, _ day: String, _ report: inout BooksReport
    ) throws {
        guard try close.seal(connection, day: day) else { return }
        report.run.count("days_closed")
        report.sealedDays.append(day)
    }

    /// What a matching gathers beside the report.
    private struct Gathered {
        var plan = FixPlan()
        /// Accounts whose books contradict themselves, and in how many places books do.
        var broken: Set<String> = []
        var contradictions = 0
    }

    private func match(
        _ connection: borrowing Connection, _ matching: Matching, _ report: inout BooksReport,
        isDryRun: Bool
    ) throws {
        var gathered = Gathered()
        report.run.examined = try matching.pages(connection, shouldStop: shouldStop) { page in
            try take(connection, page, &gathered, &report, isDryRun: isDryRun)
        }
        for day in try SealCheck.recentDays(connection) where !shouldStop() {
            let finding = try SealCheck.verify(connection, day: day)
            if let broken = try SealCheck.asBreak(finding, matching) {
                try take(connection, [broken], &gathered, &report, isDryRun: isDryRun)
            }
        }
        report.findings.sort { ($0.kind, $0.subject) < ($1.kind, $1.subject) }
        gathered.plan.restrict(broken: gathered.broken, contradictions: gathered.contradictions)
        report.plan = gathered.plan
    }

    /// Keeps a page of findings, and remembers what the plan and the report need of it.
    private func take(
        _ connection: borrowing Connection, _ page: [FoundBreak], _ gathered: inout Gathered,
        _ report: inout BooksReport, isDryRun: Bool
    ) throws {
        if !isDryRun { report.run.count("breaks_found", try breaks.record(connection, page)) }
        let found = try breaks.unanswered(connection, page)
        report.standing += found.count
        report.violations += found.count { $0.isInvariant }
        report.findings += found.prefix(max(0, BooksReport.shown - report.findings.count))
        for one in found where one.isIntegrity {
            gathered.contradictions += 1
            if let account = one.accountID { gathered.broken.insert(account) }
        }
        let room = FixPlan.limit - gathered.plan.fixes.count
        gathered.plan.fixes += found.filter { $0.action != nil }.prefix(max(0, room))
    }

    private func mend(
        _ connection: borrowing Connection, _ report: inout BooksReport, isDryRun: Bool
    ) throws {
        guard var plan = report.plan else { return }
        plan.digest = try BreakBook.digest(connection, plan.fixes)
        report.plan = plan
        guard !isDryRun, !plan.fixes.isEmpty, !shouldStop() else { return }
        report.fixes = try breaks.fix(connection, plan.fixes, digest: plan.digest)
        var mended: Set<[String]> = []
        for fix in report.fixes where fix.outcome == "done" {
            report.run.count("fixed")
            report.run.count("breaks_closed")
            mended.insert([fix.kind, fix.subject])
            if let settled = fix.settled, let word = RunReport.creditWords[settled] {
                report.run.add(credits: fix.credits ?? 0, as: word)
            }
        }
        report.standing -= mended.count
        report.violations -= report.findings.count {
            $0.isInvariant && mended.contains([$0.kind, $0.subject])
        }
        report.findings.removeAll { mended.contains([$0.kind, $0.subject]) }
    }
}

extension FixPlan {
    /// Takes out what must not be mended: accounts whose books contradict themselves, and everything
    /// when that is so in more than one place.
    mutating func restrict(broken: Set<String>, contradictions: Int) {
        let before = fixes.count
        if contradictions > 1 {
            fixes = []
        } else {
            fixes.removeAll { $0.accountID.map(broken.contains) ?? false }
        }
        if fixes.count < before {
            heldBack.append(
                contradictions > 1
                    ? "the books contradict themselves in \(contradictions) places; nothing is mended"
                    : "\(before - fixes.count) breaks of an account whose books contradict themselves"
            )
        }
        fixes.sort { ($0.kind, $0.subject) < ($1.kind, $1.subject) }
    }
}
