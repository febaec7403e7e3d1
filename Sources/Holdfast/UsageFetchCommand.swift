import ArgumentParser
import Assembly
import BookReports
import Closing
import Core
import Jobs
import Postgres
import Providers
import Recovery
import Reports
import Runner

struct UsageFetchCommand: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Asks providers what they charged and what is left on your accounts.",
        discussion: """
            The nightly run does the same. Lines come from fal, whose key has to be one for \
            admins; balances from KIE and Luma. For all others: holdfast usage import.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("Only this provider; repeatable.", valueName: "name"))
    var provider: [String] = []

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let registry = try ProviderRegistry(context.settings)
        for name in provider { try Self.check(name, registry) }
        var fetched: [FetchedUsage] = []
        let status = try JobRun.byHand(connection, context, words: "fetches") { record, report in
            let wiring = try Wiring(context, record.run)
            fetched = try UsageFetch.run(connection, wiring, providers: provider)
            report.examined = fetched.count
            for one in fetched {
                report.count("lines_new", Int(clamping: one.newLines))
                guard let problem = one.problem else { continue }
                report.add(
                    .init(code: "usage_unavailable", message: "\(one.provider): \(problem)"),
                    status: .unavailable)
            }
        }
        let failures = fetched.compactMap { one in
            one.problem.map {
                Failure(.unavailable, code: "usage_unavailable", "\(one.provider): \($0)")
            }
        }
        if reporting.output == .text {
            for failure in failures { Output.error("\(context.command): \(failure.message)") }
        }
        Say.answer(
            context, reporting, [("providers", .array(fetched.map(FetchedUsageText.object)))],
            errors: failures, status: status, text: FetchedUsageText.text(fetched))
        return status
    }

    private static func check(_ name: String, _ registry: ProviderRegistry) throws(Failure) {
        try ProviderName.check(name)
        let billing = registry.provider(name)?.facts.billing ?? BillingFacts()
        guard billing.hasLines || billing.hasBalance else {
            throw Failure(
                .wrongUsage, code: "usage_not_told",
                "\(name) tells neither charges nor a balance; download them from its console, "
                    + "then: holdfast usage import --provider \(name)")
        }
        let missing = registry.missingVariables(name)
        guard missing.isEmpty else {
            throw Failure(
                .configuration, code: "provider_off",
                "\(name) is off on this host: set " + missing.joined(separator: " and "))
        }
    }
}
