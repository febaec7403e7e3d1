import ArgumentParser
import Assembly
import BookReports
import Closing
import Core
import NightAssembly
import Postgres
import Reports
import Runner

@main
struct LedgerReconciler: JobCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-reconciler",
        abstract: "Closes the day, and proves that jobs, credits, files and provider bills agree.",
        discussion: """
            Closes every business day that is over, matches jobs with their credits, tasks, files, \
            callbacks and the providers' usage, both ways, and lists what does not agree. Exits with \
            1 as long as anything is open.
            """,
        version: Version.current)

    @OptionGroup var common: CommonOptions

    @Option(
        help: ArgumentHelp(
            "The business day whose movements are added up; the last one that is over if left out.",
            valueName: "YYYY-MM-DD"))
    var day: String?

    @Flag(
        help: ArgumentHelp(
            "Mend what needs no judgement.",
            discussion: """
                Each fix is looked at again in its own transaction, under the brakes. With --dry-run \
                it prints the plan and its digest.
                """))
    var apply = false

    static func main() { Entry.main(Self.self) }

    mutating func validate() throws {
        if let day, !CalendarDay.isValid(day) {
            throw ValidationError("\"\(day)\" is not a day; write --day 2026-11-21")
        }
    }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let (common, day, apply) = (common, day, apply)
        return try JobFrame.perform(context, common) { connection, job in
            try InstallationPlaces(context).check(
                connection, needsStore: false, isDryRun: common.dryRun)
            var problem: RunReport.Problem?
            if !common.dryRun {
                try NightUsage.fetch(context, connection, job.run)
                problem = try NightFiles.look(
                    context, connection, job.run, timeBudget: common.timeBudget)
            }
            var books = try Reconciliation(
                job.run, connect: { try Connection(context) },
                shouldStop: { StopSignal.isRaised }
            )
            .perform(
                connection, day: day, apply: apply, isDryRun: common.dryRun,
                version: Version.current)
            if let problem { books.run.add(problem, status: .needsPerson) }
            if !common.dryRun {
                try NightReports.publish(context, connection, job.run, asked: day, &books.run)
            }
            return books
        } print: { report, summary in
            if common.reporting.output == .json {
                return summary.json(BooksText.members(report))
            }
            return common.reporting.quiet ? nil : BooksText.text(report, command: context.command)
        }
    }
}
