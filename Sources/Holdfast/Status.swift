import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Providers
import Reports
import Runner

struct Status: DatabaseCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says how things are.",
        discussion: """
            Success rate and mean time to completion are about the jobs that ended within the \
            window; everything else is as of now.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(
        help: ArgumentHelp("How far back to look.", valueName: "duration"),
        transform: { try DurationFlag("--window", $0) })
    var window = DurationFlag(.seconds(86_400))

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        let overview = try queries.overview(connection, window: window.duration)
        let trouble = try Installations.trouble(
            connection, named: context.settings.value(Installations.variable))
        // A malformed key is no reason to say nothing about the jobs; doctor is about that.
        var missing: [String: [String]] = [:]
        if let registry = try? ProviderRegistry(context.settings) {
            for name in ProviderRegistry.names { missing[name] = registry.missingVariables(name) }
        }
        Say.answer(
            context, reporting,
            OverviewText.members(overview, missing: missing) + [
                (key: "stopped", value: .optional(trouble))
            ],
            text: (trouble.map { "stopped: \($0)\n\n" } ?? "")
                + OverviewText.text(overview, place: connection.place, missing: missing))
        return .done
    }
}
