import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Recovery
import Reports
import Runner
import Schema

struct AssetRefetch: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "refetch",
        abstract: "Fetches files once more whose objects are missing or differ, or that are lost.",
        discussion: """
            The store is looked at first; an object that is as it should be is left alone, and one \
            that differs is never overwritten: the file goes to a key beside it. A job that is over \
            keeps its state and its credits. Who did it is kept in the job's story.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(name: .customLong("job"), help: ArgumentHelp("The job.", valueName: "id"))
    var jobID: String

    @Option(
        help: ArgumentHelp("The file; all of the job's if left out.", valueName: "number"))
    var ordinal: Int?

    mutating func validate() throws {
        if let ordinal, !(0...Int(Int32.max)).contains(ordinal) {
            throw ValidationError("--ordinal takes the number of a file, such as --ordinal 0")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        guard let job = try queries.job(connection, jobID) else { throw JobQueries.noJob([jobID]) }
        var refetched = Refetched(files: [], report: RunReport())
        let status = try JobRun.byHand(connection, context, words: "refetches") { record, report in
            var wiring = try Wiring(context, record.run)
            wiring.showProgress(context, reporting)
            refetched = try Refetch(wiring, MirrorTarget(context.settings))
                .run(connection, job, ordinal: ordinal, actor: Person.actor)
            report = refetched.report
            report.status = refetched.status
        }
        guard let after = try queries.job(connection, jobID) else {
            throw JobQueries.noJob([jobID])
        }
        say(context, refetched, after, status)
        return status
    }

    private func say(
        _ context: RunContext, _ refetched: Refetched, _ job: JobStatus, _ status: ExitStatus
    ) {
        let failures = refetched.report.problems.map {
            Failure(status, code: $0.code, $0.message)
        }
        var lines = refetched.files.map(AssetText.line)
        lines.append(
            "job \(Plain.line(job.jobID)) is \(job.state.rawValue); \(JobText.credits(job))")
        Say.answer(
            context, reporting,
            [
                ("files", .array(refetched.files.map(AssetText.object))),
                ("job", JobText.object(job)), ("actor", .string(Person.actor)),
            ],
            errors: failures, status: status, text: lines.joined(separator: "\n"))
        guard reporting.output == .text else { return }
        for failure in failures where !lines.contains(where: { $0.contains(failure.message) }) {
            Output.error("\(context.command): \(failure.message)")
        }
    }
}
