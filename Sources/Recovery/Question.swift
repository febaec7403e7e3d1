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

    /// Whether it is no question but a call to the application to start the job.
    var isTrigger: Bool {
        if case .retrigger = kind { true } else { false }
    }

    /// Tries at one endpoint while our credentials are refused, each with fresh ones.
    static let credentialTries = 3

    let item: WorkItem
    let kind: Kind
    /// The families to ask, in order; the first that knows the task is remembered.
    let endpoints: [String]
    var place = 0
    var tries = 0
    /// It was asked once more with credentials that were read again.
    var hasRenewedCredentials = false
    /// The answer that says most among those of the families asked so far.
    var best: (verdict: Verdict, status: Int?, body: [UInt8])?
    /// The answer that said that the task has ended, where the files take a second request.
    var first: (answer: Answer, verdict: Verdict)?

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
        var verdict = verdict
        if let first {
            // The answer with the files may have neither an id nor a price of its own.
            verdict.taskID = verdict.taskID ?? first.verdict.taskID
            verdict.cost = verdict.cost ?? first.verdict.cost
        }
        // "Not here" from one family must not hide that another could not be asked.
        if best == nil || first != nil || !verdict.taskIsUnknownHere || verdict.isHealthy {
            best = (verdict, status, body)
        }
        if verdict.isHealthy { return .decide }
        if verdict.credentialsRefused, tries < Self.credentialTries { return .askAgain }
        if verdict.taskIsUnknownHere, first == nil, place + 1 < endpoints.count {
            return .askNextFamily
        }
        return .decide
    }

    /// Whether the files of a task that has ended take a second request, which is then the next one.
    mutating func needsResult(
        after answer: Answer, _ verdict: Verdict, _ provider: any Provider, now: Instant
    ) -> Bool {
        guard case .poll = kind, first == nil, verdict.isHealthy, let taskID = item.taskID,
            let request = try? provider.resultRequest(
                after: answer, taskID: taskID, endpoint: endpoint, now: now),
            !request.url.isEmpty
        else { return false }
        first = (answer, verdict)
        tries = 0
        // Until it is known what came of the task, nothing may be concluded from its running on.
        best = (
            Verdict(
                taskID: verdict.taskID, state: .unknown, errorClass: .transient,
                errorMessage: "the task has ended, and what came of it is not known yet"),
            answer.httpStatus, answer.body
        )
        return true
    }
}

extension Question {
    /// Whether a provider has said of a job that seems never to have been sent that it knows no task
    /// of it.
    var saysUnsent: Bool {
        guard case .lookup = kind, let best, !best.verdict.isHealthy else { return false }
        return best.verdict.taskIsUnknownHere && Rules.seemsUnsent(item)
    }

    /// The request that asks it, with credentials made for this call.
    func request(_ provider: any Provider, now: Instant) throws -> Request? {
        if case .lookup = kind {
            return try provider.lookupRequest(jobID: item.jobID, endpoint: endpoint, now: now)
        }
        if let first {
            return try provider.resultRequest(
                after: first.answer, taskID: item.taskID ?? "", endpoint: endpoint, now: now)
        }
        return try provider.pollRequest(taskID: item.taskID ?? "", endpoint: endpoint, now: now)
    }

    func verdict(_ provider: any Provider, _ response: Response, now: Instant) -> Verdict {
        let answer = Answer(response)
        if case .lookup = kind {
            return provider.lookupVerdict(
                answer, jobID: item.jobID, endpoint: endpoint, now: now)
        }
        var verdict = provider.verdict(
            answer, askedTaskID: item.taskID, endpoint: endpoint,
            kind: first == nil ? .poll : .result, now: now)
        verdict.isUnnamed = verdict.state == .succeeded && verdict.taskID == nil
        return verdict.cut(to: item.outputLimit(told: provider.mostOutputs(endpoint: endpoint)))
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
        decision.move.family = endpoint
        decision.move.reading = best.verdict.reading
        decision.move.observation = Observation(
            source: source, httpStatus: best.status, verdict: best.verdict,
            evidence: best.body.isEmpty ? nil : Evidence.redact(best.body),
            bodyDigest: best.body.isEmpty ? nil : SecretDigest.sha256Hex(best.body),
            bodyBytes: best.body.count)
        return decision
    }
}

extension Verdict {
    /// The same with at most so many files; the rest is counted.
    func cut(to limit: Int) -> Verdict {
        var verdict = self
        verdict.surplus = max(0, resultURLs.count - limit)
        verdict.resultURLs = Array(resultURLs.prefix(limit))
        return verdict
    }

    /// Whether the circuit breaker counts this answer as a failure of the provider.
    var isProviderFailure: Bool {
        state == .unknown && errorClass == .transient && !taskIsUnknownHere && !isUnreadable
    }

    /// What the answer tells of the family that was asked: also one that refuses was read.
    var reading: Reading {
        if state == .unknown, errorClass == .transient, !taskIsUnknownHere {
            return isUnreadable ? .unreadable : .silence
        }
        return .readable
    }

    /// What the answer counts as.
    ///
    /// - Parameter error: Why no answer came, where none did.
    func tallied(jobID: String, error: HTTPError?) -> AnswerTally.Answer {
        guard state == .unknown, errorClass == .transient, !taskIsUnknownHere else {
            return .healthy
        }
        if isUnreadable { return .unreadable }
        let isAboutUs =
            credentialsRefused
            || error.map { [.resolve, .connect, .tls].contains($0.code) } ?? false
        return isAboutUs ? .refusal : .failure(jobID: jobID)
    }

    /// A request that brought no answer at all.
    static func failed(_ error: HTTPError) -> Verdict {
        Verdict(state: .unknown, errorClass: .transient, errorMessage: error.message)
    }
}
