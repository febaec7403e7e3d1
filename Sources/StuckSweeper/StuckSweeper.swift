import ArgumentParser
import Assembly
import Core
import Postgres
import Recovery
import Runner

@main
struct StuckSweeper: MinutelyCommand {
    static let configuration = CommandConfiguration(
        commandName: "stuck-sweeper",
        abstract: "Re-polls jobs past their threshold and moves each one on.",
        discussion: """
            Empties this host's spool folder, drains the callback inbox, claims jobs that have been silent for too long, asks their \
            providers, and settles what is over. Jobs that never reached a provider are looked up, \
            retriggered or failed. Safe to run at any time, on any number of hosts.
            """,
        version: Version.current)

    @OptionGroup var common: CommonOptions
    @OptionGroup(title: "Selection") var minutely: MinutelyOptions

    static func main() { Entry.main(Self.self) }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let (isDryRun, selection) = (common.dryRun, Selection(minutely, common))
        return try JobFrame.perform(context, common, jobIDs: minutely.jobs) { connection, job in
            let wiring = try Wiring(context, job.run)
            try wiring.check(selection)
            let places = InstallationPlaces(context)
            if isDryRun { try places.check(connection, needsStore: false, isDryRun: true) }
            if isDryRun { return try Rehearsal.sweep(connection, wiring, selection) }
            guard
                job.hasWork || job.hasCallbacks || wiring.hasSpooled
                    || !selection.jobIDs.isEmpty
            else {
                return RunReport()
            }
            try places.check(connection, needsStore: false)
            return try StuckSweep.run(connection, wiring, selection)
        }
    }
}
