import Core
import Postgres
import Reports
import Runner

/// What a run says on standard error: every event, and of trouble that lasts what is due.
struct Voice {
    let context: RunContext
    let job: JobRun
    private let isDamped: Bool
    /// Trouble of the night is met once a night: there it is said, and nobody could say when it is over.
    private var remembers: Bool { context.command != "ledger-reconciler" }

    init(_ context: RunContext, _ common: CommonOptions, _ job: JobRun) {
        self.context = context
        self.job = job
        isDamped = !common.dryRun && Damping.applies(common.reporting)
    }

    /// Says the problems of a report.
    func say(_ summary: RunSummary, _ connection: borrowing Connection) {
        var spoken = summary
        spoken.report.problems = []
        for problem in summary.report.problems {
            var problem = problem
            if remembers, let subject = Self.subject(problem) {
                let saying = saying(problem.code, subject, problem.message, connection)
                guard saying != .nothing else { continue }
                problem.message += Damping.tail(saying)
            }
            spoken.report.problems.append(problem)
        }
        for line in spoken.problemLines { Output.error(line) }
        for one in job.news where one.isOver { Output.error("\(context.command): \(one.message)") }
    }

    /// Says what this host remembers of trouble that kept runs from the database, now that it is over.
    func sayWhatIsOver() {
        guard isDamped, let folder = StateFolder(context.settings) else { return }
        let now = Damping.now(context.settings)
        for memory in folder.ended(at: now) {
            Output.error("\(context.command): \(Damping.over(memory, at: now))")
        }
    }

    /// What is to be said of a failure that ended the run; nil where the database cannot tell.
    func saying(_ failure: Failure, _ connection: borrowing Connection) -> Saying? {
        guard remembers, let name = Damping.condition(failure) else { return .whole }
        return try? job.note(
            connection, condition: name, subject: "", failure.message, isHeard: isDamped)
    }

    private func saying(
        _ name: String, _ subject: String, _ message: String, _ connection: borrowing Connection
    ) -> Saying {
        // Nobody remembers: said once too often rather than never.
        (try? job.note(
            connection, condition: name, subject: subject, message, isHeard: isDamped)) ?? .whole
    }

    /// Codes of what lasts from run to run; everything else is an event.
    private static let conditions: Set<String> = [
        "breaker_open", "callbacks_refused", "credentials_refused", "host_trouble",
        "marks_unreadable", "spool_newer",
        "unreadable", "webhook_keys_unavailable",
    ]

    /// What a problem is about when it is a condition; nil for an event, which is said always.
    private static func subject(_ problem: RunReport.Problem) -> String? {
        if let subject = problem.subject { return subject }
        guard problem.jobID == nil, conditions.contains(problem.code) else { return nil }
        // The words tell conditions apart, but for the times and counts in them.
        let words = String(problem.message.filter { !$0.isNumber }.prefix(200))
        return problem.code == "host_trouble" ? "\(JobRun.hostName): \(words)" : words
    }
}
