import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Recovery
import Reports
import Runner

struct AccountForget: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Removes everything personal of an account: for a customer who asks for it.",
        discussion: """
            Files of all its jobs in the store and in the quarantine, requests, evidence, what \
            providers and the application said in words, source addresses, and the content of \
            callbacks. Amounts, ids and seals stay under the account's id, which therefore must be \
            no personal datum. It cannot be undone. Killed at any moment, it goes on when it is run \
            again. It waits for no open job: settle or dismiss these first.
            """)

    /// Open jobs that a refusal names.
    private static let named = 10

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The account.", valueName: "id")) var accountID: String

    @Flag(help: "Say what would be removed, and remove nothing.")
    var dryRun = false

    var isDryRun: Bool { dryRun }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let forgetting = Forgetting(account: accountID)
        guard try forgetting.isKnown(connection) else { throw AccountShow.noAccount(accountID) }
        try refuseOpenJobs(try forgetting.openJobs(connection, most: Self.named + 1))
        if dryRun {
            say(context, try forgetting.counts(connection), changed: false)
            return .done
        }
        let target = try MirrorTarget(context.settings)
        let done: PersonalCounts?
        do {
            done = try AccountForgetting(
                account: accountID, target.store, quarantine: target.quarantine,
                shouldStop: { StopSignal.isRaised }
            ).run(connection, person: Person.actor)
        } catch let error as PostgresError where error.sqlState == "HF003" {
            try refuseOpenJobs(try forgetting.openJobs(connection, most: Self.named + 1))
            throw error
        }
        if StopSignal.isRaised {
            Output.error("\(context.command): stopped; run it again, and it goes on")
            return StopSignal.outranking(.done)
        }
        say(context, done, changed: done != nil)
        return .done
    }

    private func refuseOpenJobs(_ jobs: [UnforgettableJob]) throws(Failure) {
        guard !jobs.isEmpty else { return }
        let named = jobs.prefix(Self.named)
        let states = named.map { job in
            "\(job.word) (\(job.blocked.map { "blocked, \($0)" } ?? job.state))"
        }
        throw Failure(
            .needsPerson, code: "jobs_open",
            "account '\(Plain.line(accountID))' has jobs that are open: "
                + states.joined(separator: ", ")
                + (jobs.count > Self.named ? " and more (holdfast job list --account ID)" : "")
                + "; nothing was changed; let them come to their end, or close them: "
                + named.map { "holdfast job dismiss \($0.word) --reason TEXT" }
                .joined(separator: " && ") + "  # TEXT: why")
    }

    private func say(_ context: RunContext, _ counts: PersonalCounts?, changed: Bool) {
        let name = Plain.line(accountID)
        let what = counts.map(Self.words) ?? ""
        let isNothing = counts?.isNothing ?? true
        let lines =
            isNothing
            ? ["nothing personal of account \(name) is here any more"]
            : [
                changed
                    ? "account \(name) is forgotten: \(what)"
                    : "account \(name) would be forgotten: \(what)",
                "out of reach from here, and yours to see to:", Self.outOfReach,
            ]
        func count(_ path: KeyPath<PersonalCounts, Int64>) -> JSONValue {
            .integer(counts?[keyPath: path] ?? 0)
        }
        Say.answer(
            context, reporting, isDryRun: dryRun,
            [
                ("account_id", .string(accountID)), ("changed", .bool(changed)),
                ("jobs", count(\.jobs)), ("files", count(\.files)),
                ("quarantined", count(\.quarantined)), ("observations", count(\.observations)),
                ("callbacks", count(\.callbacks)),
            ], text: lines.joined(separator: "\n"))
    }

    private static func words(_ counts: PersonalCounts) -> String {
        [
            (counts.jobs, "job"), (counts.files, "file"), (counts.quarantined, "refused file"),
            (counts.observations, "observation"), (counts.callbacks, "callback"),
        ].map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
    }

    private static let outOfReach = """
          the provider's own copies of requests and results
          back-ups, archives and versions of this database and of the store
          callbacks that wait in the spool folders of other hosts, or came under no job's name
          reports and notices that were published already
          references and reasons of transfers, which are never changed
        """
}
