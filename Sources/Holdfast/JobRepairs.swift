import ArgumentParser
import Core
import Jobs
import Postgres
import Reports
import Runner

struct JobRefund: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "refund",
        abstract: "Gives a job's credits back to its customer, once.",
        discussion: """
            A hold that stands is voided, what was paid is refunded; a job whose credits were given \
            back before stays as it is. The job is watched as before. The reason and your name are \
            kept with the transfer.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The job.", valueName: "id")) var jobID: String

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String

    mutating func validate() throws { try Reason.check(reason) }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let actor = Person.actor
        let changed = try Deeds(actor: actor).refund(connection, jobID, reason: reason)
        guard let job = try JobQueries().job(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        Say.answer(
            context, reporting,
            [("job", JobText.object(job)), ("changed", .bool(changed)), ("actor", .string(actor))],
            text: changed
                ? "the credits of job \(Plain.line(jobID)) are given back; \(JobText.credits(job)); "
                    + "by \(actor)"
                : "job \(Plain.line(jobID)) has no credits to give back; nothing was changed; "
                    + JobText.credits(job))
        return .done
    }
}

/// A reason that the audit trail keeps.
enum Reason {
    static func check(_ reason: String) throws {
        if !reason.contains(where: { !$0.isWhitespace }) {
            throw ValidationError("--reason takes a text that the audit trail keeps")
        }
    }
}
