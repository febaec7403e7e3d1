import ArgumentParser
import BookReports
import Core
import Ledger
import Postgres
import Reports
import Runner

struct UsageCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage",
        abstract: "Brings in what providers say they charged, and shows it.",
        subcommands: [
            UsageImport.self, UsageFetchCommand.self, UsageList.self, UsageBalance.self,
            UsageTopUp.self,
        ])
}

struct UsageList: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Shows usage lines, the newest first.",
        discussion: """
            The amount is what the line says; booked is by how much it changes what its task \
            costs: a bill takes the place of what a verdict said.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("Only lines of this provider.", valueName: "name"))
    var provider: String?

    @Option(help: ArgumentHelp("Only lines of this business day.", valueName: "YYYY-MM-DD"))
    var day: String?

    @Option(
        name: .customLong("task"),
        help: ArgumentHelp("Only lines of this task of a provider.", valueName: "id"))
    var taskID: String?

    @OptionGroup var list: ListOptions

    mutating func validate() throws {
        if let day, !CalendarDay.isValid(day) {
            throw ValidationError("\"\(day)\" is not a day; write --day 2026-11-21")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        if let provider { try ProviderName.check(provider) }
        let found = try UsageBooks.lines(
            connection, UsageFilter(provider: provider, day: day, taskID: taskID),
            most: list.wanted)
        let (lines, hasMore) = list.shown(found, "usage lines", context, reporting)
        Say.answer(
            context, reporting,
            [("lines", .array(lines.map(UsageText.object))), ("has_more", .bool(hasMore))],
            text: UsageText.text(lines))
        return .done
    }
}

/// An amount that a person has read in a provider's console, and when.
struct ReadAmount: ParsableArguments {
    @Option(help: ArgumentHelp("The provider.", valueName: "name"))
    var provider: String

    @Option(help: ArgumentHelp("The amount, such as 1250.5.", valueName: "number"))
    var amount: String

    @Option(help: ArgumentHelp("What it counts, such as credits or USD.", valueName: "name"))
    var unit: String

    @Option(
        help: ArgumentHelp(
            "When, such as 2026-11-21T10:42:00Z; now if left out.", valueName: "time"))
    var at: String?

    /// - Throws: `wrong_amount` or `wrong_date` (64); `unknown_provider` (78).
    func read(mayBeNegative: Bool) throws(Failure) -> (ExactDecimal, Instant?) {
        try ProviderName.check(provider)
        guard let number = ExactDecimal(amount), mayBeNegative || !number.isNegative,
            !number.isZero || mayBeNegative,
            ExactDecimal(number.text.drop { $0 == "-" }).map({ $0 <= UsageOffer.amountLimit })
                ?? false
        else {
            throw Failure(
                .wrongUsage, code: "wrong_amount",
                "'\(amount)' is no amount; write a number like 1250.5, up to "
                    + UsageOffer.amountLimit.text + (mayBeNegative ? "" : " and above 0"))
        }
        guard UnitName.isValid(unit) else {
            throw Failure(
                .wrongUsage, code: "wrong_amount",
                "'\(unit)' is no name of a unit; write one like credits or USD")
        }
        guard let at else { return (number, nil) }
        guard let instant = Instant(dateAndTime: at), instant.microseconds > 0 else {
            throw Failure(
                .wrongUsage, code: "wrong_date",
                "'\(at)' is no time for --at; write 2026-11-21T10:42:00Z")
        }
        return (number, instant)
    }

    /// Refuses a time that has not come yet.
    func check(_ at: Instant?, now: Instant) throws(Failure) {
        guard let at, at > now + .seconds(60) else { return }
        throw Failure(
            .wrongUsage, code: "wrong_date",
            "--at is \(at), and the database's clock says \(now); write a time that has passed")
    }
}

struct UsageBalance: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "balance",
        abstract: "Notes what is left on your account at a provider, as its console shows it.",
        discussion: """
            Between two balances the lines and top-ups have to explain the difference; what they \
            do not explain is a break.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var read: ReadAmount

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let (amount, at) = try read.read(mayBeNegative: true)
        let books = UsageBooks(
            actor: Person.actor, clockOffset: try context.settings.clockOffset())
        try read.check(at, now: try books.now(connection))
        let isNew = try books.recordBalance(
            connection, provider: read.provider, amount: amount, unit: read.unit, at: at,
            margin: .seconds(60), isFromProvider: false)
        Say.answer(
            context, reporting,
            [
                ("provider", .string(read.provider)), ("amount", .number(amount.text)),
                ("unit", .string(read.unit)), ("changed", .bool(isNew)),
            ],
            text: isNew
                ? "\(amount.text) \(read.unit) are left at \(read.provider)"
                : "there is a balance of \(read.provider) for that time already; nothing was "
                    + "changed")
        return .done
    }
}

struct UsageTopUp: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "top-up",
        abstract: "Notes what you paid in at a provider, once for each reference.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var read: ReadAmount

    @Option(
        help: ArgumentHelp(
            "The receipt or invoice; one name for one top-up.", valueName: "text"))
    var reference: String

    mutating func validate() throws {
        if reference.isEmpty || reference.utf8.count > 500 {
            throw ValidationError("--reference takes the name of a receipt, up to 500 characters")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let (amount, at) = try read.read(mayBeNegative: false)
        let books = UsageBooks(
            actor: Person.actor, clockOffset: try context.settings.clockOffset())
        try read.check(at, now: try books.now(connection))
        let isNew = try books.recordTopUp(
            connection, provider: read.provider, amount: amount, unit: read.unit,
            reference: reference, at: at)
        Say.answer(
            context, reporting,
            [
                ("provider", .string(read.provider)), ("amount", .number(amount.text)),
                ("unit", .string(read.unit)), ("reference", .string(reference)),
                ("changed", .bool(isNew)),
            ],
            text: isNew
                ? "\(amount.text) \(read.unit) were paid in at \(read.provider)"
                : "this top-up is in the books already; nothing was changed")
        return .done
    }
}
