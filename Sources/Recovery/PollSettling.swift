import Core
import HTTP
import Jobs
import Postgres
import Providers

/// What answers come to, and how it is written down.
extension Polling {
    // MARK: Deciding

    mutating func settle(
        _ question: Question, _ verdict: Verdict, status: Int?, body: [UInt8],
        error: HTTPError? = nil
    ) {
        var question = question
        if case .retrigger(let attempt) = question.kind {
            return tell(
                trigger: question, attempt: attempt, problem: verdict.errorMessage, status: nil)
        }
        let provider = question.item.provider
        if verdict.credentialsRefused, askWithRenewedCredentials(question) { return }
        var tally = tallies[provider] ?? AnswerTally()
        tally.add(
            verdict.tallied(jobID: question.item.jobID, error: error),
            retryAfter: verdict.retryAfter)
        if verdict.isProviderFailure {
            lastFailures[provider] = ProviderTrouble(status: status, message: verdict.errorMessage)
            tally.lastFailure = .init(
                status: status, message: verdict.errorMessage,
                isKeyRefused: verdict.credentialsRefused)
        }
        tallies[provider] = tally
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

    mutating func decide(_ question: Question) {
        if question.saysUnsent {
            lookedUp.append(question.item)
        } else if let decision = question.decision(pass) {
            keep(question.item, decision)
        }
    }

    mutating func settle(retrigger question: Question, attempt: Int, _ response: Response) {
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

    mutating func keep(_ item: WorkItem, _ decision: Decision) {
        decided.append((item, decision))
        if oldestDecision == nil { oldestDecision = .now }
        wiring.tell("job \(item.jobID): \(decision.outcome)")
    }

    // MARK: Writing

    mutating func recordIfDue(_ connection: borrowing Connection) throws {
        guard let oldest = oldestDecision else { return }
        let nothingElse = asking.isEmpty && waiting.isEmpty
        guard
            nothingElse || decided.count >= Self.batchSize
                || ContinuousClock.now - oldest >= Self.batchDelay
        else { return }
        try record(connection)
    }

    /// Settles what was decided: moves, credits and evidence of a few jobs in each transaction, then
    /// the providers' state, so that nobody waits for a provider's row with jobs and accounts locked.
    private mutating func record(_ connection: borrowing Connection) throws {
        try holdVoids(connection)
        while !decided.isEmpty {
            let batch = Array(decided.prefix(pace.size))
            let begun = ContinuousClock.now
            let results = try connection.repeatableStatement {
                try ledgerOfMoves.record(connection, batch.map(\.decision.move))
            }
            pace.note(batch.count, took: .now - begun)
            decided.removeFirst(batch.count)
            take(
                results, batch,
                Dictionary(
                    batch.map { ($0.item.jobID, $0.decision) },
                    uniquingKeysWith: { first, _ in first }))
        }
        oldestDecision = nil
        try noteAnswers(connection)
    }

    /// Writes down how the providers answered since the last time.
    private mutating func noteAnswers(_ connection: borrowing Connection) throws {
        var opened: [(String, Duration)] = []
        for (provider, tally) in tallies.sorted(by: { $0.key < $1.key }) {
            let pause = try connection.repeatableStatement {
                try limits.note(
                    connection, provider: provider, tally,
                    credentials: wiring.providers.provider(provider)?.settings.credentialName)
            }
            tallies[provider] = nil
            if let pause { opened.append((provider, pause)) }
        }
        for (provider, pause) in opened {
            leftAlone.insert(provider)
            report.add(
                .init(
                    code: "breaker_open",
                    message: "\(provider) is left alone for \(DurationText.describe(pause)) after "
                        + "too many failures in a row (policy breaker_failures)"
                        + (lastFailures[provider].map { "; the last: \($0)" } ?? "")
                        + "; its jobs keep their state", subject: provider),
                status: .unavailable)
        }
    }

    mutating func renewIfDue(_ connection: borrowing Connection) throws {
        guard ContinuousClock.now - lastRenewal >= wiring.run.lease / 4 else { return }
        lastRenewal = .now
        try claims.renew(connection, held)
    }

    /// Ends early: what was decided is written, every other lease is given back.
    ///
    /// A call to the application's trigger cannot be taken back. Its answer is waited for a while;
    /// without one it is a try that was not answered, so that nobody calls again before its time.
    mutating func giveBack(_ connection: borrowing Connection) throws {
        let questions = asking.filter { !$0.value.isTrigger }
        for tag in questions.keys {
            client?.cancel(tag: tag)
            asking[tag] = nil
        }
        let open =
            questions.values.map(\.item) + waiting.map(\.item)
            + unresolved.map(\.question.item) + unasked + lookedUp
        (waiting, unresolved, unasked, lookedUp) = ([], [], [], [])
        let until = ContinuousClock.now + Self.lastAnswers
        while !asking.isEmpty, .now < until { collect(wait: Self.bucketPause, connection) }
        let unanswered = Verdict(
            state: .unknown, errorClass: .transient,
            errorMessage: "had not answered when the run was stopped")
        for (tag, question) in asking {
            client?.cancel(tag: tag)
            settle(question, unanswered, status: nil, body: [])
        }
        asking = [:]
        if !decided.isEmpty { try record(connection) }
        try postpone(connection, heldUp)
        heldUp = []
        try claims.release(connection, open)
        report.examined -= open.count
    }

    /// Tells a person that a key does not work: at once where the provider's word can be taken, after
    /// a streak that opened the breaker where it refuses good ones now and then.
    mutating func noteRefusedCredentials() {
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
                    message: "\(name) refused our credentials \(count) times and never accepted "
                        + "them; check \(variables), and with the provider that the key is "
                        + "active; its jobs keep their state", subject: name),
                status: .configuration)
        }
    }
}
