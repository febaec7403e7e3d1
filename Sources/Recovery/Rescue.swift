import Core
import HTTP
import Jobs
import Postgres
import Providers
import Storage

/// Files of one job whose source refused them, while their provider is asked for fresh addresses.
struct Rescue {
    enum Question: Equatable {
        /// The provider's own way to refresh one address.
        case refresh
        /// The task asked about again: its answer may name fresh addresses, of all its files.
        case poll(endpoint: String)
        /// The files of a task that an answer said has ended.
        case result(endpoint: String)
    }

    /// More than one only where the answer is about all of them.
    var landings: [Landing]
    var question: Question

    /// What is asked about; the same for all.
    var item: FileItem { landings[0].item }
}

extension StorageMirror {
    /// After a refusal by the source: asks the provider for a fresh address, once; after a second
    /// refusal the file is lost, if the source's answers meant that it is gone.
    mutating func rescue(
        _ landing: Landing, _ reason: String, isGone: Bool, _ connection: borrowing Connection
    ) throws {
        if !landing.canResume { landing.reset() }
        landing.refusal = (reason, isGone)
        guard !landing.wasRefreshed else { return try believe(landing, connection) }
        try ask(landing, mayRefresh: true, connection)
    }

    /// Takes the source at its word: the file is gone, or it is put off.
    private mutating func believe(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws {
        landing.refusal.isGone
            ? try giveUp(landing, connection)
            : try putOff(landing, landing.refusal.reason, connection)
    }

    private mutating func ask(
        _ landing: Landing, mayRefresh: Bool, _ connection: borrowing Connection
    ) throws {
        let item = landing.item
        guard let provider = wiring.providers.provider(item.provider), provider.isConfigured else {
            return try putOff(
                landing,
                landing.refusal.reason + "; the provider is off, so it cannot be asked again",
                connection)
        }
        let now = wiring.wallClock()
        if mayRefresh, let request = try provider.refreshRequest(url: item.sourceURL, now: now) {
            return try send(
                request, for: Rescue(landings: [landing], question: .refresh), connection)
        }
        // Nobody to be asked about it: the source's word stands.
        guard let taskID = item.taskID else { return try believe(landing, connection) }
        if let tag = rescues.first(where: { $0.value.covers(item) })?.key {
            rescues[tag]?.landings.append(landing)
            return
        }
        if let place = waitingRescues.firstIndex(where: { $0.rescue.covers(item) }) {
            waitingRescues[place].rescue.landings.append(landing)
            return
        }
        let endpoint =
            provider.endpoints(
                for: TaskReference(
                    taskID: taskID, endpoint: item.endpoint, model: item.model, kind: item.kind)
            ).first ?? ""
        try send(
            provider.pollRequest(taskID: taskID, endpoint: endpoint, now: now),
            for: Rescue(landings: [landing], question: .poll(endpoint: endpoint)),
            connection)
    }

    /// Addresses that end within this time may use what is kept of the provider's rate.
    private static let urgentWithin = Duration.seconds(3600)

    private mutating func send(
        _ request: Request, for rescue: Rescue, _ connection: borrowing Connection
    ) throws {
        let item = rescue.item
        // An address that nobody knows the end of may end now.
        let isUrgent = (item.sourceExpiresAt ?? item.now) <= item.now + Self.urgentWithin
        let taken = try limits.take(
            connection, provider: item.provider, wanted: 1, isUrgent: isUrgent)
        switch taken {
        case nil: try putOff(rescue, "the provider is left alone for now", connection)
        case 0 where isWithinBudget: waitingRescues.append((rescue, request))
        case 0: try putOff(rescue, "the provider's rate is used up", connection)
        default:
            var request = request
            request.timeout = wiring.run.requestTimeout
            rescues[session.start(request)] = rescue
        }
    }

    /// The pause before another look at a bucket that was empty.
    private static let bucketPause = Duration.milliseconds(100)

    /// Asks what had to wait, as far as the providers' rates allow: that a rate was used up is no
    /// failure of a file.
    mutating func startWaiting(_ connection: borrowing Connection) throws {
        guard !waitingRescues.isEmpty, ContinuousClock.now >= nextRescue else { return }
        nextRescue = .now + Self.bucketPause
        let all = waitingRescues
        waitingRescues = []
        var emptied: Set<String> = []
        for (rescue, request) in all {
            if isWithinBudget, emptied.contains(rescue.item.provider) {
                waitingRescues.append((rescue, request))
                continue
            }
            let before = waitingRescues.count
            try send(request, for: rescue, connection)
            if waitingRescues.count > before { emptied.insert(rescue.item.provider) }
        }
    }

    private mutating func putOff(
        _ rescue: Rescue, _ message: String, _ connection: borrowing Connection
    ) throws {
        for landing in rescue.landings {
            try putOff(landing, "\(landing.refusal.reason); \(message)", connection)
        }
    }

    /// Goes on with what the provider said about fresh addresses.
    mutating func take(
        _ rescue: Rescue, _ result: Result<Response, HTTPError>, _ connection: borrowing Connection
    ) throws {
        let item = rescue.item
        guard let provider = wiring.providers.provider(item.provider) else { return }
        let response: Response
        switch result {
        case .success(let success): response = success
        case .failure(let error):
            return try putOff(rescue, "no fresh address: \(error.message)", connection)
        }
        let answer = Answer(response)
        switch rescue.question {
        case .refresh:
            switch provider.refreshedURL(answer) {
            case .url(let url, let life):
                try refetch(rescue.landings[0], url, life.map { item.now + $0 }, connection)
            case .refused:
                // The task itself may still name an address that works.
                try ask(rescue.landings[0], mayRefresh: false, connection)
            case .transient(let message):
                try putOff(rescue, "no fresh address: \(message)", connection)
            }
        case .poll(let endpoint):
            let now = wiring.wallClock()
            let verdict = provider.verdict(
                answer, askedTaskID: item.taskID, endpoint: endpoint, kind: .poll, now: now)
            if verdict.isHealthy, let taskID = item.taskID,
                let request = try provider.resultRequest(
                    after: answer, taskID: taskID, endpoint: endpoint, now: now)
            {
                var again = rescue
                again.question = .result(endpoint: endpoint)
                try send(request, for: again, connection)
            } else {
                try follow(verdict, rescue, connection)
            }
        case .result(let endpoint):
            let verdict = provider.verdict(
                answer, askedTaskID: item.taskID, endpoint: endpoint, kind: .result,
                now: wiring.wallClock())
            try follow(verdict, rescue, connection)
        }
    }

    /// Fetches the files from where the task now says that they are, or takes the source at its word.
    private mutating func follow(
        _ verdict: Verdict, _ rescue: Rescue, _ connection: borrowing Connection
    ) throws {
        for landing in rescue.landings {
            let ordinal = landing.item.ordinal
            if verdict.state == .succeeded, ordinal < verdict.resultURLs.count {
                try refetch(
                    landing, verdict.resultURLs[ordinal], verdict.urlExpiresAt, connection)
            } else if verdict.isHealthy || verdict.errorClass == .final {
                try believe(landing, connection)
            } else {
                let why = verdict.errorMessage ?? "the provider gave no clear answer"
                try putOff(
                    landing, "\(landing.refusal.reason); no fresh address: \(why)", connection)
            }
        }
    }

    private mutating func refetch(
        _ landing: Landing, _ url: String, _ expiresAt: Instant?, _ connection: borrowing Connection
    ) throws {
        landing.wasRefreshed = true
        let step = FileStep(landing.item, .refreshed(url: url, expiresAt: expiresAt))
        landing.item.sourceURL = url
        landing.item.sourceExpiresAt = expiresAt
        try record(connection, [step], "refreshed")
        fetch(landing)
    }

    /// The file is lost: the store has no complete object for it, and the source said so twice.
    mutating func giveUp(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws {
        let reason = landing.refusal.reason
        landing.upload?.cancel()
        // Whoever accepts a file gives nothing up by that.
        guard acceptance == nil else {
            return try refuse(landing, "source_gone", reason, connection)
        }
        guard landing.wasSought else { return seek(landing) }
        try record(connection, [FileStep(landing.item, .lost(message: reason))], "lost")
        report.add(
            .init(
                jobID: landing.item.jobID, code: "file_lost",
                message: "file \(landing.item.ordinal) is gone at the provider: \(reason)"),
            status: .needsPerson)
    }
}

extension Rescue {
    /// Whether the answer that is awaited is about this file too.
    fileprivate func covers(_ item: FileItem) -> Bool {
        question != .refresh && self.item.jobID == item.jobID && self.item.taskID == item.taskID
    }
}
