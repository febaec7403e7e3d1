import Core
import HTTP
import Jobs
import Postgres
import Providers

/// One pass over due jobs: claim, ask, decide, settle, until nothing is due, the limit is met or the
/// time budget is spent.
///
/// Answers are settled in batches while further requests are in flight, so that one provider that
/// hangs for its whole request time holds up nobody else. No request is made while a transaction is
/// open.
struct Polling: ~Copyable {
    /// Decisions are written when so many wait, or the oldest has waited so long.
    static let batchSize = 200
    static let batchDelay = Duration.milliseconds(150)
    /// The pause before another look at a bucket that was empty.
    static let bucketPause = Duration.milliseconds(100)

    let wiring: Wiring
    let pass: Pass
    let selection: Selection
    let askable: [String]
    let claims: Claims
    let ledgerOfMoves: Moves
    let limits: ProviderLimits
    let started = ContinuousClock.now
    var client: Client?
    /// Those of `askable` that may have work; one that had none in a claim is none of them.
    var lively: Set<String>
    var asking: [Int: Question] = [:]
    /// Follow-up requests that wait for a token of their provider.
    var waiting: [Question] = []
    var nextTag = 0
    var decided: [(item: WorkItem, decision: Decision)] = []
    var oldestDecision: ContinuousClock.Instant?
    var tallies: [String: AnswerTally] = [:]
    var refusedKeys: [String: Int] = [:]
    /// The last failure of each provider, for the message of its breaker.
    var lastFailures: [String: ProviderTrouble] = [:]
    var healthy: Set<String> = []
    /// Providers whose breaker opened in this run.
    var leftAlone: Set<String> = []
    var lastRenewal = ContinuousClock.now
    /// After a bucket or a share was found empty, it is left alone until then.
    var nextClaim = ContinuousClock.now
    /// Named jobs that were claimed already.
    var asked: Set<String> = []
    var report = RunReport()

    init(_ wiring: Wiring, pass: Pass, selection: Selection) {
        self.wiring = wiring
        self.pass = pass
        self.selection = selection
        askable = wiring.askable(selection)
        lively = Set(askable)
        claims = Claims(run: wiring.run, pass: pass)
        ledgerOfMoves = Moves(run: wiring.run)
        limits = ProviderLimits(run: wiring.run)
    }

    consuming func run(_ connection: borrowing Connection) throws -> RunReport {
        var mayClaim = !askable.isEmpty
        while true {
            if wiring.shouldStop() {
                try giveBack(connection)
                break
            }
            var isThrottled = false
            if mayClaim {
                let claim = try claimMore(connection)
                isThrottled = claim.isThrottled
                // Nothing due, or nothing more wanted: what is in flight is finished.
                mayClaim = claim.hasMore && isWithinBudget && wantsMore
            }
            if asking.isEmpty, waiting.isEmpty, decided.isEmpty {
                guard mayClaim else { break }
                try pause(isThrottled)
                continue
            }
            try startWaiting(connection)
            collect(wait: asking.isEmpty ? .zero : Self.bucketPause, connection)
            try recordIfDue(connection)
            try renewIfDue(connection)
        }
        noteRefusedCredentials()
        return report
    }

    private var isWithinBudget: Bool {
        ContinuousClock.now - started < selection.timeBudget
    }

    private var wantsMore: Bool { selection.limit.map { report.examined < $0 } ?? true }

    // MARK: Claiming

