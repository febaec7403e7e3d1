import Assembly
import Core
import Glibc
import Jobs
import Postgres
import Runner
import Schema

/// A command that works on the database of the settings, once its schema is the expected one.
protocol DatabaseCommand: ExecutableCommand {
    /// Whether it may look at a copy that nobody has said yet what it is: it writes nothing and asks
    /// nobody, or is what a person says about it.
    static var worksInCopy: Bool { get }
    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus
}

extension DatabaseCommand {
    static var worksInCopy: Bool { false }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let connection = try Connection(context)
        try Installer.check(connection)
        if !Self.worksInCopy {
            try Installations.check(
                connection, named: context.settings.value(Installations.variable))
        }
        do {
            return try perform(context, connection)
        } catch let error as PostgresError {
            throw Refusal.failure(error)
        }
    }
}

extension JobRun {
    /// Runs `body` as a run of its own, with its start and its end written down whatever happens.
    ///
    /// - Parameters:
    ///   - words: What is done, for the message when `max_runs` of it are under way.
    ///   - body: Adds to the report as it goes, so that an error loses nothing of it.
    /// - Returns: The status that the run ended with.
    static func byHand(
        _ connection: borrowing Connection, _ context: RunContext, words: String,
        _ body: (JobRun, inout RunReport) throws -> Void
    ) throws -> ExitStatus {
        guard
            let record = try begin(
                connection, context, schemaFits: Migration.fits,
                checkSchema: { try Installer.check($0) })
        else {
            throw Failure(
                .unavailable, code: "all_places_taken",
                "as many \(words) as policy max_runs allows are under way; try again when one of "
                    + "them has ended")
        }
        var report = RunReport()
        do {
            try InstallationPlaces(context).check(connection, needsStore: false)
            try body(record, &report)
        } catch {
            report.status = StopSignal.outranking(Entry.failure(from: error).status)
            _ = try? record.finish(connection, report)
            throw error
        }
        report.status = StopSignal.outranking(report.status)
        // Whoever called it sees what it did.
        if try record.finish(connection, report) > 0 { try record.told(connection, true) }
        return report.status
    }
}

/// The refusals of the database's own functions, whose words are written for people.
enum Refusal {
    static func failure(_ error: PostgresError) -> Failure {
        if error.sqlState == "HF005" {
            return Failure(
                .notFound, code: "no_such_job",
                "\(error.message); look with: holdfast job list --account ACCOUNT")
        }
        guard let code = codes[error.sqlState] else { return error.failure }
        return Failure(.needsPerson, code: code, "\(error.message); nothing was changed")
    }

    private static let codes = [
        "HF001": "insufficient_credits", "HF002": "other_arguments", "HF003": "job_closed",
        "HF004": "task_taken", "HF010": "not_allowed", "22023": "invalid_argument",
    ]
}

/// Who sits at the keyboard, as the audit trail names them: `person:anna@host1`.
enum Person {
    static var actor: String {
        let environment = Settings.processEnvironment
        let name = ["USER", "LOGNAME"].lazy.compactMap { environment($0) }.first { !$0.isEmpty }
        // Under cron and in containers nobody has a name, and everybody a number.
        return "person:\(name ?? "uid\(getuid())")@\(JobRun.hostName)"
    }
}
