import Assembly
package import Core
import Logging
package import Postgres
import Recovery
package import Runner

/// The stored files that a night looks at again, before the books are matched.
package enum NightFiles {
    /// Looks at them; a host that is not told of the store leaves it to others.
    ///
    /// - Returns: What a person must look at beside the breaks.
    package static func look(
        _ context: RunContext, _ connection: borrowing Connection, _ run: Run, timeBudget: Duration
    ) throws -> RunReport.Problem? {
        guard try context.settings.value("HOLDFAST_STORAGE_URL") != nil else { return nil }
        let watch: FileWatch
        do {
            // What is absent is not created here: a store that is not there has no file.
            watch = try FileWatch(
                Wiring(context, run), MirrorTarget(context.settings, isDryRun: true),
                timeBudget: timeBudget)
        } catch let failure as Failure {
            context.log.warning("stored files are not looked at: \(failure.message)")
            return nil
        }
        let report = try watch.run(connection)
        try lookForOrphans(context, connection, run)
        for warning in report.warnings { context.log.warning("\(warning)") }
        context.log.debug("\(report.looked) stored files were looked at")
        return report.problem
    }

    /// Goes on through the list of the store for objects that no row knows.
    private static func lookForOrphans(
        _ context: RunContext, _ connection: borrowing Connection, _ run: Run
    ) throws {
        do {
            let target = try MirrorTarget(context.settings, isDryRun: true)
            try OrphanObjects.watch(connection, run, target.store) { StopSignal.isRaised }
        } catch let failure as Failure {
            context.log.warning(
                "objects that no row knows are not looked for: \(failure.message)")
        }
    }
}
