import ArgumentParser
import Core
import Jobs
import Postgres
import Providers
import Reports
import Runner

struct JobCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job",
        abstract: "Lists jobs, tells their stories, and frees or closes them.",
        subcommands: [
            JobList.self, JobShow.self, JobSync.self, JobRequeue.self, JobDismiss.self,
            JobAbandon.self, JobRefund.self, JobLink.self,
        ])
}

extension JobState: ExpressibleByArgument {}

/// What `--blocked` may be followed by.
enum BlockFlag: String, ExpressibleByArgument, CaseIterable {
    case any, brake, crashed, person
    case submissionUnknown = "submission_unknown"

    /// The four of them, in words.
    static var reasons: String {
        allCases.filter { $0 != .any }.map(\.rawValue).joined(separator: ", ")
    }

    var filter: JobFilter.Block {
        Blocked(rawValue: rawValue).map { .reason($0) } ?? .any
    }
}

struct JobList: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists jobs, newest first.",
        discussion: "All flags given must hold for a job.")
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(name: .customLong("state"), help: "Jobs in this state; repeatable.")
    var states: [JobState] = []

    @Option(help: ArgumentHelp("Jobs of this provider.", valueName: "name"))
    var provider: String?

    @Option(help: ArgumentHelp("Jobs of this account.", valueName: "id"))
    var account: String?

    @Option(
        name: .customLong("blocked"), defaultAsFlag: .any,
        help: ArgumentHelp(
            "Jobs that wait for a person, for this reason or any.", valueName: "reason"))
    var blocked: BlockFlag?

    @Flag(name: .customLong("stuck"), help: "Jobs in flight that are due now.")
    var isStuck = false

    @OptionGroup var age: AgeOption

    @OptionGroup var rows: ListOptions

    // What follows --blocked and is no reason comes here.
    @Argument(help: .hidden) var leftOver: [String] = []

    mutating func validate() throws {
        guard let word = leftOver.first else { return }
        guard blocked != nil else {
            throw ValidationError("job list takes no argument such as '\(word)', only flags")
        }
        throw ValidationError(
            "--blocked takes \(BlockFlag.reasons) or nothing, not '\(word)'")
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        var filter = JobFilter()
        filter.states = states
        filter.provider = provider
        filter.accountID = account
        filter.blocked = blocked?.filter
        filter.isStuck = isStuck
        filter.minimumAge = age.olderThan
        filter.limit = rows.wanted
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        let (jobs, hasMore) = rows.shown(
            try queries.list(connection, filter), "jobs", context, reporting)
        Say.answer(
            context, reporting,
            [("jobs", .array(jobs.map(JobText.object))), ("has_more", .bool(hasMore))],
            text: JobText.table(jobs))
        return .done
    }
}

struct JobShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Tells a job's whole story in the order of time.",
        discussion: """
            States, verdicts, tasks, files, callbacks, retriggers, transfers and the runs that \
            were at it: one line each, with the time, the kind and what happened.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The job.", valueName: "id")) var jobID: String

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        guard let story = try queries.story(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        Say.answer(context, reporting, StoryText.members(story), text: StoryText.text(story))
        return .done
    }
}

struct JobRequeue: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue",
        abstract: "Frees blocked jobs and makes them due now.",
        discussion: """
            The counts of failed attempts start anew. What a brake has stopped is forgotten, and the \
            provider is asked again; holdfast policy release-brake applies it instead. Several jobs \
            are freed together or not at all. Look at the job's story first: what blocked it may \
            block it again. A job whose create call was lost is looked up where the provider knows \
            our own ids; elsewhere only a person can tell, and it is refused: see link.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The jobs.", valueName: "id")) var jobIDs: [String]

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        try queries.requireJobs(connection, jobIDs)
        let before = try jobIDs.compactMap { try queries.job(connection, $0) }
        let lookingUp = ProviderRegistry.names.filter {
            ProviderRegistry.reader($0)?.facts.canLookUpByOwnID == true
        }
        try Deeds(actor: Person.actor).requeue(
            connection, jobIDs, lookingUp: Set(lookingUp))
        let jobs = try jobIDs.compactMap { try queries.job(connection, $0) }
        let lines = zip(before, jobs).map { Self.line($1, before: $0.blocked) }
        Say.answer(
            context, reporting, [("jobs", .array(jobs.map(JobText.object)))],
            text: lines.joined(separator: "\n"))
        return .done
    }
}

extension JobRequeue {
    private static func line(_ job: JobStatus, before: String?) -> String {
        let id = Plain.line(job.jobID)
        guard job.blocked == nil else {
            return
                "job \(id) is \(job.state.rawValue) and stopped by a brake again: its files are all "
                + "there; if that is right: holdfast policy release-brake --job \(id)"
        }
        guard before == Blocked.brake.rawValue else {
            return
                "job \(id) is free and due (\(job.state.rawValue)); the next run "
                + (before == Blocked.submissionUnknown.rawValue
                    ? "looks it up at \(job.provider) by our own id" : "looks at it")
                + ", or at once: holdfast job sync \(id)"
        }
        return "job \(id) is free (\(job.state.rawValue)), and what the brake had stopped is "
            + "forgotten; the next run asks the provider again, or at once: holdfast job sync \(id)"
    }
}

/// What closes one job.
protocol ClosingCommand: DatabaseCommand {
    var jobID: String { get }
    var reason: String { get }
    static var done: String { get }
    func close(_ connection: borrowing Connection, _ deeds: Deeds) throws -> Bool
}

extension ClosingCommand {
    mutating func validate() throws { try Reason.check(reason) }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let actor = Person.actor
        let hasChanged = try close(connection, Deeds(actor: actor))
        guard let job = try JobQueries().job(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        let name = Plain.line(jobID)
        Say.answer(
            context, reporting,
            [
                ("job", JobText.object(job)), ("changed", .bool(hasChanged)),
                ("actor", .string(actor)),
            ],
            text: hasChanged
                ? "job \(name) is \(Self.done) now; \(JobText.credits(job)); by \(actor)"
                : "job \(name) was \(Self.done) before; nothing was changed")
        return .done
    }
}

struct JobDismiss: ClosingCommand {
    static let configuration = CommandConfiguration(
        commandName: "dismiss",
        abstract: "Closes a job for good; its hold is voided.",
        discussion: """
            For phantoms. A task that finishes later is reported and never charged. The reason and \
            your name are kept.
            """)
    static let done = "dismissed"

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The job.", valueName: "id")) var jobID: String

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String

    func close(_ connection: borrowing Connection, _ deeds: Deeds) throws -> Bool {
        try deeds.dismiss(connection, jobID, reason: reason)
    }
}
