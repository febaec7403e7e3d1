package import Core
import HTTP
import Jobs
package import Postgres
import Providers

/// A dry run of a pass: the same questions and the same decisions, one request a second for each
/// provider, and nothing written anywhere.
package enum Rehearsal {
    /// Jobs looked at when no limit is given.
    static let defaultLimit = 500

    package static func sweep(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        try run(connection, wiring, .sweep, selection)
    }

    package static func recover(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var report = try run(connection, wiring, .recover, selection)
        let lost = try LostSubmissions(run: wiring.run, reach: wiring.reach).due(
            connection, most: selection.limit ?? defaultLimit, jobIDs: selection.jobIDs,
            providers: selection.providers)
        report.examined += lost
        if lost > 0 { report.count("abandoned", lost) }
        return report
    }

    /// Files that would be fetched; what comes of a transfer is not predicted.
    package static func mirror(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> RunReport {
        var report = RunReport()
        report.examined = try Files(run: wiring.run).due(
            connection, most: selection.limit ?? defaultLimit, jobIDs: selection.jobIDs,
            providers: selection.providers
        ).count
        return report
    }

    private static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, _ pass: Pass, _ selection: Selection
    ) throws -> RunReport {
        var report = RunReport()
        let started = ContinuousClock.now
        let due = try Claims(run: wiring.run, pass: pass).due(
            connection, providers: wiring.askable(selection),
            most: selection.limit ?? defaultLimit, jobIDs: selection.jobIDs)
        var lastAsked: [String: ContinuousClock.Instant] = [:]
        var client: Client?
        for item in due {
            if wiring.shouldStop() || ContinuousClock.now - started >= selection.timeBudget {
                break
            }
            report.examined += 1
            let outcome = try outcome(item, wiring, pass) { request in
                if let last = lastAsked[item.provider] {
                    let rest = Duration.seconds(1) - (ContinuousClock.now - last)
                    if rest > .zero { Pause.wait(rest) }
                }
                lastAsked[item.provider] = .now
                if client == nil { client = try Client() }
                guard let response = try client?.perform(request) else {
                    throw Failure(.defect, code: "no_client", "no HTTP client")
                }
                return response
            }
            report.count(outcome)
            wiring.tell("job \(item.jobID): \(outcome)")
        }
        return report
    }

    private static func outcome(
        _ item: WorkItem, _ wiring: Wiring, _ pass: Pass, _ ask: (Request) throws -> Response
    ) throws -> String {
        guard let provider = wiring.providers.provider(item.provider) else { return "unknown" }
        var question: Question
        if let taskID = item.taskID {
            question = Question(
                item: item, kind: .poll,
                endpoints: provider.endpoints(
                    for: TaskReference(
                        taskID: taskID, endpoint: item.taskEndpoint, model: item.model,
                        kind: item.kind)))
        } else {
            switch Rules.submission(
                item, canLookUp: provider.facts.canLookUpByOwnID,
                canList: provider.facts.canList, canRetrigger: wiring.trigger != nil)
            {
            case .decide(let decision): return decision.outcome
            case .retrigger: return "retriggered"
            case .lookUp:
                question = Question(
                    item: item, kind: .lookup,
                    endpoints: provider.endpoints(
                        for: TaskReference(
                            taskID: item.jobID, endpoint: item.endpoint, model: item.model,
                            kind: item.kind)))
            }
        }
        while true {
            switch try learn(&question, provider, wiring, ask) {
            case .askAgain: continue
            case .askNextFamily:
                question.place += 1
                question.tries = 0
            case .decide:
                guard question.saysUnsent else {
                    return question.decision(pass)?.outcome ?? "unknown"
                }
                let step = Rules.submission(
                    item, canLookUp: true, canRetrigger: wiring.trigger != nil, wasLookedUp: true)
                guard case .decide(let decision) = step else { return "retriggered" }
                return decision.outcome
            }
        }
    }

    private static func learn(
        _ question: inout Question, _ provider: any Provider, _ wiring: Wiring,
        _ ask: (Request) throws -> Response
    ) throws -> Question.Next {
        guard var request = try question.request(provider, now: wiring.wallClock()) else {
            return .decide
        }
        request.timeout = wiring.run.requestTimeout
        do {
            let response = try ask(request)
            let now = wiring.wallClock()
            let verdict = question.verdict(provider, response, now: now)
            if question.needsResult(after: Answer(response), verdict, provider, now: now) {
                return .askAgain
            }
            return question.learn(verdict, status: response.status, body: response.body)
        } catch let error as HTTPError {
            return question.learn(.failed(error), status: nil, body: [])
        }
    }
}
