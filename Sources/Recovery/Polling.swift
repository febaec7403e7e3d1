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
    /// Decisions are written when so many wait, or the oldest has waited so long; a few in each
    /// transaction.
    static let batchSize = 200
    static let batchDelay = Duration.milliseconds(150)
    /// How long a run that is stopped waits for what it cannot take back.
    static let lastAnswers = Duration.seconds(5)
    /// The pause before another look at a bucket that was empty.
    static let bucketPause = Duration.milliseconds(100)
    /// Jobs that become due again in one transaction.
    static let againPage = 1000

    var wiring: Wiring
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
    /// How many of them one transaction writes.
    var pace = BatchPace()
    /// The server has planned what is written, with nothing locked.
    var isPrepared = false
    /// Decisions about jobs whose account or row somebody else holds.
    var heldUp: [HeldUpDecision] = []
    /// When they are tried again.
    var nextTry = ContinuousClock.now
    /// How long this run may still wait for accounts.
    var patience = HeldUpDecision.patience
    var tallies: [String: AnswerTally] = [:]
    var refusedKeys: [String: Int] = [:]
    /// Whether the credentials of a provider, read again in this run, were others.
    var areCredentialsNew: [String: Bool] = [:]
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
    /// A job that earlier runs did not survive, while it is under way, alone.
    var suspect: String?
    /// Whether it is the turn of such a job: at first, and when nothing else is due.
    var isSuspectsTurn = true
    /// What this host suffers from, by the provider that it cannot reach, or none for all of them.
    var hostTroubles: [String: HTTPError] = [:]
    /// Questions to hosts whose names could not be resolved, until it is known whose trouble that is.
    var unresolved: [(question: Question, error: HTTPError)] = []
    /// Providers whose name could not be resolved while others answered.
    var nameless: Set<String> = []
    /// Claimed, and not asked about because of it.
    var unasked: [WorkItem] = []
    /// Jobs without a task, of which their provider has just said that it knows none.
    var lookedUp: [WorkItem] = []
    /// Whether the database has lost commits.
    var rewinds: RewindWatch
    var report = RunReport()

    init(_ wiring: Wiring, pass: Pass, selection: Selection) {
        rewinds = wiring.rewinds
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
        do {
            try work(connection)
        } catch {
            // A run that ends early has not crashed: where the connection still works, its claims do
            // not count.
            try? claims.release(connection, held)
            throw error
        }
        noteRefusedCredentials()
        noteHostTroubles()
        try noteUnreadable(connection)
        return report
    }

    /// What this run has claimed and not written down.
    var held: [WorkItem] { unsettled + heldUp.map(\.item) }

    /// The same without what only waits for somebody else.
    private var unsettled: [WorkItem] {
        asking.values.map(\.item) + waiting.map(\.item) + decided.map(\.item) + unasked
            + unresolved.map(\.question.item) + lookedUp
    }

    private mutating func work(_ connection: borrowing Connection) throws {
        var mayClaim = !askable.isEmpty
        if mayClaim {
            try closeBreakers(connection)
            try askAgain(connection)
        }
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
            settleUnresolved()
            try giveBackUnasked(connection)
            try tryAgain(connection)
            if asking.isEmpty, waiting.isEmpty, decided.isEmpty, heldUp.isEmpty {
                // What was learned may be a reason to ask about more.
                if !mayClaim, isWithinBudget, wantsMore, !askable.allSatisfy({ isUnreachable($0) })
                {
                    mayClaim = try askAgain(connection)
                }
                guard mayClaim else { break }
                if isThrottled { Pause.wait(Self.bucketPause) }
                continue
            }
            try startWaiting(connection)
            if asking.isEmpty, waiting.isEmpty, decided.isEmpty { Pause.wait(Self.bucketPause) }
            collect(wait: asking.isEmpty ? .zero : Self.bucketPause, connection)
            try goOnLookedUp(connection)
            try recordIfDue(connection)
            try renewIfDue(connection)
        }
    }

    /// Has jobs asked about again that rest or were set aside for want of an answer.
    @discardableResult
    private mutating func askAgain(_ connection: borrowing Connection) throws -> Bool {
        guard selection.jobIDs.isEmpty else { return false }
        return try claims.askAgain(
            connection, version: wiring.version, most: Self.againPage) > 0
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
        guard !holdsSuspect else { return (true, false) }
        // Small claims while much is in flight would only cost round trips.
        let reachable = askable.filter { !isUnreachable($0) }
        guard !reachable.isEmpty else { return (false, false) }
        let rooms = reachable.shuffled().map {
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
        let maySuspect = isSuspectsTurn && held.isEmpty
        let claim = try claims.claim(
            connection, rooms: rooms, most: most, jobIDs: named, maySuspect: maySuspect)
        suspect = claim.suspect
        isSuspectsTurn = claim.items.isEmpty && !maySuspect
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
        if !claim.items.isEmpty, !isPrepared {
            try ledgerOfMoves.prepare(connection)
            isPrepared = true
        }
        // After a suspect comes everything else, and after that the next suspect.
        if suspect != nil || (isSuspectsTurn && held.isEmpty) { return (true, false) }
        if claim.isThrottled { nextClaim = .now + Self.bucketPause }
        return (claim.isThrottled || rooms.count < reachable.count, claim.isThrottled)
    }

    private var holdsSuspect: Bool {
        suspect.map { jobID in unsettled.contains { $0.jobID == jobID } } ?? false
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
        try begin(item, provider, wasLookedUp: false, connection)
    }

    // MARK: Asking

    mutating func send(_ question: Question) {
        do {
            guard let request = try request(for: question) else { return }
            if client == nil { client = try Client() }
            nextTag += 1
            client?.start(request, tag: nextTag)
            asking[nextTag] = question
        } catch let error as HTTPError {
            if isOfThisHost(error, question) { return }
            settle(question, .failed(error), status: nil, body: [], error: error)
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

    mutating func collect(wait: Duration, _ connection: borrowing Connection) {
        guard let completions = client?.step(wait: wait) else { return }
        for completion in completions {
            guard let question = asking.removeValue(forKey: completion.tag) else { continue }
            switch completion.result {
            case .failure(let error):
                if isOfThisHost(error, question) { continue }
                settle(question, .failed(error), status: nil, body: [], error: error)
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
            tallies[name, default: AnswerTally()].add(.healthy, retryAfter: nil)
            healthy.insert(name)
            waiting.append(question)
        } else {
            settle(question, verdict, status: response.status, body: response.body)
        }
    }
}
