import ArgumentParser
import Core
import HTTP
import Jobs
import Postgres
import Providers
import Reports
import Runner

struct CallbackCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "callback",
        abstract: "Lists callbacks, shows what came, and has one read again.",
        subcommands: [CallbackList.self, CallbackShow.self, CallbackReplay.self])
}

extension CallbackResult: ExpressibleByArgument {}

struct CallbackList: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists callbacks, newest first.",
        discussion: "All flags given must hold for a callback.")
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: "Callbacks that came to this.")
    var result: CallbackResult?

    @Option(help: ArgumentHelp("Callbacks of this provider.", valueName: "name"))
    var provider: String?

    @Option(
        name: .customLong("job"), help: ArgumentHelp("Callbacks about this job.", valueName: "id"))
    var jobID: String?

    @OptionGroup var rows: ListOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        var filter = CallbackFilter()
        filter.result = result
        filter.provider = provider
        filter.jobID = jobID
        filter.limit = rows.wanted
        let offset = try context.settings.clockOffset()
        if let jobID { try JobQueries(clockOffset: offset).requireJobs(connection, [jobID]) }
        let queries = CallbackQueries(clockOffset: offset)
        let (callbacks, hasMore) = rows.shown(
            try queries.list(connection, filter), "callbacks", context, reporting)
        Say.answer(
            context, reporting,
            [
                ("callbacks", .array(callbacks.map(CallbackText.object))),
                ("has_more", .bool(hasMore)),
            ],
            text: CallbackText.table(callbacks))
        return .done
    }
}

/// The id that `show` and `replay` take.
struct CallbackArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The callback.", valueName: "id")) var callbackID: Int64

    var missing: Failure {
        Failure(
            .notFound, code: "no_such_callback",
            "there is no callback \(callbackID); check the number, and the database that "
                + "HOLDFAST_DATABASE_URL names, or look with: holdfast callback list")
    }
}

struct CallbackShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows what came with a callback, and what became of it.",
        discussion: """
            Secrets, signatures, prompts and signed addresses are left out, also of the body. The \
            digest is that of the body as it came.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var argument: CallbackArgument

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = CallbackQueries(clockOffset: try context.settings.clockOffset())
        guard let detail = try queries.callback(connection, argument.callbackID) else {
            throw argument.missing
        }
        let content = Self.content(detail)
        Say.answer(
            context, reporting, [("callback", CallbackText.object(detail, content))],
            text: CallbackText.text(detail, content))
        return .done
    }

    private static func content(_ detail: CallbackDetail) -> CallbackContent {
        let headers = (try? JSON.parse(detail.headers))?.object?.members ?? []
        let given = headers.map { Header($0.key, $0.value.text ?? "") }
        return CallbackContent(
            headers: Evidence.redact(headers: given).map { ($0.name, $0.value) },
            query: Evidence.redact(query: detail.query), body: Evidence.redact(detail.body))
    }
}

struct CallbackReplay: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Has a callback read again by the next run of stuck-sweeper.",
        discussion: """
            Its job is woken once more, and the provider's answer decides as always: nothing is \
            settled by a callback. Who did it is kept with the callback.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions
    @OptionGroup var argument: CallbackArgument

    @Flag(
        name: .customLong("force"),
        help: "Believe a callback that was refused; you vouch for it under your name.")
    var isForced = false

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let callbackID = argument.callbackID
        let actor = Person.actor
        let queries = CallbackQueries(clockOffset: try context.settings.clockOffset())
        let was = try queries.replay(connection, callbackID, actor: actor, vouches: isForced)
        guard let was else { throw argument.missing }
        if was == .refused && !isForced {
            throw Failure(
                .needsPerson, code: "callback_refused",
                "callback \(callbackID) was refused: its secret or signature was wrong or missing; "
                    + "look at it with holdfast callback show \(callbackID), and add --force if "
                    + "you vouch for it; nothing was changed")
        }
        Say.answer(
            context, reporting,
            [
                ("callback_id", .integer(callbackID)), ("was", .string(was.rawValue)),
                ("changed", .bool(was != .waiting)), ("actor", .string(actor)),
            ],
            text: was == .waiting
                ? "callback \(callbackID) waits in the inbox already; nothing was changed"
                : "callback \(callbackID) was \(was.rawValue) and waits in the inbox again; the next "
                    + "run of stuck-sweeper reads it; by \(actor)")
        return .done
    }
}
