import ArgumentParser
import Assembly
import BookReports
import Core
import Ledger
import NightAssembly
import Postgres
import Reports
import Runner

struct BooksCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "books",
        abstract:
            "Shows the days that are closed, proves and corrects them, and writes their reports again.",
        subcommands: [
            BooksList.self, BooksVerify.self, BooksReportAgain.self, BooksCorrect.self,
        ])
}

struct BooksList: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists closed days, the newest first.")
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var rows: ListOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let (days, hasMore) = rows.shown(
            try ClosedDays.list(connection, most: rows.wanted), "days", context, reporting)
        Say.answer(
            context, reporting,
            [("days", .array(days.map(ClosedDayText.object))), ("has_more", .bool(hasMore))],
            text: ClosedDayText.table(days))
        return .done
    }
}

struct BooksVerify: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Counts closed days again and compares them with their digests.",
        discussion: """
            Every entry, figure and break of a closed day is in its digest, and so is the digest of \
            the day before. Exits with 1 when a day is not what it was when it was sealed.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("From this day on.", valueName: "YYYY-MM-DD"))
    var from: String?

    @Option(help: ArgumentHelp("Up to this day.", valueName: "YYYY-MM-DD"))
    var to: String?

    mutating func validate() throws {
        for day in [from, to].compactMap(\.self) where !CalendarDay.isValid(day) {
            throw ValidationError("\"\(day)\" is not a day; write --from 2026-11-21")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        var findings: [SealFinding] = []
        for day in try SealCheck.days(connection, from: from, to: to) {
            if StopSignal.isRaised { break }
            findings.append(try SealCheck.verify(connection, day: day))
        }
        let broken = findings.filter { $0.problem != nil }
        let status = StopSignal.outranking(broken.isEmpty ? .done : .needsPerson)
        let entries = findings.reduce(Int64(0)) { $0 + $1.entries }
        var lines = broken.map { "\($0.day): \($0.problem ?? "")" }
        lines.append(
            findings.isEmpty
                ? "no day is closed yet"
                : broken.isEmpty
                    ? "\(findings.count) days, \(entries) entries: as they were sealed"
                    : "\(broken.count) of \(findings.count) days are NOT as they were sealed; keep "
                        + "everything as it is and read runbooks/unsettled-credits.md")
        Say.answer(
            context, reporting,
            [
                ("days", .integer(findings.count)), ("entries", .integer(entries)),
                (
                    "broken",
                    .array(
                        broken.map {
                            ["day": .string($0.day), "problem": .optional($0.problem)]
                        })
                ),
            ], status: status, text: lines.joined(separator: "\n"))
        return status
    }
}

struct BooksReportAgain: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Writes the reports of a closed day again: the same bytes.",
        discussion: "They go where HOLDFAST_REPORT_URL says. Nobody is told.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("The closed day.", valueName: "YYYY-MM-DD"))
    var day: String

    mutating func validate() throws {
        if !CalendarDay.isValid(day) {
            throw ValidationError("\"\(day)\" is not a day; write --day 2026-11-21")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        _ = try context.settings.require(
            "HOLDFAST_REPORT_URL", fix: "set it to file:///var/lib/holdfast/reports or the like")
        guard let pages = try SealedDays(try Connection(context)).pages(day: day) else {
            throw Failure(
                .notFound, code: "no_such_day",
                "\(day) is not closed; see holdfast books list; a day is closed by the first "
                    + "nightly run after its end: ledger-reconciler")
        }
        let reports = PublishedReports(day: day)
        let night = try NightReport.publish(
            context, pages, published: try reports.digests(connection), tells: false)
        try reports.note(connection, renderer: NightReport.renderer, night.published)
        var report = RunReport()
        night.add(to: &report)
        let lines =
            night.files.map { "\($0.name): \($0.bytes) bytes, \($0.outcome)" }
            + [night.place.map { "in \($0)" } ?? ""]
        Say.answer(
            context, reporting,
            [
                ("day", .string(day)), ("place", .optional(night.place)),
                (
                    "files",
                    .array(
                        night.files.map {
                            [
                                "name": .string($0.name), "bytes": .integer($0.bytes),
                                "sha256": .string($0.sha256), "outcome": .string("\($0.outcome)"),
                            ]
                        })
                ),
            ],
            errors: night.problems.map {
                Failure($0.status, code: $0.problem.code, $0.problem.message)
            },
            status: report.status, text: lines.joined(separator: "\n"))
        if reporting.output == .text {
            for problem in report.problems {
                Output.error("\(context.command): \(problem.message)")
            }
        }
        return report.status
    }
}
