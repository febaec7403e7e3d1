import ArgumentParser
import Core
import Jobs
import Postgres
import Reports
import Runner

struct JobAbandon: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "abandon",
        abstract: "Gives jobs up; their holds are voided.",
        discussion: """
            A task that finishes later is a late success, settled by the policy late_success. The \
            reason and your name are kept. Name jobs, or --blocked with a reason for all that wait for \
            it; each is closed in a transaction of its own, and the same command again goes on where \
            one was stopped. Look first with --dry-run.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @OptionGroup var jobs: ManyJobs

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String

    @Flag(name: .customLong("dry-run"), help: "Say what would be done, and do nothing.")
    var isDryRun = false

    mutating func validate() throws { try Reason.check(reason) }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let deeds = Deeds(actor: Person.actor)
        if !isDryRun, jobs.jobIDs.count == 1, let only = jobs.jobIDs.first {
            let changed = try deeds.abandon(connection, only, reason: reason)
            return try Self.say(context, reporting, connection, only, changed)
        }
        let (reason, isDryRun) = (reason, isDryRun)
        var outcomes = ManyOutcomes()
        try jobs.each(connection, context) { connection, jobID in
            try outcomes.add(jobID, done: "abandoned") {
                try deeds.abandon(connection, jobID, reason: reason, isDryRun: isDryRun)
            }
        }
        return outcomes.say(context, reporting, isDryRun: isDryRun)
    }

    /// Says what became of one.
    static func say(
        _ context: RunContext, _ reporting: ReportingOptions, _ connection: borrowing Connection,
        _ jobID: String, _ hasChanged: Bool
    ) throws -> ExitStatus {
        guard let job = try JobQueries().job(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        let name = Plain.line(jobID)
        Say.answer(
            context, reporting,
            [
                ("job", JobText.object(job)), ("changed", .bool(hasChanged)),
                ("actor", .string(Person.actor)),
            ],
            text: hasChanged
                ? "job \(name) is abandoned now; \(JobText.credits(job)); by \(Person.actor)"
                : "job \(name) was abandoned before; nothing was changed")
        return .done
    }
}
