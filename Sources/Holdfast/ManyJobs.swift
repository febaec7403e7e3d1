import ArgumentParser
import Core
import Jobs
import Postgres
import Reports
import Runner

/// How old a job has to be.
struct AgeOption: ParsableArguments {
    @Option(
        name: .customLong("older-than"),
        help: ArgumentHelp("Jobs created at least this long ago.", valueName: "duration"),
        transform: { text in
            guard let duration = DurationText.parse(text) else {
                throw ValidationError(
                    "--older-than takes a length of time such as 24h, not '\(text)'")
            }
            return duration
        })
    var olderThan: Duration?
}

/// The jobs that a command works on: named, or all that a filter finds.
struct ManyJobs: ParsableArguments {
    /// Jobs that a filter finds at once; the next page is looked for behind the last of them.
    static let page = 500

    @Argument(help: ArgumentHelp("The jobs.", valueName: "id")) var jobIDs: [String] = []

    @Option(
        help: ArgumentHelp("All jobs that are blocked for this reason.", valueName: "reason"))
    var blocked: BlockFlag?

    @Option(help: ArgumentHelp("Of those, the ones of this provider.", valueName: "name"))
    var provider: String?

    @OptionGroup var age: AgeOption

    mutating func validate() throws {
        let filters = provider != nil || age.olderThan != nil
        if blocked == .any {
            throw ValidationError("name one reason: --blocked \(BlockFlag.reasons)")
        }
        if !jobIDs.isEmpty, blocked != nil || filters {
            throw ValidationError("name jobs, or --blocked with a reason, and not both")
        }
        if jobIDs.isEmpty, blocked == nil {
            throw ValidationError(
                "name jobs, or --blocked with a reason: \(BlockFlag.reasons)"
                    + (filters ? "; --provider and --older-than narrow it down" : ""))
        }
    }

    /// Calls `body` with each job, page by page, until it is told to stop.
    func each(
        _ connection: borrowing Connection, _ context: RunContext,
        _ body: (borrowing Connection, String) throws -> Void
    ) throws {
        guard let blocked else {
            for jobID in jobIDs where !StopSignal.isRaised { try body(connection, jobID) }
            return
        }
        let queries = JobQueries(clockOffset: try context.settings.clockOffset())
        var filter = JobFilter()
        filter.blocked = blocked.filter
        filter.provider = provider
        filter.minimumAge = age.olderThan
        filter.limit = Self.page
        var last = ""
        while !StopSignal.isRaised {
            let page = try queries.ids(connection, filter, after: last)
            guard let end = page.last else { return }
            for jobID in page where !StopSignal.isRaised { try body(connection, jobID) }
            last = end
        }
    }
}

/// What became of many jobs, one after the other.
struct ManyOutcomes {
    /// Jobs and complaints that one answer shows; the rest is counted.
    static let shown = 1000
    /// Complaints that the text shows.
    static let told = 20

    private(set) var counts: [String: Int] = [:]
    private(set) var failures: [Failure] = []
    private(set) var status = ExitStatus.done
    private var jobs: [JSONValue] = []

    /// Does one of them, and goes on behind what it refuses.
    ///
    /// - Parameter place: Stands before a complaint, such as `line 3: `.
    /// - Throws: Only what would stop every other one too.
    mutating func add(
        _ jobID: String, done: String, place: String = "", _ body: () throws -> Bool
    ) throws {
        do {
            count(jobID, try body() ? done : "unchanged")
        } catch let failure as Failure
            where [.needsPerson, .notFound].contains(failure.status)
        {
            refuse(jobID, failure, place)
        } catch let error as PostgresError where !error.isConnectionLoss && !error.isLoginFailure {
            refuse(jobID, Refusal.failure(error), place)
        }
    }

    mutating func refuse(_ jobID: String, _ failure: Failure, _ place: String) {
        count(jobID, "refused")
        status = ExitStatus.worst(status, failure.status)
        if failures.count < Self.shown {
            failures.append(Failure(failure.status, code: failure.code, place + failure.message))
        }
    }

    private mutating func count(_ jobID: String, _ outcome: String) {
        counts[outcome, default: 0] += 1
        if jobs.count < Self.shown {
            jobs.append(["job_id": .string(jobID), "outcome": .string(outcome)])
        }
    }

    func say(
        _ context: RunContext, _ reporting: ReportingOptions, isDryRun: Bool
    ) -> ExitStatus {
        let status = StopSignal.outranking(status)
        let counted = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        var lines = [
            (isDryRun ? "dry run, nothing was changed: " : "")
                + (counted.isEmpty ? "no job is like that" : counted.joined(separator: ", "))
        ]
        if StopSignal.isRaised {
            lines.append("stopped before the end; the same command goes on with the rest")
        }
        if reporting.output == .text {
            for failure in failures.prefix(Self.told) {
                Output.error("\(context.command): \(Plain.line(failure.message))")
            }
            if failures.count > Self.told {
                Output.error(
                    "\(context.command): and \((counts["refused"] ?? 0) - Self.told) more refused; see "
                        + "them with --output json")
            }
        }
        Say.answer(
            context, reporting, isDryRun: isDryRun,
            [
                ("counts", .counts(counts.mapValues(Int64.init))), ("jobs", .array(jobs)),
                ("actor", .string(Person.actor)),
            ], errors: failures, status: status, text: lines.joined(separator: "\n"))
        return status
    }
}
