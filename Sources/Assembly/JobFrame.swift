package import Core
import Logging
package import Postgres
import Recovery
package import Reports
package import Runner
import Schema

/// The frame of a job's run: connect, take a place, write the start down, work, write the end down,
/// print.
package enum JobFrame {
    /// Runs `body` within the frame, and prints what it came to.
    ///
    /// An idle run ends after the statement that starts it and the one that ends it.
    /// - Parameter jobIDs: Jobs that the flags name; one that is not there ends the run before it
    ///   does anything.
    package static func perform(
        _ context: RunContext, _ common: CommonOptions, jobIDs: [String] = [],
        _ body: (borrowing Connection, JobRun) throws -> RunReport
    ) throws -> ExitStatus {
        try perform(context, common, jobIDs: jobIDs, body) { report, summary in
            if common.reporting.output == .json { return summary.json() }
            return summary.isNews || (Output.isTerminal && !common.reporting.quiet)
                ? summary.line : nil
        }
    }

    /// The same with a result of its own, and what standard output gets of it.
    package static func perform<Result: RunResult>(
        _ context: RunContext, _ common: CommonOptions, jobIDs: [String] = [],
        _ body: (borrowing Connection, JobRun) throws -> Result,
        print: (Result, RunSummary) -> String?
    ) throws -> ExitStatus {
        let connection = try Connection(context)
        if !jobIDs.isEmpty {
            try Installer.check(connection)
            try NamedJobs.check(connection, jobIDs)
        }
        if common.dryRun {
            let job = try JobRun.rehearse(connection, context) { try Installer.check($0) }
            var result = try body(connection, job)
            result.run.status = StopSignal.outranking(result.run.status)
            let summary = RunSummary(context, result.run, isDryRun: true)
            for line in summary.problemLines { Output.error(line) }
            if let text = print(result, summary) { Output.standard(text) }
            return result.run.status
        }
        guard
            let job = try JobRun.begin(
                connection, context, schemaFits: Migration.fits,
                checkSchema: { try Installer.check($0) })
        else {
            // All places are taken: somebody else is doing this work.
            return Self.leave(context, common)
        }
        let voice = Voice(context, common, job)
        let ending = Ending(context: context, job: job, voice: voice)
        voice.sayWhatIsOver()
        var noticed = RunReport()
        let rewinds = RewindWatch(context, job.run)
        var start =
            job.hasWork || job.hasCallbacks ? begin(rewinds, connection, &noticed) : nil
        var result: Result
        do {
            result = try body(connection, job)
        } catch {
            throw ending.abort(connection, Entry.failure(from: error))
        }
        result.run.add(news: job.news)
        if result.run.hasWritten {
            // A connection that is gone by now is met at once by the end of the run.
            if start == nil { start = begin(rewinds, connection, &noticed) }
            if let start { try? rewinds.leave(connection, start) }
        }
        for problem in noticed.problems { result.run.add(problem, status: noticed.status) }
        result.run.status = StopSignal.outranking(result.run.status)
        let untold = ending.finish(connection, &result.run)
        let summary = RunSummary(context, result.run, isDryRun: false)
        voice.say(summary, connection)
        if let text = print(result, summary) { Output.standard(text) }
        if untold > 0 { ending.told(connection) }
        return result.run.status
    }

    /// Looks for lost commits; what keeps it from that is told, but for a connection that the work
    /// itself will miss.
    private static func begin(
        _ rewinds: RewindWatch, _ connection: borrowing Connection, _ noticed: inout RunReport
    ) -> RewindWatch.Start? {
        do {
            return try rewinds.begin(connection, &noticed)
        } catch {
            let failure = Entry.failure(from: error)
            if failure.status != .databaseUnavailable {
                noticed.add(
                    .init(code: failure.code, message: failure.message), status: failure.status)
            }
            return nil
        }
    }

    private static func leave(_ context: RunContext, _ common: CommonOptions) -> ExitStatus {
        if common.reporting.output == .json {
            Output.standard(RunSummary(context, RunReport(), isDryRun: common.dryRun).json())
        }
        context.log.debug("all places of this executable are taken (policy max_runs)")
        return .done
    }
}

/// What a job's work returns: its report, perhaps with more beside it.
package protocol RunResult {
    var run: RunReport { get set }
}

extension RunReport: RunResult {
    package var run: RunReport {
        get { self }
        set { self = newValue }
    }
}

extension RunSummary {
    init(_ context: RunContext, _ report: RunReport, isDryRun: Bool) {
        var report = report
        for place in report.problems.indices {
            report.problems[place].message = Redaction.apply(report.problems[place].message)
        }
        self.init(
            command: context.command, version: Version.current, runID: context.runID,
            isDryRun: isDryRun, startedAt: context.startedAt, finishedAt: MachineClock.now(),
            report: report)
    }
}
