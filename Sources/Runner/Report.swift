import Core
import Logging

/// What the entry knows about a run, for the case that the command cannot speak for itself.
struct Report {
    var command: String
    var isJSON: Bool
    var isDryRun: Bool
    let runID = RunID.make()
    let startedAt = MachineClock.now()

    /// One line on standard error.
    func say(_ failure: Failure, _ format: LogFormat) {
        if format == .text {
            // A defect is looked up by its run; everybody else is told what to do and no more.
            let tail = failure.status == .defect ? " (run \(runID))" : ""
            Output.error(
                "\(command): \(failure.message)\(tail)".split(separator: "\n").joined(
                    separator: " "))
        } else {
            var log = Logger(label: command) { _ in LineLog(format: format, level: .error) }
            log[metadataKey: "run_id"] = "\(runID)"
            log.error("\(failure.message)", metadata: ["code": "\(failure.code)"])
        }
    }

    /// The same for a run that nobody watches: what lasts is said once, and each hour.
    ///
    /// - Parameters:
    ///   - saying: What the database remembers; nil where this host has to.
    ///   - settings: Nil where they could not be read.
    func say(
        _ failure: Failure, _ saying: Saying?, _ settings: Settings?, _ format: LogFormat
    ) {
        let (saying, hasMemory) =
            saying.map { ($0, hasMemory: true) } ?? Damping.saying(failure, settings)
        guard saying != .nothing else { return }
        var failure = failure
        failure.message += Damping.tail(saying) + (hasMemory ? "" : Damping.noMemory)
        say(failure, format)
    }

    /// The object that `--output json` promises, unless the command has written its own.
    ///
    /// - Parameter problems: What the run had to say before it failed.
    func writeJSON(
        _ failure: Failure, _ status: ExitStatus, _ problems: [RunReport.Problem] = []
    ) {
        guard isJSON, !Output.hasSpoken else { return }
        let earlier = problems.map { problem -> JSONValue in
            [
                "job_id": .optional(problem.jobID), "code": .string(problem.code),
                "message": .string(Redaction.apply(problem.message)),
            ]
        }
        let last: JSONValue = [
            "code": .string(failure.code),
            "message": .string(Redaction.apply(failure.message)),
        ]
        let object: JSONValue = [
            "command": .string(command), "version": .string(Version.current),
            "run_id": .string(runID), "dry_run": .bool(isDryRun),
            "started_at": .string(startedAt.description),
            "finished_at": .string(MachineClock.now().description),
            "examined": 0, "outcomes": [:], "credits": [:],
            "errors": .array(earlier + [last]),
            "exit_status": .integer(status.rawValue),
        ]
        Output.standard(JSON.write(object))
    }
}
