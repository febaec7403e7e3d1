enum Outcome: String, Sendable, CaseIterable {
    case succeed, fail, never, cancel, expire
}

/// How an answer about a task is disfigured.
enum Shape: String, Sendable, CaseIterable {
    case normal, array, html, empty
    case arrayWithNeighbours = "array_with_neighbours"
    case arrayWithoutMatch = "array_without_match"
    case dataString = "data_string"
    case noURLs = "no_urls"
    case unknownState = "unknown_state"
    case cutJSON = "cut_json"
    case duplicateKeys = "duplicate_keys"
    case otherTask = "other_task"

    /// Whether the answer still says something about the task; only such answers are counted as
    /// healthy and use up `polls_until_done`.
    var saysSomething: Bool {
        switch self {
        case .normal, .array, .arrayWithNeighbours, .dataString, .noURLs: true
        case .html, .empty, .arrayWithoutMatch, .unknownState, .cutJSON, .duplicateKeys,
            .otherTask:
            false
        }
    }
}

enum FileKind: String, Sendable, CaseIterable {
    case mp4, png, jpg, mp3

    var mediaType: String {
        switch self {
        case .mp4: "video/mp4"
        case .png: "image/png"
        case .jpg: "image/jpeg"
        case .mp3: "audio/mpeg"
        }
    }
}

/// What goes wrong with a result file.
enum FileFault: String, Sendable, CaseIterable {
    case none, gone, slow, cut, html, hang, empty, redirect
    /// A video in a format that nobody was promised.
    case avi
    /// 403 for every URL, also for a refreshed one: the provider has deleted the file.
    case expired
    case serverError = "server_error"
    /// To the store on another host.
    case redirectElsewhere = "redirect_elsewhere"
    case redirectPrivate = "redirect_private"
}

/// A task that a provider is playing, with the outcome it is going to have.
struct SimulatedTask: Sendable {
    let id: String
    let provider: Provider
    /// The provider's family, such as `market` or `image2video`.
    var endpoint: String
    var externalID: String?
    /// Where the application wants to be called back.
    var callbackURL: String?
    /// Milliseconds since 1970.
    var createdAt: Int64
    /// Milliseconds since 1970; the life of its URLs counts from here.
    var registeredAt: Int64
    var finishedAt: Int64?

    var outcome = Outcome.succeed
    var pendingPollsLeft = 0
    var runningPollsLeft = 0
    var readyAt = Int64(0)
    var message = "Generation failed, please try again later"
    var cost: String?

    var outputs = 1
    var fileBytes = 4096
    var fileKind: FileKind
    var fileFault = FileFault.none
    var fileWaitMilliseconds: Int?
    var filesExpired = false
    var refreshable = true
    var urlLifeSeconds: Int64

    var shape = Shape.normal
    /// How many more polls are answered in `shape`; nil for all of them.
    var shapePollsLeft: Int?

    init(id: String, provider: Provider, endpoint: String, now: Int64) {
        self.id = id
        self.provider = provider
        self.endpoint = endpoint
        self.createdAt = now
        self.registeredAt = now
        self.cost = provider.standardCost
        self.urlLifeSeconds = provider.urlLifeSeconds
        self.fileKind = Endpoint.isImage(endpoint, of: provider) ? .png : .mp4
    }

    /// The state that a healthy answer gives at `now`.
    func state(at now: Int64) -> State {
        guard pendingPollsLeft == 0 else { return .pending }
        guard runningPollsLeft == 0, now >= readyAt else { return .running }
        return switch outcome {
        case .succeed: .succeeded
        case .fail: .failed
        case .never: .running
        case .cancel: .cancelled
        case .expire: .expired
        }
    }

    /// Whether its files are gone at `now`, or their URLs refused.
    func filesAreExpired(at now: Int64) -> Bool {
        filesExpired || now / 1000 >= registeredAt / 1000 + urlLifeSeconds
    }

    enum State: String, Sendable {
        case pending, running, succeeded, failed, cancelled, expired

        /// Whether nothing is going to change any more.
        var isFinal: Bool { self != .pending && self != .running }
    }
}
