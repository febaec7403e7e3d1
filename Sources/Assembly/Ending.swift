import Core
import Postgres
import Reports
import Runner

/// The end of a run that has a place: written down, and its news said, also when the connection is
/// gone by then.
///
/// News is in the database since the transaction that made it. A run takes it away when it has said
/// it; what it could not say, the next run finds there.
struct Ending {
    let context: RunContext
    let job: JobRun
    let voice: Voice

    /// How long a second connection may take: the run is over, and cron waits.
    private static let patience = Duration.seconds(2)

    /// Writes the end down; where the connection broke, by a second one, and then the report says so.
    ///
    /// - Returns: how much news the database keeps for this run.
    func finish(_ connection: borrowing Connection, _ report: inout RunReport) -> Int {
        do {
            return try job.finish(connection, report)
        } catch {
            let failure = Entry.failure(from: error)
            report.add(
                .init(code: failure.code, message: failure.message),
                status: StopSignal.outranking(failure.status))
            let ended = report
            return (try? again { try job.finish($0, ended) }) ?? 0
        }
    }

    /// Says news that was said to be kept as said, or as not said when nobody could hear it.
    func told(_ connection: borrowing Connection) {
        let wasSaid = Output.errorProblem == nil
        if (try? job.told(connection, wasSaid)) != nil { return }
        _ = try? again { try job.told($0, wasSaid) }
    }

    /// The end of a run that failed: writes it down, says what the run had committed, and returns
    /// what is to be thrown.
    func abort(_ connection: borrowing Connection, _ failure: Failure) -> FailedRun {
        var report = RunReport()
        report.status = StopSignal.outranking(failure.status)
        let ended = report
        var news = job.news
        var saying: Saying?
        var isKept = false
        func end(_ connection: borrowing Connection) throws {
            guard try job.finish(connection, ended) > 0 else { return }
            news = try job.untold(connection)
            isKept = true
        }
        if (try? end(connection)) != nil {
            saying = voice.saying(failure, connection)
        } else {
            // Trouble with the first connection is for this host to remember.
            _ = try? again { try end($0) }
        }
        report.add(news: news)
        let summary = RunSummary(context, report, isDryRun: false)
        voice.say(summary, connection)
        if isKept { told(connection) }
        return FailedRun(failure: failure, problems: summary.report.problems, saying: saying)
    }

    private func again<R>(_ work: (borrowing Connection) throws -> R) throws -> R {
        let second = try Connection(context, connectTimeout: Self.patience)
        return try work(second)
    }
}

extension RunReport {
    /// Adds what an earlier run committed and could not say.
    mutating func add(news: [News]) {
        for one in news where !one.isOver { add(one.problem, status: .needsPerson) }
    }
}
