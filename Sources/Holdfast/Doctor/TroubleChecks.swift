import Core
import Jobs
import Postgres
import Reports
import Runner

/// Trouble that lasts, and jobs that somebody else's transaction holds up.
extension Checkup {
    mutating func lastingTrouble(
        _ connection: borrowing Connection, _ queries: JobQueries
    ) throws {
        let now = try Health.clock(connection) + queries.clockOffset
        let heldUp = try HeldUpAccount.all(connection, clockOffset: queries.clockOffset)
        if heldUp.isEmpty { ok("held up jobs", "none") }
        for one in heldUp {
            warn(
                "held up jobs of \(one.account)",
                "\(one.jobs) are ready to settle since \(one.since) "
                    + "(\(Plain.distance(one.since, from: now))), and another transaction holds them",
                HeldUpAccount.advice)
        }
        let conditions = try Conditions.all(connection)
        if conditions.isEmpty { ok("lasting trouble", "none") }
        for one in conditions {
            warn(
                "lasting trouble",
                "\(one.name), \(one.times) times since \(one.beganAt) "
                    + "(\(Plain.distance(one.beganAt, from: now))): \(one.message)")
        }
    }
}
