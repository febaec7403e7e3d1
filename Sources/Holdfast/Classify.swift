import ArgumentParser
import Core
import Glibc
import HTTP
import Providers
import Runner

extension AnswerKind: ExpressibleByArgument {}

struct Classify: ExecutableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads a provider's answer from standard input and prints the verdict.",
        discussion: """
            Works without a database and without credentials. A body that cannot be understood is \
            a verdict too: unknown.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("Whose answer it is.", valueName: "name"))
    var provider: String

    @Option(help: "What the body answers.")
    var kind: AnswerKind = .poll

    @Option(
        help: ArgumentHelp(
            "Where it came from: a path, with or without method and query.", valueName: "path"))
    var endpoint: String?

    @Option(
        name: .customLong("asked-task-id"),
        help: ArgumentHelp("The task that was asked about.", valueName: "id"))
    var askedTaskID: String?

    @Option(
        name: .customLong("http-status"),
        help: ArgumentHelp("The status that came with it.", valueName: "status"))
    var httpStatus = 200

    @Option(
        name: .customLong("header"),
        help: ArgumentHelp("A header that came with it; repeatable.", valueName: "name: value"))
    var headers: [String] = []

    @Option(
        help: ArgumentHelp("When it came; now if left out.", valueName: "unix-seconds"))
    var now: Int64?

    /// Bytes of standard input that are looked at; no provider's answer comes near.
    private static let inputLimitBytes = 64 << 20

    mutating func validate() throws {
        if !(100...999).contains(httpStatus) {
            throw ValidationError("--http-status takes a number from 100 to 999, such as 200")
        }
        for header in headers where Self.header(header) == nil {
            throw ValidationError(
                "--header takes a name and a value, such as --header 'Retry-After: 30'")
        }
    }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        guard let adapter = ProviderRegistry.reader(provider) else {
            try ProviderName.check(provider)
            throw Failure(.defect, code: "no_reader", "\(provider) has no reader")
        }
        let body = try Self.standardInput()
        let verdict = Classification.classify(
            provider: adapter, kind: kind, endpoint: endpoint, askedTaskID: askedTaskID,
            httpStatus: httpStatus, headers: headers.compactMap(Self.header),
            now: now.map { Instant(unixSeconds: $0) } ?? MachineClock.now(), body: body)
        Output.standard(JSON.write(verdict))
        return .done
    }

    private static func header(_ text: String) -> Header? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let name = text[..<colon]
        guard !name.isEmpty, !name.contains(where: \.isWhitespace) else { return nil }
        var value = text[text.index(after: colon)...]
        value = value.drop(while: \.isWhitespace)
        while value.last?.isWhitespace == true { value.removeLast() }
        return Header(String(name), String(value))
    }

    /// Everything up to the end; past the limit it is read on and not kept.
    private static func standardInput() throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0 && errno == EINTR {
                if StopSignal.isRaised { return bytes }
                continue
            }
            guard count >= 0 else {
                throw Failure(
                    .wrongUsage, code: "no_input",
                    "standard input cannot be read: \(String(cString: strerror(errno))); "
                        + "give the body like this: holdfast classify --provider kie < body.json")
            }
            if count == 0 { return bytes }
            bytes += chunk[..<min(count, max(0, inputLimitBytes - bytes.count))]
        }
    }
}