    private mutating func claimMore(
        _ connection: borrowing Connection
    ) throws -> (hasMore: Bool, isThrottled: Bool) {
        let underWay = Dictionary(
            grouping: asking.values.map(\.item) + waiting.map(\.item), by: \.provider
        ).mapValues(\.count)
        guard ContinuousClock.now >= nextClaim else { return (true, true) }
        // Small claims while much is in flight would only cost round trips.
        let rooms = askable.shuffled().map {
            ($0, share(of: $0) - underWay[$0, default: 0], share(of: $0))
        }
        .filter { $0.1 >= max($0.2 / 4, 1) }.map { ($0.0, $0.1) }
        var most = min(
            rooms.reduce(0) { $0 + $1.1 },
            selection.concurrency - underWay.values.reduce(0, +))
        if let limit = selection.limit { most = min(most, limit - report.examined) }
        guard most > 0 else { return (true, false) }
        // Named jobs are due whatever their thresholds say, but once in a run.
        let named = selection.jobIDs.filter { !asked.contains($0) }
        guard selection.jobIDs.isEmpty || !named.isEmpty else { return (false, false) }
        let claim = try claims.claim(connection, rooms: rooms, most: most, jobIDs: named)
        if !named.isEmpty { asked.formUnion(claim.items.map(\.jobID)) }
        for jobID in claim.setAside {
            report.count("set_aside")
            report.add(
                .init(
                    jobID: jobID, code: "crashed",
                    message: "set aside: its claims keep ending without a result; "
                        + "see holdfast job show \(jobID)"),
                status: .needsPerson)
        }
        report.examined += claim.items.count
        let found = Set(claim.items.map(\.provider))
        lively = found.union(underWay.keys).union(lively.subtracting(rooms.map(\.0)))
        for item in claim.items { try begin(item, connection) }
        if claim.isThrottled { nextClaim = .now + Self.bucketPause }
        return (claim.isThrottled || rooms.count < askable.count, claim.isThrottled)
    }

    /// How many questions to a provider may be under way: an equal share for each that has work, so
    /// that one that hangs fills its own and no other, and a little kept for each that may get some.
    private func share(of provider: String) -> Int {
        let quiet = askable.count - lively.count
        let kept = min(quiet, selection.concurrency / 4)
        guard lively.contains(provider) else { return 1 }
        return max((selection.concurrency - kept) / max(lively.count, 1), 1)
    }

    /// Chooses what to ask about a job and asks it, or decides at once.
    private mutating func begin(
        _ item: WorkItem, _ connection: borrowing Connection
    ) throws {
        guard let provider = wiring.providers.provider(item.provider) else { return }
        if let taskID = item.taskID {
            let endpoints = provider.endpoints(
                for: TaskReference(
                    taskID: taskID, endpoint: item.taskEndpoint, model: item.model, kind: item.kind)
            )
            send(Question(item: item, kind: .poll, endpoints: endpoints))
            return
        }
        switch Rules.submission(
            item, canLookUp: provider.facts.canLookUpByOwnID, canRetrigger: wiring.trigger != nil)
        {
        case .decide(let decision):
            keep(item, decision)
        case .lookUp:
            let endpoints = provider.endpoints(
                for: TaskReference(
                    taskID: item.jobID, endpoint: item.endpoint, model: item.model, kind: item.kind)
            )
            send(Question(item: item, kind: .lookup, endpoints: endpoints))
        case .retrigger:
            // The attempt is committed before the request leaves, so that a crash counts it.
            if let attempt = try claims.countRetrigger(connection, item) {
                send(Question(item: item, kind: .retrigger(attempt: attempt), endpoints: []))
            } else {
                report.count("finished_meanwhile")
                try claims.release(connection, [item])
            }
        }
    }

    // MARK: Asking

    private mutating func send(_ question: Question) {
        do {
            guard let request = try request(for: question) else { return }
            if client == nil { client = try Client() }
            nextTag += 1
            client?.start(request, tag: nextTag)
            asking[nextTag] = question
        } catch let error as HTTPError {
            settle(question, .failed(error), status: nil, body: [])
        } catch {
            let failure = error as? Failure
            report.add(
                .init(
                    jobID: question.item.jobID, code: failure?.code ?? "defect",
                    message: failure?.message ?? "\(error)"),
                status: failure?.status ?? .defect)
            settle(
                question,
                Verdict(
                    state: .unknown, errorClass: .transient, errorMessage: failure?.message),
                status: nil, body: [])
        }
    }

    private func request(for question: Question) throws -> Request? {
        if case .retrigger(let attempt) = question.kind {
            return wiring.trigger?.request(
                jobID: question.item.jobID, attempt: attempt, timeout: wiring.run.requestTimeout)
        }
        guard let provider = wiring.providers.provider(question.item.provider) else { return nil }
        var request = try question.request(provider, now: wiring.wallClock())
        request?.timeout = wiring.run.requestTimeout
        return request
    }

