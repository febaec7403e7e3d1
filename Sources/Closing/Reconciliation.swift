package import Core
package import Ledger
package import Postgres
import Recovery

/// What the nightly run came to.
package struct BooksReport: Equatable, Sendable {
    package var run = RunReport()
    package var day: DayTotals
    /// Days that this run has sealed, the oldest first.
    package var sealedDays: [String] = []
    /// The first findings, by class and subject; `standing` counts all of them.
    package var findings: [FoundBreak] = []
    package var standing = 0
    package var unknownSubmissions = UnknownSubmissions()
    package var violations = 0
    package var plan: FixPlan?
    package var fixes: [FixOutcome] = []
    /// Everything could be matched and kept.
    var isWhole = true

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
package struct Reconciliation: Sendable {
    private let run: Run
    private let books: Books
    private let breaks: BreakBook
    private let close: DayClose
    private let connect: @Sendable () throws -> Connection
    private let shouldStop: @Sendable () -> Bool

    /// - Parameters:
    ///   - connect: Makes a second connection, for a night that is large enough to be worth it.
    ///   - shouldStop: Asked between two statements.
    package init(
        _ run: Run, connect: @escaping @Sendable () throws -> Connection,
        shouldStop: @escaping @Sendable () -> Bool
    ) {
        self.run = run
        self.connect = connect
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
        var last: String?
        if !isDryRun {
            try protected(&report) {
                last = try closeMissedDays(connection, &$0, version: version)
            }
        }
        if !isDryRun {
            report.run.count("breaks_closed", try breaks.closeResolved(connection))
        }
        let matching = try Matching(connection, run)
        let jobs = try match(connection, matching, &report, counting: last, isDryRun: isDryRun)
        if apply {
            try mend(connection, &report, isDryRun: isDryRun)
        }
        if !isDryRun, !shouldStop() {
            // What could not be looked at has not healed.
            if report.isWhole {
                report.run.count(
                    "breaks_closed", try breaks.closeHealed(connection, since: matching.begunAt))
            }
            if let last, let jobs {
                try protected(&report) { try seal(connection, last, jobs: jobs, &$0) }
            }
        }
        report.run.count("breaks_open", report.standing)
        report.day = try books.totals(connection, day: day)
        report.unknownSubmissions = try books.unknownSubmissions(connection, since: day)
        if report.standing > 0 {
            report.run.status = ExitStatus.worst(report.run.status, .needsPerson)
        }
        report.run.outcomes = report.run.outcomes.filter { $0.value != 0 }
        return report
    }

    /// Works on a day: what the database refuses there leaves the day for another night and a person,
    /// and everything is matched all the same.
    private func protected(
        _ report: inout BooksReport, _ work: (inout BooksReport) throws -> Void
    ) throws {
        do {
            try work(&report)
        } catch let error as PostgresError where error.isRowTrouble {
            report.run.add(
                .init(
                    code: "day_refused",
                    message: "a day could not be closed: \(error.description); nothing of it is "
                        + "sealed, and the days behind it wait. See holdfast books list"),
                status: .needsPerson)
        }
    }

    /// Counts and seals the days that are over, all but the last of them: that one is sealed after the
    /// matching, with the breaks of tonight.
    /// - Returns: The last day; nil when no day is due.
    private func closeMissedDays(
        _ connection: borrowing Connection, _ report: inout BooksReport, version: String
    ) throws -> String? {
        while !shouldStop(), let day = try close.begin(connection, version: version) {
            if try close.isLast(connection, day: day) { return day }
            try close.count(connection, day: day, shouldStop: shouldStop)
            if shouldStop() { return nil }
            try seal(connection, day, jobs: try close.jobs(connection, day: day), &report)
        }
        return nil
    }

    private func seal(
        _ connection: borrowing Connection, _ day: String, jobs: String,
        _ report: inout BooksReport
    ) throws {
        guard try close.seal(connection, day: day, jobs: jobs) else { return }
        report.run.count("days_closed")
        report.sealedDays.append(day)
    }

    /// Matches everything and counts the last day; what is much is done by two connections at once.
    /// - Returns: What the last day's jobs came to; nil when there is no day to seal.
    private func match(
        _ connection: borrowing Connection, _ matching: Matching, _ report: inout BooksReport,
        counting day: String?, isDryRun: Bool
    ) throws -> String? {
        let slices = Handout(try matching.slices(connection))
        var books = CountedBooks()
        var helper: Companion<CountedBooks>?
        if slices.count > 1 {
            helper = Companion { [self] in
                let connection = try connect()
                var books = CountedBooks()
                try count(connection, matching, day, &books, isDryRun: isDryRun)
                try matchSlices(connection, matching, slices, &books.gathered, isDryRun: isDryRun)
                return books
            }
        }
        let isAlone = helper == nil
        let outcome = Result {
            if isAlone { try count(connection, matching, day, &books, isDryRun: isDryRun) }
            try matchRest(connection, matching, &books.gathered, isDryRun: isDryRun)
            try matchSlices(connection, matching, slices, &books.gathered, isDryRun: isDryRun)
        }
        // Joined also after an error: nothing of ours may run on beside a run that has ended.
        if let helper = helper.take() {
            let other = try helper.join()
            books.gathered.merge(other.gathered)
            books.jobs = other.jobs
        }
        try outcome.get()
        report.take(books.gathered)
        return books.jobs
    }

    private struct CountedBooks {
        var gathered = Gathered()
        var jobs: String?
    }

    /// Counts the last day, and matches the accounts with what moved after it: next to nothing then.
    private func count(
        _ connection: borrowing Connection, _ matching: Matching, _ day: String?,
        _ books: inout CountedBooks, isDryRun: Bool
    ) throws {
        if let day {
            do {
                try close.count(connection, day: day, shouldStop: shouldStop)
                if !shouldStop() { books.jobs = try close.jobs(connection, day: day) }
            } catch let error as PostgresError where error.isRowTrouble {
                books.gathered.refused.append(
                    "\(day) could not be counted, and is not sealed: \(error.description)")
            }
        }
        try matching.accounts(connection, shouldStop: shouldStop) {
            try take(connection, $0, &books.gathered, isDryRun: isDryRun)
        }
    }

    /// Matches parts of the window until none is left.
    private func matchSlices(
        _ connection: borrowing Connection, _ matching: Matching, _ slices: Handout<Matching.Slice>,
        _ gathered: inout Gathered, isDryRun: Bool
    ) throws {
        while !shouldStop(), let slice = slices.take() {
            gathered.jobs += try matching.match(slice, connection, shouldStop: shouldStop) {
                try take(connection, $0, &gathered, isDryRun: isDryRun)
            }
        }
    }

    /// Matches older jobs, what providers and callbacks say, and the seals.
    private func matchRest(
        _ connection: borrowing Connection, _ matching: Matching, _ gathered: inout Gathered,
        isDryRun: Bool
    ) throws {
        gathered.jobs += try matching.older(connection, shouldStop: shouldStop) {
            try take(connection, $0, &gathered, isDryRun: isDryRun)
        }
        try matching.others(connection, shouldStop: shouldStop) {
            try take(connection, $0, &gathered, isDryRun: isDryRun)
        }
        try checkSeals(connection, matching, &gathered, isDryRun: isDryRun)
    }

    private func checkSeals(
        _ connection: borrowing Connection, _ matching: Matching, _ gathered: inout Gathered,
        isDryRun: Bool
    ) throws {
        for day in try SealCheck.daysToRecheck(connection) where !shouldStop() {
            let finding = try SealCheck.verify(connection, day: day)
            if let broken = try SealCheck.asBreak(finding, matching) {
                try take(connection, .breaks([broken]), &gathered, isDryRun: isDryRun)
            }
        }
    }

    /// Keeps a page of findings, and remembers what the plan and the report need of it.
    private func take(
        _ connection: borrowing Connection, _ finding: Matching.Finding,
        _ gathered: inout Gathered, isDryRun: Bool
    ) throws {
        let page: [FoundBreak]
        switch finding {
        case .breaks(let found): page = found
        case .refused(let words): return gathered.refused.append(words)
        }
        if !isDryRun {
            let (opened, refused) = try breaks.record(connection, page)
            gathered.opened += opened
            gathered.refused += refused
        }
        gathered.take(try breaks.unanswered(connection, page))
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
