import ArgumentParser
import BookReports
import Core
import Ledger
import Postgres
import Reports
import Runner

struct BreakCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "break",
        abstract: "Lists what the nights found wrong, shows it, and takes a person's answer.",
        subcommands: [BreakList.self, BreakShow.self, BreakResolve.self])
}

extension BreakFilter.Status: ExpressibleByArgument {}

struct BreakList: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists breaks, the oldest first.",
        discussion: """
            A break keeps its number from night to night. All flags given must hold for it.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: "Breaks that are open, answered by a person, closed, or all.")
    var status = BreakFilter.Status.open

    @Option(
        name: .customLong("class"),
        help: ArgumentHelp("Breaks of this class, such as failed-still-held.", valueName: "name"))
    var kind: String?

    @Option(name: .customLong("job"), help: ArgumentHelp("Breaks of this job.", valueName: "id"))
    var jobID: String?

    @Option(help: ArgumentHelp("Breaks of this account.", valueName: "id"))
    var account: String?

    @Option(help: ArgumentHelp("Breaks of this provider.", valueName: "name"))
    var provider: String?

    @OptionGroup var rows: ListOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        var filter = BreakFilter()
        filter.status = status
        filter.kind = kind
        filter.jobID = jobID
        filter.accountID = account
        filter.provider = provider
        filter.limit = rows.wanted
        let queries = BreakQueries(clockOffset: try context.settings.clockOffset())
        let (breaks, hasMore) = rows.shown(
            try queries.list(connection, filter), "breaks", context, reporting)
        Say.answer(
            context, reporting,
            [("breaks", .array(breaks.map(BreakText.object))), ("has_more", .bool(hasMore))],
            text: BreakText.table(breaks))
        return .done
    }
}

/// The number that `show` and `resolve` take.
struct BreakArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The break.", valueName: "number")) var breakID: Int64

    var missing: Failure {
        Failure(
            .notFound, code: "no_such_break",
            "there is no break \(breakID); check the number, and the database that "
                + "HOLDFAST_DATABASE_URL names, or look with: holdfast break list --status all")
    }
}

struct BreakShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows a break: the facts, who loses, the likely cause, and what was done.")
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var argument: BreakArgument

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = BreakQueries(clockOffset: try context.settings.clockOffset())
        guard let (kept, fixes) = try queries.find(connection, argument.breakID) else {
            throw argument.missing
        }
        Say.answer(
            context, reporting, [("break", BreakText.object(kept, fixes))],
            text: BreakText.text(kept, fixes))
        return .done
    }
}

struct BreakResolve: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Answers a break that nothing more can be done about, with a reason.",
        discussion: """
            Nothing moves. The next night closes it, and it stays closed as long as its facts stay \
            the same. Your name and the reason are kept.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var argument: BreakArgument

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String

    mutating func validate() throws { try Reason.check(reason) }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = BreakQueries(clockOffset: try context.settings.clockOffset())
        let actor = Person.actor
        guard
            let changed = try queries.resolve(
                connection, argument.breakID, reason: reason, actor: actor)
        else { throw argument.missing }
        Say.answer(
            context, reporting,
            [
                ("break_id", .integer(argument.breakID)), ("changed", .bool(changed)),
                ("actor", .string(actor)),
            ],
            text: changed
                ? "break \(argument.breakID) is answered; the next night closes it; by \(actor)"
                : "break \(argument.breakID) was closed before; nothing was changed")
        return .done
    }
}