    /// Sends what had to wait, as far as the providers' buckets allow.
    private mutating func startWaiting(_ connection: borrowing Connection) throws {
        guard !waiting.isEmpty else { return }
        var left: [Question] = []
        for (provider, questions) in Dictionary(grouping: waiting, by: { $0.item.provider }) {
            let given = try limits.take(connection, provider: provider, wanted: questions.count)
            for (index, question) in questions.enumerated() {
                if let given, index < given {
                    send(question)
                } else if given == nil || !isWithinBudget {
                    // The provider is left alone, or the time is up: what was learned must do.
                    decide(question)
                } else {
                    left.append(question)
                }
            }
        }
        waiting = left
    }

    private mutating func collect(wait: Duration, _ connection: borrowing Connection) {
        guard let completions = client?.step(wait: wait) else { return }
        for completion in completions {
            guard let question = asking.removeValue(forKey: completion.tag) else { continue }
            switch completion.result {
            case .failure(let error):
                settle(question, .failed(error), status: nil, body: [])
            case .success(let response):
                if case .retrigger(let attempt) = question.kind {
                    settle(retrigger: question, attempt: attempt, response)
                } else {
                    take(response, question)
                }
            }
        }
    }

    /// Reads an answer, and asks for the files where it says that the task has ended without them.
    private mutating func take(_ response: Response, _ question: Question) {
        let name = question.item.provider
        guard let provider = wiring.providers.provider(name) else { return }
        var question = question
        let now = wiring.wallClock()
        let verdict = question.verdict(provider, response, now: now)
        if question.needsResult(after: Answer(response), verdict, provider, now: now) {
            tallies[name, default: AnswerTally()].add(isFailure: false, retryAfter: nil)
            healthy.insert(name)
            waiting.append(question)
        } else {
            settle(question, verdict, status: response.status, body: response.body)
        }
    }

    // MARK: Deciding

    private mutating func settle(
        _ question: Question, _ verdict: Verdict, status: Int?, body: [UInt8]
    ) {
        var question = question
        if case .retrigger(let attempt) = question.kind {
            return tell(
                trigger: question, attempt: attempt, problem: verdict.errorMessage, status: nil)
        }
        let provider = question.item.provider
        tallies[provider, default: AnswerTally()].add(
            isFailure: verdict.isProviderFailure, retryAfter: verdict.retryAfter)
        if verdict.isProviderFailure {
            lastFailures[provider] = ProviderTrouble(status: status, message: verdict.errorMessage)
        }
        if verdict.credentialsRefused { refusedKeys[provider, default: 0] += 1 }
        if verdict.isHealthy || verdict.taskIsUnknownHere { healthy.insert(provider) }
        switch question.learn(verdict, status: status, body: body) {
        case .decide:
            decide(question)
        case .askAgain:
            waiting.append(question)
        case .askNextFamily:
            question.place += 1
            question.tries = 0
            waiting.append(question)
        }
    }

    private mutating func decide(_ question: Question) {
        if let decision = question.decision(pass) { keep(question.item, decision) }
    }

    private mutating func settle(retrigger question: Question, attempt: Int, _ response: Response) {
        let accepted = (200..<300).contains(response.status)
        tell(
            trigger: question, attempt: attempt,
            problem: accepted ? nil : "answered HTTP \(response.status)", status: response.status)
    }

    /// Records how the application's trigger took one try.
    private mutating func tell(
        trigger question: Question, attempt: Int, problem: String?, status: Int?
    ) {
        let item = question.item
        if let problem {
            let isRefused = status == 401 || status == 403
            report.add(
                .init(
                    jobID: item.jobID, code: isRefused ? "retrigger_refused" : "retrigger_failed",
                    message: "the application's trigger (HOLDFAST_RETRIGGER_URL) \(problem)"
                        + (isRefused
                            ? "; check HOLDFAST_RETRIGGER_SECRET and HOLDFAST_RETRIGGER_HEADER"
                            : "")),
                status: isRefused ? .configuration : .unavailable)
        }
        var decision = Rules.retriggered(
            item, attempt: attempt, accepted: problem == nil, problem: problem)
        decision.move.observation = Observation(
            source: "retrigger", httpStatus: status,
            verdict: Verdict(
                state: .unknown, errorClass: .transient,
                errorMessage: problem ?? "try \(attempt) accepted"),
            evidence: nil)
        keep(item, decision)
    }

