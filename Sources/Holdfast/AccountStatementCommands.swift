import ArgumentParser
import BookReports
import Core
import Ledger
import Postgres
import Reports
import Runner

struct AccountAdjust: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "adjust",
        abstract: "Corrects an account in either direction, once for each reference.",
        discussion: """
            Who did it and why stands beside the transfer for good. An account never goes below \
            zero.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The account.", valueName: "id")) var accountID: String

    // A list, because the parser takes -50 for flags that it does not know.
    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp(
            "Whole credits: above 0 to give, as in 50, below 0 to take, as in -50.",
            valueName: "credits"))
    var words: [String]

    @Option(help: ArgumentHelp("Why, for whoever reads the books.", valueName: "text"))
    var reason: String

    @Option(
        help: ArgumentHelp(
            "What it belongs to: a ticket, an invoice; one name for one adjustment.",
            valueName: "text"))
    var reference: String

    mutating func validate() throws { _ = try credits() }

    private func credits() throws -> Int64 {
        guard words.count == 1, let credits = Int64(words[0]), credits != 0 else {
            throw ValidationError(
                "\"\(words.joined(separator: " "))\" is no number of credits; write one, such as "
                    + "50 or -50, and nothing besides")
        }
        return credits
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let credits = try credits()
        let (changed, available): (Bool, Int64)
        do {
            (changed, available) = try Accounts.adjust(
                connection, account: accountID, credits: credits, reason: reason,
                reference: reference, by: Person.actor)
        } catch let error as PostgresError where error.sqlState == "HF005" {
            throw AccountShow.noAccount(accountID)
        }
        let name = Plain.line(accountID)
        Say.answer(
            context, reporting,
            [
                ("account_id", .string(accountID)), ("credits", .integer(credits)),
                ("reason", .string(reason)), ("reference", .string(reference)),
                ("changed", .bool(changed)), ("available", .integer(available)),
            ],
            text: changed
                ? "account \(name) was adjusted by \(credits > 0 ? "+" : "")\(credits) credits; "
                    + "\(available) available now"
                : "this reference had adjusted account \(name) by \(credits > 0 ? "+" : "")"
                    + "\(credits) credits before; nothing was changed; \(available) available")
        return .done
    }
}

enum StatementFormat: String, ExpressibleByArgument, CaseIterable {
    case text, csv
}

struct AccountStatementCommand: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "statement",
        abstract: "Shows every transfer of an account with the balances that it led to.",
        discussion: "Days are business days (policies business_zone and business_cutoff).")
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The account.", valueName: "id")) var accountID: String

    @Option(
        help: ArgumentHelp("The first day; its beginning if left out.", valueName: "YYYY-MM-DD"))
    var from: String?

    @Option(help: ArgumentHelp("The last day; up to now if left out.", valueName: "YYYY-MM-DD"))
    var to: String?

    @Option(help: "What standard output gets: a table, or CSV for spreadsheets.")
    var format: StatementFormat = .text

    @Option(help: ArgumentHelp("At most this many transfers.", valueName: "count"))
    var limit = 100_000

    mutating func validate() throws {
        for (flag, day) in [("--from", from), ("--to", to)] {
            if let day, !CalendarDay.isValid(day) {
                throw ValidationError("\"\(day)\" is not a day; write \(flag) 2026-11-21")
            }
        }
        if let from, let to, from > to {
            throw ValidationError("--from \(from) is after --to \(to); exchange them")
        }
        if format == .csv, reporting.output == .json {
            throw ValidationError("--format csv and --output json exclude each other")
        }
        try ListOptions.check(limit, example: 1000)
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        guard
            let statement = try Accounts.statement(
                connection, account: accountID, from: from, to: to, most: limit)
        else { throw AccountShow.noAccount(accountID) }
        if statement.isCut, reporting.output == .text, !reporting.quiet {
            Output.error(
                "\(context.command): there are more than \(limit) transfers; the closing line is "
                    + "the balance after the last one shown; see more with --limit N")
        }
        Say.answer(
            context, reporting, StatementText.members(statement),
            text: format == .csv ? StatementText.csv(statement) : StatementText.text(statement))
        return .done
    }
}
