package import ArgumentParser
package import Core
import Glibc
package import Logging
import Postgres

/// A command that `Entry` can run: flags in, exit status out.
package protocol ExecutableCommand: ParsableCommand {
    var reporting: ReportingOptions { get }
    /// For the JSON object of a command that fails before it can write its own.
    var isDryRun: Bool { get }
    /// Does the work, and writes what belongs on standard output itself.
    ///
    /// With `--output json` that is one object; `Entry` writes it when this throws before anything
    /// was written. A status that a signal may have changed is passed through
    /// `StopSignal.outranking` before it is written and returned.
    mutating func perform(_ context: RunContext) throws -> ExitStatus
}

extension ExecutableCommand {
    package var isDryRun: Bool { false }
}

/// A command with the flags that the four jobs share.
package protocol JobCommand: ExecutableCommand {
    var common: CommonOptions { get }
}

/// One of the jobs that cron starts each minute.
package protocol MinutelyCommand: JobCommand, Unflagged {
    var common: CommonOptions { get set }
    var minutely: MinutelyOptions { get set }
}

extension MinutelyCommand {
    package static var unflagged: Self {
        var command = Self()
        command.common = .unflagged
        command.minutely = .unflagged
        return command
    }
}

extension JobCommand {
    package var reporting: ReportingOptions { common.reporting }
    package var isDryRun: Bool { common.dryRun }
}

/// What every command is given.
package struct RunContext: Sendable {
    /// As it was called: `stuck-sweeper`, `holdfast job show`.
    package let command: String
    package let runID: String
    package let settings: Settings
    /// Bears the run's name on every line.
    package let log: Logger
    package let startedAt: Instant

    package init(
        command: String, runID: String, settings: Settings, log: Logger, startedAt: Instant
    ) {
        self.command = command
        self.runID = runID
        self.settings = settings
        self.log = log
        self.startedAt = startedAt
    }
}

/// The one way into every executable and the one way out of it.
///
/// An error that leaves `main` would end the process with a signal and, in a release build, without
/// a word; hence everything is caught here and the process always ends with a status of ours.
package enum Entry {
    /// Reads the command line, runs the command that it names, and exits.
    package static func main(_ root: any ParsableCommand.Type) -> Never {
        StandardStreams.fill()
        StopSignal.install()
        let status = run(root, arguments: Array(CommandLine.arguments.dropFirst()))
        Output.passing(nil)
        exit(status.rawValue)
    }

    /// The same without the end of the process.
    package static func run(
        _ root: any ParsableCommand.Type, arguments: [String]
    ) -> ExitStatus {
        var report = Report(
            command: name(of: root), isJSON: asksForJSON(arguments),
            isDryRun: arguments.contains("--dry-run"))
        do {
            let command = try parse(root, arguments)
            if var executable = command as? any ExecutableCommand {
                report.command = path(to: type(of: command), below: root) ?? report.command
                report.isJSON = executable.reporting.output == .json
                report.isDryRun = executable.isDryRun
                return checkOutput(perform(&executable, report, root), report)
            }
            var plain = command
            try plain.run()
            return checkOutput(.done, report)
        } catch {
            return checkOutput(end(error, of: root, report), report)
        }
    }

    private static func parse(
        _ root: any ParsableCommand.Type, _ arguments: [String]
    ) throws -> any ParsableCommand {
        if arguments.isEmpty, let plain = root as? any (ParsableCommand & Unflagged).Type {
            return plain.unflagged
        }
        try Mistyped.check(root, arguments)
        return try root.parseAsRoot(arguments)
    }

    /// Nobody must take a full disk for an answer that was written.
    private static func checkOutput(_ status: ExitStatus, _ report: Report) -> ExitStatus {
        guard let problem = Output.standardProblem else { return status }
        Output.error(
            "\(report.command): standard output cannot be written: "
                + String(cString: strerror(problem)))
        return ExitStatus.worst(status, .unavailable)
    }

    private static func perform(
        _ command: inout any ExecutableCommand, _ report: Report,
        _ root: any ParsableCommand.Type
    ) -> ExitStatus {
        let reporting = command.reporting
        let isJob = command is any JobCommand
        var known: Settings?
        do {
            let settings = try Settings(envFile: reporting.envFile)
            known = settings
            let level: Logger.Level =
                reporting.verbose ? .debug : reporting.quiet ? .error : .notice
            var log = Logger(label: report.command) { _ in
                LineLog(format: reporting.logFormat, level: level)
            }
            log[metadataKey: "run_id"] = "\(report.runID)"
            return try command.perform(
                RunContext(
                    command: report.command, runID: report.runID, settings: settings, log: log,
                    startedAt: report.startedAt))
        } catch let error where isParserError(error) {
            return end(error, of: root, report)
        } catch {
            let failure = failure(from: error)
            let status = StopSignal.outranking(failure.status)
            let failed = error as? FailedRun
            if isJob && !report.isDryRun && Damping.applies(reporting) {
                report.say(failure, failed?.saying, known, reporting.logFormat)
            } else {
                report.say(failure, reporting.logFormat)
            }
            report.writeJSON(failure, status, failed?.problems ?? [])
            return status
        }
    }

    /// Any error as a failure with a status and a code.
    package static func failure(from error: any Error) -> Failure {
        switch error {
        case let failure as Failure: failure
        case let failed as FailedRun: failed.failure
        case let error as PostgresError: error.failure
        default: Failure(.defect, code: "defect", "\(type(of: error)): \(error)")
        }
    }

    /// Usage errors, and the clean exits of `--help` and `--version`.
    private static func end(
        _ error: any Error, of root: any ParsableCommand.Type, _ report: Report
    ) -> ExitStatus {
        let code = root.exitCode(for: error)
        let message = root.fullMessage(for: error)
        if code.isSuccess {
            if !message.isEmpty { Output.standard(message) }
            return .done
        }
        if !message.isEmpty { Output.error(message) }
        let status = ExitStatus(rawValue: code.rawValue) ?? .wrongUsage
        report.writeJSON(
            Failure(status, code: "wrong_usage", root.message(for: error)), status)
        return status
    }

    private static func isParserError(_ error: any Error) -> Bool {
        error is ValidationError || error is CleanExit || error is ExitCode
    }

    /// Whether a command line asks for JSON, however wrong the rest of it is.
    private static func asksForJSON(_ arguments: [String]) -> Bool {
        arguments.contains("--output=json")
            || zip(arguments, arguments.dropFirst()).contains { $0 == "--output" && $1 == "json" }
    }

    private static func name(of command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? "\(command)".lowercased()
    }

    private static func path(
        to wanted: any ParsableCommand.Type, below root: any ParsableCommand.Type
    ) -> String? {
        if wanted == root { return name(of: root) }
        for subcommand in root.configuration.subcommands {
            if let path = path(to: wanted, below: subcommand) { return name(of: root) + " " + path }
        }
        return nil
    }
}
