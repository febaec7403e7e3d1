import ArgumentParser
import Core
import Glibc
import Reception
import Runner

@main
struct CallbackReceiver: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "callback-receiver",
        abstract: "Takes a provider's callback and keeps it.",
        discussion: """
            Started by a web server through CGI it takes the provider from the last part of the \
            path, and answers 200 whatever comes. Started otherwise it reads a body from standard \
            input. The callback goes into the inbox of the database; when that does not take it \
            within two seconds, into the folder of HOLDFAST_SPOOL_DIR, which the next run of \
            stuck-sweeper on this host empties. It does nothing else: what a callback is about is \
            found out by that run.
            """,
        version: Version.current)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("Who called back.", valueName: "name"))
    var provider: String

    @Option(
        name: .customLong("header"),
        help: ArgumentHelp("A header that came with it; repeatable.", valueName: "Name: value"))
    var headers: [String] = []

    @Option(help: ArgumentHelp("The query of the address that was called.", valueName: "text"))
    var query = ""

    static func main() {
        if CGIRequest.isExpected(Settings.processEnvironment) { Gateway.main() }
        Entry.main(Self.self)
    }

    mutating func validate() throws {
        if provider.isEmpty {
            throw ValidationError("--provider takes a name, such as --provider kie")
        }
        _ = try parsedHeaders()
    }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let body = BodyReader.pipe.read(STDIN_FILENO, announced: nil)
        let callback = ReceivedCallback(
            provider: provider.lowercased(), headers: try parsedHeaders(),
            query: query.hasPrefix("?") ? String(query.dropFirst()) : query, body: body.bytes,
            whole: body.whole, receivedAt: MachineClock.now())
        switch Keeping.keep(callback, context.settings) {
        case .inbox(let callbackID):
            Say.answer(
                context, reporting,
                [("kept", "inbox"), ("callback_id", .integer(callbackID))],
                text: "callback \(callbackID) is in the inbox")
        case .spool(let name, let why):
            Say.answer(
                context, reporting, [("kept", "spool"), ("spool_id", .string(name))],
                text: "the callback is spooled as \(name): \(why.message)")
        case .nowhere(let failure):
            throw failure
        }
        return .done
    }

    private func parsedHeaders() throws -> JSONObject {
        var object = JSONObject()
        for header in headers {
            let name = header.prefix { $0 != ":" }
            guard !name.isEmpty, name.count < header.count else {
                throw ValidationError(
                    "--header takes 'Name: value', such as --header 'X-Webhook-Timestamp: 1700000000'"
                )
            }
            let value = header.dropFirst(name.count + 1).drop { $0 == " " }
            object[name.lowercased()] = .string(String(value))
        }
        return object
    }
}
