import ArgumentParser
import Assembly
import Core
import Postgres
import Recovery
import Reports
import Runner

@main
struct LedgerReconciler: JobCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-reconciler",
        abstract: "Proves that jobs, credits and files agree, and lists what does not.",
        discussion: """
            Checks every invariant of the ledger and matches jobs with their credits, tasks and \
            files. Exits with 1 as long as anything is open.
            """,
        version: Version.current)

    @OptionGroup var common: CommonOptions

    @Option(
        help: ArgumentHelp(
            "The business day (UTC) whose movements are added up; yesterday if left out.",
            valueName: "YYYY-MM-DD"))
    var day: String?

    @Flag(help: "Deliver what has all its files and was not delivered.")
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
            try Reconciliation.run(
                connection, job.run, day: day, apply: apply, isDryRun: common.dryRun)
        } print: { report, summary in
            if common.reporting.output == .json {
                return summary.json(BooksText.members(report))
            }
            return common.reporting.quiet ? nil : BooksText.text(report, command: context.command)
        }
    }
}
