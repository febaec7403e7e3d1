import Assembly
import Core
import Glibc
import Jobs
import Postgres
import Runner
import Schema

/// A command that works on the database of the settings, once its schema is the expected one.
protocol DatabaseCommand: ExecutableCommand {
    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus
}

extension DatabaseCommand {
    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let connection = try Connection(context)
        try Installer.check(connection)
        do {
            return try perform(context, connection)
        } catch let error as PostgresError {
            throw Refusal.failure(error)
        }
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
