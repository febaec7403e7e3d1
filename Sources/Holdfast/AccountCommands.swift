import ArgumentParser
import BookReports
import Core
import Ledger
import Postgres
import Reports
import Runner

struct AccountCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account",
        abstract: "Shows a customer's credits, grants new ones and corrects them.",
        subcommands: [
            AccountShow.self, AccountStatementCommand.self, AccountGrant.self, AccountAdjust.self,
            AccountForget.self,
        ])
}

struct AccountShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows the balance, the open holds and the last transfers.")
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The account.", valueName: "id")) var accountID: String

    @Option(help: ArgumentHelp("At most this many holds and transfers.", valueName: "count"))
    var limit = 20

    mutating func validate() throws { try ListOptions.check(limit, example: 20) }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let (accountID, limit) = (accountID, limit)
        let (balance, holds, transfers) = try connection.transaction(.readOnlySnapshot) {
            guard let balance = try Accounts.balance(connection, accountID) else {
                throw Self.noAccount(accountID)
            }
            return (
                balance, try Accounts.openHolds(connection, account: accountID, most: limit),
                try Accounts.transfers(connection, account: accountID, most: limit)
            )
        }
        Say.answer(
            context, reporting,
            AccountText.members(balance, holds: holds, transfers: transfers),
            text: AccountText.text(balance, holds: holds, transfers: transfers, limit: limit))
        return .done
    }

    static func noAccount(_ accountID: String) -> Failure {
        Failure(
            .notFound, code: "no_such_account",
            "there is no account '\(accountID)'; check the id for a cut or a blank; an account "
                + "begins with its first grant: holdfast account grant")
    }
}

struct AccountGrant: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant",
        abstract: "Adds credits to an account, once for each reference.",
        discussion: "Repeating it with the same reference changes nothing.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The account; it begins with its first grant.", valueName: "id"))
    var accountID: String

    @Argument(help: ArgumentHelp("Whole credits, above 0.", valueName: "credits"))
    var credits: Int64

    @Option(
        help: ArgumentHelp(
            "What the grant is for: an invoice, a ticket; one name for one grant.",
            valueName: "text"))
    var reference: String

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let (accountID, credits, reference) = (accountID, credits, reference)
        let (wasThere, available) = try connection.repeatable {
            let wasThere = try Accounts.isGranted(connection, reference: reference)
            return (
                wasThere,
                try Accounts.grant(
                    connection, account: accountID, credits: credits, reference: reference)
            )
        }
        let name = Plain.line(accountID)
        Say.answer(
            context, reporting,
            [
                ("account_id", .string(accountID)), ("credits", .integer(credits)),
                ("reference", .string(reference)), ("changed", .bool(!wasThere)),
                ("available", .integer(available)),
            ],
            text: wasThere
                ? "this reference had granted account \(name) \(credits) credits before; nothing "
                    + "was changed; \(available) available"
                : "granted account \(name) \(credits) credits; \(available) available now")
        return .done
    }
}
