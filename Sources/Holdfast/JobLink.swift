import ArgumentParser
import Core
import Glibc
import Jobs
import Postgres
import Reports
import Runner

struct JobLink: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "link",
        abstract: "Says which tasks at the provider belong to which jobs.",
        discussion: """
            For tasks that a bill, a list or the provider's console names and no job knows. The job \
            is due at once, and the provider's answer decides. A second task of a job is kept as a \
            second one. Without --task the task's id is asked for; with --else-abandon, nothing for \
            an answer gives the job up. --from takes many, a job and its task on each line; lines \
            that were done before change nothing.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The job.", valueName: "id")) var jobID: String?

    @Option(help: ArgumentHelp("The provider's name for the task.", valueName: "id"))
    var task: String?

    @Flag(
        name: .customLong("else-abandon"),
        help: "Give the job up when the provider has no task of it.")
    var abandonsElse = false

    @Option(
        help: ArgumentHelp(
            "A file of lines \"job task\", or - for standard input.", valueName: "path"))
    var from: String?

    @Flag(name: .customLong("dry-run"), help: "Say what would be done, and do nothing.")
    var isDryRun = false

    mutating func validate() throws {
        guard (jobID == nil) != (from == nil) else {
            throw ValidationError("name one job, or --from with a file of jobs and tasks")
        }
        if from != nil, task != nil || abandonsElse {
            throw ValidationError(
                "--from names the tasks itself: leave --task and --else-abandon out")
        }
        if isDryRun, from == nil, task == nil {
            throw ValidationError("--dry-run needs --task or --from")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        if let from { return try linkAll(LinkLines.read(from), context, connection) }
        let jobID = jobID ?? ""
        guard let before = try JobQueries().job(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        if isDryRun, let task {
            return try linkAll(
                [(1, .success(TaskLink(jobID: jobID, taskID: task)))], context, connection)
        }
        guard let task = try task ?? Self.ask(about: before) else {
            return try abandon(before, context, connection)
        }
        let changed = try Deeds(actor: Person.actor).link(connection, jobID, task: task)
        guard let job = try JobQueries().job(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        let (name, taskName) = (Plain.line(jobID), Plain.line(task))
        Say.answer(
            context, reporting, [("job", JobText.object(job)), ("changed", .bool(changed))],
            text: changed
                ? "task \(taskName) belongs to job \(name) now, which is \(job.state.rawValue)"
                : "task \(taskName) belonged to job \(name) before; nothing was changed")
        return .done
    }

    private func linkAll(
        _ lines: [(number: Int, link: Result<TaskLink, Failure>)], _ context: RunContext,
        _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let deeds = Deeds(actor: Person.actor)
        var outcomes = ManyOutcomes()
        var claimed: [[String]: String] = [:]
        for (number, line) in lines where !StopSignal.isRaised {
            let place = "line \(number): "
            switch line {
            case .failure(let failure): outcomes.refuse("", failure, place)
            case .success(let link):
                try outcomes.add(link.jobID, done: "linked", place: place) {
                    try deeds.link(connection, link, isDryRun: isDryRun, claimed: &claimed)
                }
            }
        }
        return outcomes.say(context, reporting, isDryRun: isDryRun)
    }

    /// Gives a job up of which a person has just said that the provider has no task.
    private func abandon(
        _ job: JobStatus, _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        guard abandonsElse, job.blocked == Blocked.submissionUnknown.rawValue else {
            throw Failure(
                .needsPerson, code: "no_task_named",
                "no task was named for job '\(job.jobID)'; nothing was changed; "
                    + (job.blocked == Blocked.submissionUnknown.rawValue
                        ? "when \(job.provider) has none: \(job.wayOut ?? "")"
                        : "see holdfast job show \(job.jobID)"))
        }
        let changed = try Deeds(actor: Person.actor).abandon(
            connection, job.jobID, reason: "\(job.provider) has no task of it")
        return try JobAbandon.say(context, reporting, connection, job.jobID, changed)
    }

    /// The task's id, as a person types it; nil when there is none.
    private static func ask(about job: JobStatus) throws -> String? {
        if isatty(STDIN_FILENO) == 1 {
            Output.error(
                "job \(Plain.line(job.jobID)), created at \(job.createdAt): look for its task at "
                    + "\(job.provider); its id, or nothing when there is none:")
        }
        let line = LinkLines.trimmed(try LinkLines.line())
        return line.isEmpty ? nil : line
    }
}

/// Lines of a job and its task, separated by blanks; empty ones and those that begin with # are none.
enum LinkLines {
    static let limitBytes = 16 << 20
    static let lineLimitBytes = 4096

    static func read(_ path: String) throws -> [(number: Int, link: Result<TaskLink, Failure>)] {
        let descriptor = path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR, !StopSignal.isRaised { continue }
            guard count >= 0 else { throw unreadable(path) }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= limitBytes else {
                throw Failure(
                    .needsPerson, code: "file_too_large",
                    "\(path) is larger than the \(limitBytes) bytes that one file of links may have; "
                        + "split it")
            }
        }
        return parse(String(decoding: bytes, as: UTF8.self))
    }

    static func parse(_ text: String) -> [(number: Int, link: Result<TaskLink, Failure>)] {
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        return lines.enumerated().compactMap { index, line in
            let line = trimmed(String(line))
            if line.isEmpty || line.hasPrefix("#") { return nil }
            // A job's id may have blanks in it, a task's has none.
            let task = String(line.reversed().prefix { !isBlank($0) }.reversed())
            let job = trimmed(String(line.dropLast(task.count)))
            guard !job.isEmpty else {
                return (
                    index + 1,
                    .failure(
                        Failure(
                            .needsPerson, code: "bad_line",
                            "'\(line.prefix(80))' is no job and its task; write them on one line, with "
                                + "a blank between them"))
                )
            }
            return (index + 1, .success(TaskLink(jobID: job, taskID: task)))
        }
    }

    /// One line of standard input, without its end.
    static func line() throws -> String {
        var bytes: [UInt8] = []
        var byte = UInt8(0)
        while bytes.count < lineLimitBytes {
            let count = Glibc.read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR, !StopSignal.isRaised { continue }
            // Whoever interrupts the question has not answered it.
            guard count >= 0, !StopSignal.isRaised else { throw unreadable("-") }
            if count == 0 || byte == UInt8(ascii: "\n") { break }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func trimmed(_ text: String) -> String {
        String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }

    private static func isBlank(_ character: Character) -> Bool { character.isWhitespace }

    private static func unreadable(_ path: String) -> Failure {
        Failure(
            .notFound, code: "no_such_file",
            "\(path == "-" ? "standard input" : path) cannot be read: "
                + String(cString: strerror(errno)) + "; nothing was changed")
    }
}
