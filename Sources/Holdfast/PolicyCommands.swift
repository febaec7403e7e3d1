import ArgumentParser
import Core
import Jobs
import Postgres
import Providers
import Reports
import Runner

struct PolicyCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Shows and sets the policies that every host follows.",
        subcommands: [PolicyShow.self, PolicySet.self, PolicyUnset.self, PolicyReleaseBrake.self])
}

extension JobKind: ExpressibleByArgument {}

/// For which jobs a policy holds.
struct ScopeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("For jobs of this provider.", valueName: "name"))
    var provider: String?

    @Option(help: "For jobs of this kind.")
    var kind: JobKind?

    @Option(help: ArgumentHelp("For jobs of this model.", valueName: "name"))
    var model: String?

    func scope() throws -> PolicyScope {
        if let provider { try ProviderName.check(provider) }
        return PolicyScope(provider: provider, kind: kind?.rawValue, model: model)
    }

    mutating func validate() throws {
        if provider == "" || model == "" {
            throw ValidationError("--provider and --model take a name; leave them out for all jobs")
        }
    }
}

enum ProviderName {
    static func check(_ name: String) throws(Failure) {
        guard ProviderRegistry.names.contains(name) else {
            throw Failure(
                .configuration, code: "unknown_provider",
                "unknown provider \(name); known are "
                    + ProviderRegistry.names.joined(separator: ", "))
        }
    }
}

struct PolicyShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows every policy, its value, and where the value comes from.",
        discussion: """
            Of several rows for one policy the first that fits a job applies: one that was set \
            before one that came with the schema, the most specific before the others. Policies \
            with a date follow: each holds until the next date of the same scope.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup(title: "Scope") var options: ScopeOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let scope = try options.scope()
        let rows = try Policies.show(connection, scope)
        let dated = try DatedPolicies.show(connection, scope)
        Say.answer(
            context, reporting,
            [
                ("policies", .array(rows.map(PolicyText.object))),
                ("dated_policies", .array(dated.map(DatedPolicyText.object))),
            ],
            text: PolicyText.text(rows)
                + (dated.isEmpty ? "" : "\n\n" + DatedPolicyText.text(dated)))
        return .done
    }
}

struct PolicySet: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Sets a policy, for all jobs or for some.",
        discussion: """
            It holds for every host from its next run on. Prices, costs and values are kept with \
            their dates: price (200), cost ('60 credits'), unit_value ('0.005 USD', with --unit) \
            and credit_value ('0.01 USD') hold from --from until the next date of the same scope.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The policy; see holdfast policy show.", valueName: "key"))
    var key: String

    @Argument(help: ArgumentHelp("Its value, such as 5m, 50, charge or off.", valueName: "value"))
    var value: String

    @OptionGroup(title: "Scope") var options: ScopeOptions

    @OptionGroup(title: "Prices and values") var dated: DatedOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let scope = try options.scope()
        if let dating = DatedKey(rawValue: key) {
            return try set(dating, scope, context, connection)
        }
        try dated.refuse(key)
        let (before, now) = try Policies.set(
            connection, try PolicyKey.named(key), value, scope, by: Person.actor)
        Say.answer(
            context, reporting,
            [
                ("key", .string(key)), ("value", .string(now)), ("before", .optional(before)),
                ("scope", .string(scope.words)),
            ],
            text: "\(key) is \(now) for \(Plain.line(scope.words))"
                + (before == now ? ", as before" : before.map { "; it was \($0)" } ?? ""))
        return .done
    }
}

struct PolicyUnset: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "unset",
        abstract: "Takes back what was set for exactly this scope.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The policy; see holdfast policy show.", valueName: "key"))
    var key: String

    @OptionGroup(title: "Scope") var options: ScopeOptions

    @OptionGroup(title: "Prices and values") var dated: DatedOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let scope = try options.scope()
        if let dating = DatedKey(rawValue: key) {
            return try unset(dating, scope, context, connection)
        }
        try dated.refuse(key)
        let now = try Policies.unset(connection, try PolicyKey.named(key), scope)
        Say.answer(
            context, reporting,
            [
                ("key", .string(key)), ("changed", .bool(now != nil)), ("value", .optional(now)),
                ("scope", .string(scope.words)),
            ],
            text: now.map { "\(key) is \($0) again for \(Plain.line(scope.words))" }
                ?? "\(key) was not set for \(Plain.line(scope.words)); nothing was changed; see "
                + "what is set with: holdfast policy show")
        return .done
    }
}

struct PolicyReleaseBrake: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "release-brake",
        abstract: "Lets go what the brakes have stopped.",
        discussion: """
            Prints what will move before it lets it go; the recoverer's next run settles it. Find \
            out first why so much was to be settled at once: a provider that calls everything \
            failed looks just like that.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(name: .customLong("job"), help: ArgumentHelp("Only this job.", valueName: "id"))
    var jobID: String?

    @Option(help: ArgumentHelp("Only jobs of this account.", valueName: "id"))
    var account: String?

    @Option(help: ArgumentHelp("Only jobs of this provider.", valueName: "name"))
    var provider: String?

    @Flag(name: .customLong("all"), help: "Whatever the brakes have stopped.")
    var isAll = false

    @Flag(help: "Print what would move, and release nothing.")
    var dryRun = false

    var isDryRun: Bool { dryRun }

    mutating func validate() throws {
        let isNarrow = jobID != nil || account != nil || provider != nil
        if isNarrow == isAll {
            throw ValidationError(
                isAll
                    ? "--all excludes --job, --account and --provider"
                    : "say what to release: --job ID, --account ID, --provider NAME or --all")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        if let provider { try ProviderName.check(provider) }
        if let jobID { try JobQueries().requireJobs(connection, [jobID]) }
        let scope = BrakeScope(jobID: jobID, accountID: account, provider: provider)
        let jobs = try Deeds.braked(connection, scope)
        if let jobID, jobs.isEmpty {
            throw Failure(
                .needsPerson, code: "not_braked",
                "job '\(jobID)' is not stopped by a brake; nothing was changed; see holdfast job "
                    + "show \(jobID)")
        }
        if reporting.output == .text { Output.standard(BrakeText.text(jobs, isDryRun: dryRun)) }
        let freed =
            dryRun || jobs.isEmpty
            ? 0 : try Deeds(actor: Person.actor).releaseBrakes(connection, scope)
        if reporting.output == .json {
            Say.answer(
                context, reporting, isDryRun: dryRun,
                BrakeText.members(jobs) + [("released", .integer(freed))], text: "")
        } else if freed > 0 {
            Output.standard("\(freed) released; the recoverer's next run settles them")
        }
        return .done
    }
}
