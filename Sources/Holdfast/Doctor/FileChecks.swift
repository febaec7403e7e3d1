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

/// Files that do not come along as they should.
extension Checkup {
    mutating func files(_ connection: borrowing Connection, _ queries: JobQueries) throws {
        let now = try Health.clock(connection) + queries.clockOffset
        let slow = try queries.slowFiles(connection)
        if slow.isEmpty { ok("slow files", "none") }
        for one in slow {
            warn(
                "slow files of \(one.provider)",
                "\(one.files), the first since \(Plain.distance(one.since, from: now)), "
                    + "\(one.underWay) under way; others are stored meanwhile",
                "see holdfast asset list --state pending, and the provider's own status page; "
                    + "what counts as slow is policy min_rate over slow_after")
        }
        let refused = try queries.refusedFiles(connection)
        if refused.isEmpty { ok("refused files", "none") }
        for one in refused {
            warn(
                "refused files of \(one.provider)",
                "\(one.files) are no media, the first since "
                    + "\(Plain.distance(one.since, from: now)); \(one.setAside) wait for a person",
                one.setAside == 0
                    ? "see holdfast asset list --state pending, and the provider's own status page"
                    : "holdfast job list --blocked person; of each: holdfast job show ID")
        }
    }
}
