import ArgumentParser
import Assembly
import Core
import Postgres
import Recovery
import Runner

@main
struct StorageMirrorer: MinutelyCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage-mirrorer",
        abstract: "Streams result files into permanent storage, nearest expiry first.",
        discussion: """
            Each file is fetched from the provider's expiring address, checked, and stored under a \
            key that is never overwritten. When all files of a job are there, the job is delivered \
            and its credits captured. An address that expired is refreshed through the provider; a \
            file that is gone for certain is given up, and the credits go back.
            """,
        version: Version.current)

    @OptionGroup var common: CommonOptions
    @OptionGroup(title: "Selection") var minutely: MinutelyOptions

    static func main() { Entry.main(Self.self) }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let (isDryRun, selection) = (common.dryRun, Selection(minutely, common))
        let reporting = common.reporting
        return try JobFrame.perform(context, common, jobIDs: minutely.jobs) { connection, job in
            var wiring = try Wiring(context, job.run)
            wiring.showProgress(context, reporting)
            try wiring.check(selection)
            let target = try MirrorTarget(context.settings, isDryRun: isDryRun || !job.hasWork)
            let places = InstallationPlaces(context)
            if isDryRun { try places.check(connection, needsStore: false, isDryRun: true) }
            if isDryRun { return try Rehearsal.mirror(connection, wiring, selection) }
            guard job.hasWork || !selection.jobIDs.isEmpty else { return RunReport() }
            try places.check(connection, needsStore: true)
            var report = try LeftDeliveries.run(connection, wiring)
            report.merge(try StorageMirror(wiring, target, selection).run(connection))
            report.merge(try LeftDeliveries.run(connection, wiring, isLast: true))
            return report
        }
    }
}
