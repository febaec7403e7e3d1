import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Providers
import Recovery
import Reports
import Runner
import Schema

struct JobSync: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Does at once for these jobs what the runs would do.",
        discussion: """
            Drains the callback inbox, asks the provider, settles what is over and stores the \
            files, with the code that the runs use. Thresholds do not matter, leases do.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The jobs.", valueName: "id")) var jobIDs: [String]

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        try queries.requireJobs(connection, jobIDs)
        var synced: [SyncedJob] = []
        let status = try JobRun.byHand(connection, context, words: "syncs") { record, total in
            var sync = Sync(
                wiring: try Wiring(context, record.run), settings: context.settings,
                queries: queries)
            for jobID in jobIDs where !StopSignal.isRaised {
                let one = try sync.run(connection, jobID)
                synced.append(one)
                for pass in one.passes { total.merge(pass.report) }
                total.status = ExitStatus.worst(total.status, one.status)
                if reporting.output == .text { tell(one, context) }
            }
        }
        if reporting.output == .json {
            Say.answer(
                context, reporting, [("jobs", .array(synced.map(\.object)))],
                errors: synced.flatMap(\.failures), status: status, text: "")
        }
        return status
    }

    private func tell(_ job: SyncedJob, _ context: RunContext) {
        Output.standard(job.text)
        for failure in job.failures { Output.error("\(context.command): \(failure.message)") }
    }
}

/// What a sync did for one job.
struct SyncedJob {
    struct Pass {
        var name: String
        var report: RunReport
    }

    var before: JobStatus
    var after: JobStatus
    var passes: [Pass] = []
    /// Why nothing or no more was done, when that is not plain from the passes.
    var note: String?
    var failures: [Failure] = []
    var status = ExitStatus.done

    var text: String {
        var lines = ["job \(Plain.line(before.jobID)) was \(Self.words(before))"]
        lines += passes.map { "  \($0.name): \(Self.words($0.report))" }
        if let note { lines.append("  \(Plain.line(note))") }
        lines.append(
            "  now \(Self.words(after)); \(JobText.credits(after))"
                + (after.assetURLs.isEmpty ? "" : "; " + after.assetURLs.joined(separator: " ")))
        return lines.joined(separator: "\n")
    }

    var object: JSONValue {
        [
            "job_id": .string(before.jobID), "state_before": .string(before.state.rawValue),
            "passes": .array(
                passes.map { pass in
                    [
                        "pass": .string(pass.name), "examined": .integer(pass.report.examined),
                        "outcomes": Self.counts(pass.report.outcomes),
                        "credits": Self.counts(pass.report.credits),
                    ]
                }),
            "note": .optional(note), "job": JobText.object(after),
        ]
    }

    private static func words(_ job: JobStatus) -> String {
        var words = job.state.rawValue
        if let blocked = job.blocked { words += ", blocked (\(blocked))" }
        if let error = JobText.error(job) { words += " (\(Plain.line(error)))" }
        return words
    }

    private static func words(_ report: RunReport) -> String {
        func list(_ counts: [String: some BinaryInteger]) -> String {
            counts.filter { $0.value != 0 }.sorted { $0.key < $1.key }
                .map { "\($0.value) " + String($0.key.map { $0 == "_" ? " " : $0 }) }
                .joined(separator: ", ")
        }
        let parts = [
            list(report.outcomes), report.credits.isEmpty ? "" : "credits: " + list(report.credits),
        ].filter { !$0.isEmpty }
        return parts.isEmpty ? "nothing to do" : parts.joined(separator: "; ")
    }

    private static func counts(_ counts: [String: some BinaryInteger]) -> JSONValue {
        .object(
            JSONObject(
                counts.filter { $0.value != 0 }.sorted { $0.key < $1.key }
                    .map { .init(key: $0.key, value: .integer($0.value)) }))
    }
}

/// The passes of a sync, one job at a time, so that each says what it did for which job.
struct Sync {
    let wiring: Wiring
    let settings: Settings
    let queries: JobQueries
    /// The store is proved once, and only when there are files to store.
    private var target: MirrorTarget?

    init(wiring: Wiring, settings: Settings, queries: JobQueries) {
        self.wiring = wiring
        self.settings = settings
        self.queries = queries
    }

    mutating func run(_ connection: borrowing Connection, _ jobID: String) throws -> SyncedJob {
        let before = try status(connection, jobID)
        var job = SyncedJob(before: before, after: before)
        let selection = Selection(limit: 1, jobIDs: [jobID])
        let swept = try StuckSweep.run(connection, wiring, selection)
        // The inbox is drained whole: a callback does not say which job it is about.
        job.add("inbox", swept.part { $0.hasPrefix("callbacks_") })
        var own = swept.part { !$0.hasPrefix("callbacks_") }
        own.problems = swept.problems
        own.status = swept.status
        own.credits = swept.credits
        own.examined = swept.examined
        job.add("sweep", own)
        job.after = try status(connection, jobID)
        if job.after.blocked == nil, !StopSignal.isRaised {
            job.add("recover", try OrphanRecovery.run(connection, wiring, selection))
            job.after = try status(connection, jobID)
        }
        if job.after.blocked == nil, job.after.state == .succeeded, !StopSignal.isRaised {
            try mirror(connection, jobID, &job)
            job.after = try status(connection, jobID)
        }
        explain(connection, &job)
        return job
    }

    private mutating func mirror(
        _ connection: borrowing Connection, _ jobID: String, _ job: inout SyncedJob
    ) throws {
        let target: MirrorTarget
        do {
            target = try self.target ?? MirrorTarget(settings)
        } catch let failure as Failure {
            // What the passes before did stays; the files wait for a store.
            job.failures.append(failure)
            job.status = ExitStatus.worst(job.status, failure.status)
            return
        }
        self.target = target
        job.add(
            "mirror",
            try StorageMirror(wiring, target, Selection(jobIDs: [jobID])).run(connection))
    }

    /// Says why a job stays as it is.
    private func explain(_ connection: borrowing Connection, _ job: inout SyncedJob) {
        let after = job.after
        let wasAsked = job.passes.contains { $0.name != "inbox" && $0.report.examined > 0 }
        if let blocked = after.blocked {
            job.note =
                "blocked (\(blocked)): \(after.blockedReason ?? "no reason kept"); next: "
                + (after.wayOut ?? "holdfast job show \(after.jobID)")
            job.status = ExitStatus.worst(job.status, .needsPerson)
        } else if let lease = after.lease, lease.runID != wiring.run.runID {
            job.note =
                "leased to \(lease.holder ?? "run " + lease.runID) until \(lease.until), which "
                + "works on it now; nothing was done"
        } else if !wasAsked, isOver(after) {
            job.note = "it is over; nothing is left to do"
        } else if !wasAsked {
            explainSilence(connection, &job)
        }
    }

    private func isOver(_ job: JobStatus) -> Bool {
        [JobState.delivered, .failed, .abandoned, .dismissed].contains(job.state)
            && job.watchUntil == nil
    }

    private func explainSilence(_ connection: borrowing Connection, _ job: inout SyncedJob) {
        let name = job.after.provider
        let missing = wiring.providers.missingVariables(name)
        if job.after.state == .succeeded {
            if job.failures.isEmpty { job.note = "its files are leased to another run, or blocked" }
        } else if !missing.isEmpty {
            let failure = Failure(
                .configuration, code: "provider_off",
                "\(name) is off on this host, so job \(job.after.jobID) was not asked about: set "
                    + missing.joined(separator: " and "))
            job.failures.append(failure)
            job.status = ExitStatus.worst(job.status, failure.status)
        } else if let state = try? queries.providers(connection).first(where: { $0.name == name }),
            let until = state.pausedUntil
        {
            job.note =
                "\(name) is left alone until \(until): \(state.pauseReason ?? "no reason kept"); "
                + "try again after that"
            job.status = ExitStatus.worst(job.status, .unavailable)
        } else {
            job.note = "somebody else was at it in this moment; try again"
        }
    }

    private func status(_ connection: borrowing Connection, _ jobID: String) throws -> JobStatus {
        guard let job = try queries.job(connection, jobID) else { throw JobQueries.noJob([jobID]) }
        return job
    }
}

extension SyncedJob {
    fileprivate mutating func add(_ name: String, _ report: RunReport) {
        passes.append(Pass(name: name, report: report))
        status = ExitStatus.worst(status, report.status)
        failures += report.problems.map { problem in
            Failure(
                report.status, code: problem.code,
                (problem.jobID.map { "job \($0): " } ?? "") + problem.message)
        }
    }
}

extension RunReport {
    /// The outcomes that a condition picks, alone.
    fileprivate func part(_ isWanted: (String) -> Bool) -> RunReport {
        var report = RunReport()
        report.outcomes = outcomes.filter { isWanted($0.key) }
        return report
    }
}
