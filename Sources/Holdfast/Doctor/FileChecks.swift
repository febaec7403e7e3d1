import Core
import Jobs
import Postgres
import Reports
import Runner

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
