import Core
import HTTP
import Jobs
import Postgres
import Providers

/// A file whose source refused it, while its provider is asked for a fresh address.
struct Rescue {
    enum Question {
        /// The provider's own way to refresh an address.
        case refresh
        /// The task asked about again: its answer may name a fresh address.
        case poll(endpoint: String)
        /// The files of a task that an answer said has ended.
        case result(endpoint: String)
    }

    var landing: Landing
    var question: Question
    /// What the source had said.
    var reason: String
    /// The source's words can mean that the file is gone.
    var isGone: Bool
}

extension StorageMirror {
    /// After a refusal by the source: asks the provider for a fresh address, once; after a second
    /// refusal the file is lost, if the source's answers meant that it is gone.
    mutating func rescue(
        _ landing: Landing, _ reason: String, isGone: Bool, _ connection: borrowing Connection
    ) throws {
        landing.reset()
        guard !landing.wasRefreshed else {
            return isGone
                ? try giveUp(landing, reason, connection) : try putOff(landing, reason, connection)
        }
        try ask(
            Rescue(landing: landing, question: .refresh, reason: reason, isGone: isGone), connection
        )
    }

    private mutating func ask(_ rescue: Rescue, _ connection: borrowing Connection) throws {
        let item = rescue.landing.item
        guard let provider = wiring.providers.provider(item.provider), provider.isConfigured else {
            return try putOff(
                rescue.landing,
                rescue.reason + "; the provider is off, so it cannot be asked again",
                connection)
        }
        var rescue = rescue
        let now = wiring.wallClock()
        var request: Request?
        if case .refresh = rescue.question {
            request = try provider.refreshRequest(url: item.sourceURL, now: now)
        }
        if request == nil, let taskID = item.taskID {
            let endpoint =
                provider.endpoints(
                    for: TaskReference(
                        taskID: taskID, endpoint: item.endpoint, model: item.model, kind: item.kind)
                ).first ?? ""
            rescue.question = .poll(endpoint: endpoint)
            request = try provider.pollRequest(taskID: taskID, endpoint: endpoint, now: now)
        }
        guard let request else {
            // Nobody can be asked: the source's word stands.
            return rescue.isGone
                ? try giveUp(rescue.landing, rescue.reason, connection)
                : try putOff(rescue.landing, rescue.reason, connection)
        }
        try send(request, for: rescue, connection)
    }

    private mutating func send(
        _ request: Request, for rescue: Rescue, _ connection: borrowing Connection
    ) throws {
        let provider = rescue.landing.item.provider
        guard try limits.take(connection, provider: provider, wanted: 1) == 1 else {
            return try putOff(
                rescue.landing, rescue.reason + "; the provider's rate is used up", connection)
        }
        var request = request
        request.timeout = wiring.run.requestTimeout
        nextTag += 1
        rescues[nextTag] = rescue
        client?.start(request, tag: nextTag)
    }

    /// Goes on with what the provider said about a fresh address.
    mutating func take(
        _ rescue: Rescue, _ result: Result<Response, HTTPError>, _ connection: borrowing Connection
    ) throws {
        let item = rescue.landing.item
        guard let provider = wiring.providers.provider(item.provider) else { return }
        let response: Response
        switch result {
        case .success(let success): response = success
        case .failure(let error):
            return try putOff(
                rescue.landing, "\(rescue.reason); no fresh address: \(error.message)", connection)
        }
        let answer = Answer(response)
        switch rescue.question {
        case .refresh:
            switch provider.refreshedURL(answer) {
            case .url(let url, let life):
                try refetch(rescue.landing, url, life.map { item.now + $0 }, connection)
            case .refused:
                // The task itself may still name an address that works.
                var again = rescue
                again.question = .poll(endpoint: "")
                try ask(again, connection)
            case .transient(let message):
                try putOff(
                    rescue.landing, "\(rescue.reason); no fresh address: \(message)", connection)
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

    /// Fetches the file from where the task now says that it is, or takes the source at its word.
    private mutating func follow(
        _ verdict: Verdict, _ rescue: Rescue, _ connection: borrowing Connection
    ) throws {
        let ordinal = rescue.landing.item.ordinal
        if verdict.state == .succeeded, ordinal < verdict.resultURLs.count {
            try refetch(
                rescue.landing, verdict.resultURLs[ordinal], verdict.urlExpiresAt, connection)
        } else if verdict.isHealthy || verdict.errorClass == .final {
            rescue.isGone
                ? try giveUp(rescue.landing, rescue.reason, connection)
                : try putOff(rescue.landing, rescue.reason, connection)
        } else {
            try putOff(
                rescue.landing,
                "\(rescue.reason); no fresh address: "
                    + (verdict.errorMessage ?? "the provider gave no clear answer"),
                connection)
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
    private mutating func giveUp(
        _ landing: Landing, _ reason: String, _ connection: borrowing Connection
    ) throws {
        try record(connection, [FileStep(landing.item, .lost(message: reason))], "lost")
        report.add(
            .init(
                jobID: landing.item.jobID, code: "file_lost",
                message: "file \(landing.item.ordinal) is gone at the provider: \(reason)"),
            status: .needsPerson)
    }
}
