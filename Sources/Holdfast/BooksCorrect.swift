import ArgumentParser
import BookReports
import Core
import Ledger
import Postgres
import Reports
import Runner

struct BooksCorrect: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "correct",
        abstract: "Corrects an account for the sake of a day that is sealed.",
        discussion: """
            The sealed day stays as it is: the adjustment is posted on the open day and names the day \
            that it corrects, in statements and reports. Repeating it with the same words changes \
            nothing; a second one like it takes a --reference of its own. An account never goes below \
            zero. A day that is not sealed yet is corrected with holdfast account adjust.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("The sealed day that is corrected.", valueName: "YYYY-MM-DD"))
    var day: String

    @Option(help: ArgumentHelp("The account.", valueName: "id")) var account: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Whole credits: above 0 to give, as in 50, below 0 to take, as in -50.",
            valueName: "credits"))
    var credits: Int64

    @Option(help: ArgumentHelp("Why, for whoever reads the books.", valueName: "text"))
    var reason: String

    @Option(
        help: ArgumentHelp(
            "A ticket or the like: one name for one correction. Left out, it is made from the day, "
                + "the account, the credits and the reason.", valueName: "text"))
    var reference: String?

    mutating func validate() throws {
        guard CalendarDay.isValid(day) else {
            throw ValidationError("\"\(day)\" is not a day; write --day 2026-11-21")
        }
        guard credits != 0 else {
            throw ValidationError("--credits takes a number other than 0, such as 50 or -50")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let cause = reference ?? "\(account) \(credits) \(reason)"
        let name = String(
            String.UnicodeScalarView("correction of \(day): \(cause)".unicodeScalars.prefix(500)))
        let (changed, available): (Bool, Int64)
        do {
            (changed, available) = try Accounts.adjust(
                connection, account: account, credits: credits, reason: reason, reference: name,
                by: Person.actor, correcting: day)
        } catch let error as PostgresError where error.sqlState == "HF005" {
            throw AccountShow.noAccount(account)
        }
        let shown = Plain.line(account)
        let signed = "\(credits > 0 ? "+" : "")\(credits) credits"
        Say.answer(
            context, reporting,
            [
                ("day", .string(day)), ("account_id", .string(account)),
                ("credits", .integer(credits)), ("reason", .string(reason)),
                ("reference", .string(name)), ("changed", .bool(changed)),
                ("available", .integer(available)),
            ],
            text: changed
                ? "account \(shown) was adjusted by \(signed) to correct \(day); \(available) "
                    + "available now"
                : "account \(shown) had been adjusted by \(signed) to correct \(day) before; "
                    + "nothing was changed; \(available) available; a second one like it takes "
                    + "--reference")
        return .done
    }
}
