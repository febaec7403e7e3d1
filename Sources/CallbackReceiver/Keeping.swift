import Core
import Jobs
import Postgres
import Reception
import Runner

/// Where a callback was put.
enum Keeping: Sendable {
    case inbox(Int64)
    /// The database was away; why is for people.
    case spool(String, why: Failure)
    /// Neither could take it; the worse of the two reasons.
    case nowhere(Failure)

    /// How long the database gets in all, the resolution of its name included.
    private static let databaseLimit = Duration.seconds(2)
    private static let cancelGrace = Duration.milliseconds(100)

    /// Puts the callback into the database, or else into the spool folder.
    static func keep(_ callback: ReceivedCallback, _ settings: Settings) -> Keeping {
        let problem: Failure
        switch record(callback, settings) {
        case .success(let callbackID): return .inbox(callbackID)
        case .failure(let failure): problem = failure
        }
        do {
            guard let folder = try settings.value(Spool.variable) else {
                return .nowhere(
                    Failure(
                        problem.status, code: problem.code,
                        "\(problem.message); and \(Spool.variable) is not set, so the callback is lost"
                    ))
            }
            return .spool(try Spool(folder: folder).put(callback), why: problem)
        } catch {
            let second = Entry.failure(from: error)
            return .nowhere(
                Failure(
                    ExitStatus.worst(problem.status, second.status), code: second.code,
                    "\(problem.message); and \(second.message); the callback is lost"))
        }
    }

    private static func record(
        _ callback: ReceivedCallback, _ settings: Settings
    ) -> Result<Int64, Failure> {
        let url: String
        do { url = try settings.databaseURL() } catch { return .failure(error) }
        let outcome = Patience.wait(databaseLimit) { () -> Result<Int64, Failure> in
            do {
                let connection = try Connection(
                    url: url, connectTimeout: databaseLimit, applicationName: "callback-receiver",
                    statementTimeout: databaseLimit, cancelGrace: cancelGrace)
                return .success(try Intake.record(connection, callback))
            } catch {
                return .failure(Entry.failure(from: error))
            }
        }
        return outcome
            ?? .failure(
                Failure(
                    .databaseUnavailable, code: "database_slow",
                    "the database did not take the callback within "
                        + "\(DurationText.describe(databaseLimit))"))
    }
}
