import ArgumentParser
import Assembly
import Core
import Postgres
import Recovery
import Runner

@main
struct OrphanRecoverer: MinutelyCommand {
    static let configuration = CommandConfiguration(
        commandName: "orphan-recoverer",
        abstract: "Watches timed-out jobs and settles what finished late.",
        discussion: """
            Asks about every job through its watch window after the deadline. A late success is \
            delivered and paid for, a late failure gives the credits back; silence moves no money. \
            Also settles what a brake had stopped and a person released, and reads the task lists \
            of providers that have one: a task that names a job becomes its task, one that no job \
            knows is reported as a stray.
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
            if isDryRun { return try Rehearsal.recover(connection, wiring, selection) }
            let deadline = ContinuousClock.now + selection.timeBudget
            var report = RunReport()
            if job.hasWork || !selection.jobIDs.isEmpty {
                try places.check(connection, needsStore: false)
                report = try OrphanRecovery.run(connection, wiring, selection)
            }
            let lists = try OrphanRecovery.dueLists(connection, wiring, selection)
            if !lists.isEmpty {
                try places.check(connection, needsStore: false)
                report.merge(
                    try OrphanRecovery.readLists(connection, wiring, of: lists, until: deadline))
            }
            return report
        }
    }
}
