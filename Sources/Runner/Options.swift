package import ArgumentParser
import Core

package enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, json
}

package enum LogFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, logfmt, json
}

/// How a command speaks and where its settings are; every command has these flags.
package struct ReportingOptions: ParsableArguments {
    @Option(
        name: .customLong("output"), help: "What standard output gets: text or one JSON object.")
    package var output: OutputFormat = .text

    @Option(name: .customLong("log-format"), help: "The form of the lines on standard error.")
    package var logFormat: LogFormat = .text

    @Flag(name: .customLong("verbose"), help: "Log every step.")
    package var verbose = false

    @Flag(name: .customLong("quiet"), help: "Log errors only.")
    package var quiet = false

    @Option(
        name: .customLong("env-file"),
        help: ArgumentHelp(
            "A file of NAME=value lines for what the environment does not set.",
            valueName: "path"))
    package var envFile: String?

    package init() {}

    package mutating func validate() throws {
        if verbose && quiet {
            throw ValidationError("--verbose and --quiet exclude each other; leave one out")
        }
        if envFile?.isEmpty == true {
            throw ValidationError("--env-file takes a path, such as /etc/holdfast/holdfast.env")
        }
    }
}

/// The flags that the four jobs share.
package struct CommonOptions: ParsableArguments {
    @OptionGroup(title: "Reporting")
    package var reporting: ReportingOptions

    @Option(
        name: .customLong("time-budget"),
        help: ArgumentHelp("How long to begin new work (default: 50s).", valueName: "duration"),
        transform: { try DurationFlag("--time-budget", $0) })
    var timeBudgetFlag = DurationFlag(.seconds(50))

    @Flag(name: .customLong("dry-run"), help: "Decide everything, write nothing.")
    package var dryRun = false

    package init() {}

    /// After this long no new work is begun.
    package var timeBudget: Duration { timeBudgetFlag.duration }
}

/// The flags of the jobs that run each minute.
package struct MinutelyOptions: ParsableArguments {
    @Option(
        name: .customLong("limit"),
        help: ArgumentHelp("Examine at most this many rows.", valueName: "count"))
    package var limit: Int?

    @Option(
        name: .customLong("job"),
        help: ArgumentHelp("Only this job, whatever its thresholds; repeatable.", valueName: "id"))
    package var jobs: [String] = []

    @Option(
        name: .customLong("provider"),
        help: ArgumentHelp("Only jobs of this provider; repeatable.", valueName: "name"))
    package var providers: [String] = []

    @Option(
        name: .customLong("concurrency"),
        help: ArgumentHelp("Requests or transfers at once.", valueName: "count"))
    package var concurrency = 64

    package init() {}

    static let concurrencyLimit = 1024

    package mutating func validate() throws {
        if let limit, limit < 1 {
            throw ValidationError("--limit takes a number from 1, such as --limit 100")
        }
        if concurrency < 1 || concurrency > Self.concurrencyLimit {
            throw ValidationError(
                "--concurrency takes a number from 1 to \(Self.concurrencyLimit), "
                    + "such as --concurrency 64")
        }
        if jobs.contains("") { throw ValidationError("--job takes the id of a job") }
        if providers.contains("") {
            throw ValidationError("--provider takes a name, such as --provider kie")
        }
    }
}

/// What no flags at all come to, without asking the parser.
///
/// The parser looks up dozens of types in the whole program to learn what it may expect, which takes
/// longer than an idle run's work; cron's plain call has nothing to parse. A test holds these to what
/// the parser makes of an empty line.
package protocol Unflagged: ParsableArguments {
    static var unflagged: Self { get }
}

extension ReportingOptions: Unflagged {
    package static var unflagged: Self {
        var options = Self()
        options.output = .text
        options.logFormat = .text
        options.verbose = false
        options.quiet = false
        options.envFile = nil
        return options
    }
}

extension CommonOptions: Unflagged {
    package static var unflagged: Self {
        var options = Self()
        options.reporting = .unflagged
        options.timeBudgetFlag = DurationFlag(.seconds(50))
        options.dryRun = false
        return options
    }
}

extension MinutelyOptions: Unflagged {
    package static var unflagged: Self {
        var options = Self()
        options.limit = nil
        options.jobs = []
        options.providers = []
        options.concurrency = 64
        return options
    }
}

/// A duration on the command line, shown in help the way it is written.
package struct DurationFlag: Sendable, CustomStringConvertible {
    package var duration: Duration

    package init(_ duration: Duration) { self.duration = duration }

    /// Reads what followed `flag`.
    /// - Throws: A usage error with an example.
    package init(_ flag: String, _ text: String) throws {
        guard let duration = DurationText.parse(text), duration > .zero else {
            throw ValidationError(
                "\"\(text)\" is not a duration for \(flag); "
                    + "write a number with its unit, such as 50s, 2m or 1h30m")
        }
        self.duration = duration
    }

    package var description: String { DurationText.describe(duration) }
}