    private mutating func keep(_ item: WorkItem, _ decision: Decision) {
        decided.append((item, decision))
        if oldestDecision == nil { oldestDecision = .now }
        wiring.tell("job \(item.jobID): \(decision.outcome)")
    }

    // MARK: Writing

    private mutating func recordIfDue(_ connection: borrowing Connection) throws {
        guard let oldest = oldestDecision else { return }
        let nothingElse = asking.isEmpty && waiting.isEmpty
        guard
            nothingElse || decided.count >= Self.batchSize
                || ContinuousClock.now - oldest >= Self.batchDelay
        else { return }
        try record(connection)
    }

    /// Settles a batch: moves, credits, evidence and the providers' state in one transaction.
    private mutating func record(_ connection: borrowing Connection) throws {
        let batch = decided
        let tallied = tallies
        var opened: [(String, Duration)] = []
        let results = try connection.repeatable {
            opened = []
            let results = try ledgerOfMoves.record(connection, batch.map(\.decision.move))
            for (provider, tally) in tallied.sorted(by: { $0.key < $1.key }) {
                if let pause = try limits.note(connection, provider: provider, tally) {
                    opened.append((provider, pause))
                }
            }
            return results
        }
        decided = []
        tallies = [:]
        oldestDecision = nil
        let outcomes = Dictionary(
            batch.map { ($0.item.jobID, $0.decision) }, uniquingKeysWith: { first, _ in first })
        report.take(results, outcomes, pass)
        for (provider, pause) in opened {
            leftAlone.insert(provider)
            report.add(
                .init(
                    code: "breaker_open",
                    message: "\(provider) is left alone for \(DurationText.describe(pause)) after "
                        + "too many failures in a row (policy breaker_failures)"
                        + (lastFailures[provider].map { "; the last: \($0)" } ?? "")
                        + "; its jobs keep their state"),
                status: .unavailable)
        }
    }

    private mutating func renewIfDue(_ connection: borrowing Connection) throws {
        guard ContinuousClock.now - lastRenewal >= wiring.run.lease / 4 else { return }
        lastRenewal = .now
        let held = asking.values.map(\.item) + waiting.map(\.item) + decided.map(\.item)
        try claims.renew(connection, held)
    }

    /// Ends early: what was decided is written, every other lease is given back.
    private mutating func giveBack(_ connection: borrowing Connection) throws {
        let open = asking.values.map(\.item) + waiting.map(\.item)
        for tag in asking.keys { client?.cancel(tag: tag) }
        if !decided.isEmpty { try record(connection) }
        try claims.release(connection, open)
        report.examined -= open.count
    }

    private func pause(_ isThrottled: Bool) throws {
        guard isThrottled else { return }
        Pause.wait(Self.bucketPause)
    }

    /// Tells a person that a key does not work: at once where the provider's word can be taken, after
    /// a streak that opened the breaker where it refuses good ones now and then.
    private mutating func noteRefusedCredentials() {
        for (name, count) in refusedKeys.sorted(by: { $0.key < $1.key }) {
            guard let provider = wiring.providers.provider(name), !healthy.contains(name),
                leftAlone.contains(name)
                    || (count >= Question.credentialTries
                        && !provider.facts.mayRefuseGoodCredentials)
            else { continue }
            let variables = type(of: provider).credentialVariables.joined(separator: ", ")
            report.add(
                .init(
                    code: "credentials_refused",
                    message: "\(name) refused our credentials \(count) times and accepted them "
                        + "never; check \(variables), and with the provider that the key is "
                        + "active; its jobs keep their state"),
                status: .configuration)
        }
    }
}
