import Core
import HTTP
import Jobs
import Providers

/// One thing that is being asked about a claimed job, through all its tries.
struct Question {
    enum Kind {
        case poll, lookup
        case retrigger(attempt: Int)
    }

    /// Tries at one endpoint while our credentials are refused, each with fresh ones.
    static let credentialTries = 3

    let item: WorkItem
    let kind: Kind
    /// The families to ask, in order; the first that knows the task is remembered.
    let endpoints: [String]
    var place = 0
    var tries = 0
    /// The answer that says most among those of the families asked so far.
    var best: (verdict: Verdict, status: Int?, body: [UInt8])?

    init(item: WorkItem, kind: Kind, endpoints: [String]) {
        self.item = item
        self.kind = kind
        self.endpoints = endpoints
    }

    var endpoint: String { place < endpoints.count ? endpoints[place] : "" }

    /// What to do after an answer.
    enum Next {
        case askAgain, askNextFamily, decide
    }

    /// Takes an answer in, and says whether another request is worth its while.
    mutating func learn(_ verdict: Verdict, status: Int?, body: [UInt8]) -> Next {
        tries += 1
        // "Not here" from one family must not hide that another could not be asked.
        if best == nil || !verdict.taskIsUnknownHere || verdict.isHealthy {
            best = (verdict, status, body)
        }
        if verdict.isHealthy { return .decide }
        if verdict.credentialsRefused, tries < Self.credentialTries { return .askAgain }
        if verdict.taskIsUnknownHere, place + 1 < endpoints.count { return .askNextFamily }
        return .decide
    }
}

extension Question {
    /// The request that asks it, with credentials made for this call.
    func request(_ provider: any Provider, now: Instant) throws -> Request? {
        if case .lookup = kind {
            return try provider.lookupRequest(jobID: item.jobID, endpoint: endpoint, now: now)
        }
        return try provider.pollRequest(taskID: item.taskID ?? "", endpoint: endpoint, now: now)
    }

    func verdict(_ provider: any Provider, _ response: Response, now: Instant) -> Verdict {
        let answer = Answer(response)
        if case .lookup = kind {
            return provider.lookupVerdict(
                answer, jobID: item.jobID, endpoint: endpoint, now: now)
        }
        return provider.verdict(
            answer, askedTaskID: item.taskID, endpoint: endpoint, kind: .poll, now: now)
    }

    /// The decision for what was learned, with its evidence; nil when nothing was.
    func decision(_ pass: Pass) -> Decision? {
        guard let best else { return nil }
        var chance = SystemRandomNumberGenerator()
        var decision: Decision
        var source = "poll"
        switch (kind, pass) {
        case (.lookup, _):
            source = "lookup"
            decision = Rules.lookup(item, best.verdict, endpoint: endpoint, using: &chance)
        case (_, .sweep):
            decision = Rules.sweep(item, best.verdict, using: &chance)
        case (_, .recover):
            decision = Rules.recover(item, best.verdict, using: &chance)
        }
        if best.verdict.isHealthy { decision.move.taskEndpoint = endpoint }
        decision.move.observation = Observation(
            source: source, httpStatus: best.status, verdict: best.verdict,
            evidence: best.body.isEmpty ? nil : Evidence.redact(best.body),
            bodyDigest: best.body.isEmpty ? nil : SecretDigest.sha256Hex(best.body),
            bodyBytes: best.body.count)
        return decision
    }
}

extension Verdict {
    /// Whether the circuit breaker counts this answer as a failure of the provider.
    var isProviderFailure: Bool {
        state == .unknown && errorClass == .transient && !taskIsUnknownHere
    }

    /// A request that brought no answer at all.
    static func failed(_ error: HTTPError) -> Verdict {
        Verdict(state: .unknown, errorClass: .transient, errorMessage: error.message)
    }
}
