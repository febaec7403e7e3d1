package import Core
import Jobs
package import Postgres
package import Providers

/// The recoverer's work: settles moves that a person released, then asks about every job that is
/// watched after its deadline or after its end.
package enum OrphanRecovery {
    /// Released moves settled in one transaction.
    static let releasedPage = 20

    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var released = RunReport()
        let moves = Moves(run: wiring.run)
        while !wiring.shouldStop() {
            let results = try connection.repeatableStatement {
                try moves.applyReleased(
                    connection, most: releasedPage, jobIDs: selection.jobIDs)
            }
            released.examined += Set(results.map(\.jobID)).count
            let done = results.filter { $0.outcome != "locked" }
            released.take(done, [:], .recover)
            // What another run holds up comes back each time.
            if results.count < releasedPage || done.isEmpty { break }
        }
        let lost = try lostSubmissions(connection, wiring, selection)
        var report = try Polling(wiring, pass: .recover, selection: selection).run(connection)
        report.merge(released)
        report.merge(lost)
        return report
    }

    /// Voids the holds of jobs whose create call was lost, where the policy says so.
    private static func lostSubmissions(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var report = RunReport()
        let lost = LostSubmissions(run: wiring.run, reach: wiring.reach)
        var room = selection.limit ?? Int.max
        if try lost.due(
            connection, most: 1, jobIDs: selection.jobIDs, providers: selection.providers) > 0
        {
            var rewinds = wiring.rewinds
            guard case .readable = try rewinds.look(connection, &report) else { return report }
        }
        while room > 0, !wiring.shouldStop() {
            let page = min(room, LostSubmissions.page)
            let results = try connection.repeatable {
                try lost.void(
                    connection, most: page, jobIDs: selection.jobIDs,
                    providers: selection.providers)
            }
            let jobs = Set(results.map(\.jobID)).count
            report.examined += jobs
            room -= jobs
            report.take(
                results.filter { !["looked_up", "failed"].contains($0.outcome) }, [:], .recover)
            for result in results where result.outcome == "failed" {
                report.add(
                    .init(
                        jobID: result.jobID, code: "not_voided",
                        message:
                            "its hold could not be voided: \(result.detail ?? "no reason given")"
                            + "; the next run tries again"),
                    status: .needsPerson)
            }
            // What failed stays due, and must not be met again in this run.
            if jobs < page || results.contains(where: { $0.outcome == "failed" }) { break }
        }
        return report
    }

    /// The providers whose lists of tasks this host has to read now.
    package static func dueLists(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> [any Provider] {
        try ListWalk.due(connection, wiring, selection)
    }

    /// Reads lists of tasks, for as long as is left of the time budget.
    package static func readLists(
        _ connection: borrowing Connection, _ wiring: Wiring, of providers: [any Provider],
        until deadline: ContinuousClock.Instant
    ) throws -> RunReport {
        try ListWalk(wiring, deadline: deadline).run(connection, providers)
    }
}

extension RunReport {
    /// Adds another report's counts to this one.
    package mutating func merge(_ other: RunReport) {
        examined += other.examined
        for (outcome, number) in other.outcomes { count(outcome, number) }
        for (action, amount) in other.credits { add(credits: amount, as: action) }
        for problem in other.problems { add(problem, status: other.status) }
        status = ExitStatus.worst(status, other.status)
    }
}
