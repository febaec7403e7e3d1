import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Recovery
import Reports
import Runner

struct AssetAccept: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Delivers a file that was refused because it is no media.",
        discussion: """
            The bytes come from the quarantine store (HOLDFAST_QUARANTINE_URL), else from the source \
            anew, and must have the digest given: holdfast asset list and job show have it. What a \
            browser may run (HTML, SVG, XML, scripts) is never delivered. Who did it and why is kept \
            in the job's story. It can be repeated safely.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(name: .customLong("job"), help: ArgumentHelp("The job.", valueName: "id"))
    var jobID: String

    @Option(help: ArgumentHelp("The file.", valueName: "number"))
    var ordinal: Int

    @Option(help: ArgumentHelp("The SHA-256 of what is to be delivered.", valueName: "digest"))
    var sha256: String

    @Option(help: ArgumentHelp("Why it is delivered all the same.", valueName: "text"))
    var reason: String

    mutating func validate() throws {
        guard (0...Int(Int32.max)).contains(ordinal) else {
            throw ValidationError("--ordinal takes the number of a file, such as --ordinal 0")
        }
        sha256 = sha256.lowercased()
        guard sha256.utf8.count == 64, sha256.utf8.allSatisfy({ Hex.value($0) != nil }) else {
            throw ValidationError(
                "--sha256 takes 64 hexadecimal digits; holdfast asset list --job ID shows them")
        }
        guard reason.contains(where: { !$0.isWhitespace }) else {
            throw ValidationError("--reason takes the reason, in words")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let offset = try context.settings.clockOffset()
        let queries = JobQueries(clockOffset: offset)
        guard try queries.job(connection, jobID) != nil else { throw JobQueries.noJob([jobID]) }
        let target = try MirrorTarget(context.settings)
        var wasDone = false
        var problems: [Failure] = []
        let status = try JobRun.byHand(connection, context, words: "acceptances") {
            record, report in
            var wiring = try Wiring(context, record.run)
            wiring.showProgress(context, reporting)
            let start = try Acceptances(run: record.run).begin(
                connection, jobID, ordinal: ordinal, sha256: sha256, reason: reason,
                actor: Person.actor)
            switch start {
            case .refused(let failure): throw failure
            case .already: wasDone = true
            case .begun(let item, let objectName):
                report = try StorageMirror(
                    wiring, target, Selection(jobIDs: [jobID]),
                    acceptance: Acceptance(item: item, sha256: sha256, objectName: objectName)
                ).run(connection)
            }
            problems = report.problems.map { Failure(report.status, code: $0.code, $0.message) }
            let isThere = try file(connection, offset)?.sha256 == sha256
            if !isThere, report.status == .done { report.status = .needsPerson }
        }
        guard let job = try queries.job(connection, jobID),
            let file = try file(connection, offset)
        else { throw JobQueries.noJob([jobID]) }
        say(context, job, file, wasDone, problems, status)
        return status
    }

    private func file(
        _ connection: borrowing Connection, _ offset: Duration
    ) throws -> AssetSummary? {
        try AssetQueries(clockOffset: offset)
            .files(connection, jobID: jobID, ordinal: ordinal).first
    }

    private func say(
        _ context: RunContext, _ job: JobStatus, _ file: AssetSummary, _ wasDone: Bool,
        _ problems: [Failure], _ status: ExitStatus
    ) {
        let words =
            switch file.state {
            case .stored where file.sha256 == sha256:
                (wasDone ? "was accepted before: " : "is accepted and stored: ")
                    + (file.publicURL ?? "?")
            default: "was not accepted" + (file.errorMessage.map { ": \($0)" } ?? "")
            }
        let lines = [
            "file \(file.ordinal) \(words)",
            "job \(Plain.line(job.jobID)) is \(job.state.rawValue); \(JobText.credits(job))",
        ]
        Say.answer(
            context, reporting,
            [
                ("file", AssetText.object(file)), ("job", JobText.object(job)),
                ("actor", .string(Person.actor)),
            ],
            errors: problems, status: status, text: lines.joined(separator: "\n"))
        guard reporting.output == .text else { return }
        for failure in problems { Output.error("\(context.command): \(failure.message)") }
    }
}
