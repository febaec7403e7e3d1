/// Who is played.
enum Area: String, Sendable, CaseIterable {
    case kie, kling, files, trigger
}

enum Provider: String, Sendable, CaseIterable {
    case kie, kling

    var area: Area {
        switch self {
        case .kie: .kie
        case .kling: .kling
        }
    }
}

enum Outcome: String, Sendable, CaseIterable {
    case succeed, fail, never
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
    /// 403 for every URL, also for a refreshed one: the provider has deleted the file.
    case expired
    case serverError = "server_error"
    case redirectPrivate = "redirect_private"
}

/// A task that a provider is playing, with the outcome it is going to have.
struct SimulatedTask: Sendable {
    let id: String
    let provider: Provider
    /// The provider's family, such as `market` or `image2video`.
    var endpoint: String
    var externalID: String?
    /// Milliseconds since 1970.
    var createdAt: Int64
    /// Milliseconds since 1970; the life of its URLs counts from here.
    var registeredAt: Int64
    var finishedAt: Int64?

    var outcome = Outcome.succeed
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
        self.cost = provider == .kie ? "70" : "2.5"
        // KIE's pages give 24 hours, Kling's 30 days.
        self.urlLifeSeconds = provider == .kie ? 86_400 : 2_592_000
        self.fileKind = Endpoint.isImage(endpoint, of: provider) ? .png : .mp4
    }

    /// The state that a healthy answer gives at `now`.
    func state(at now: Int64) -> State {
        guard runningPollsLeft == 0, now >= readyAt else { return .running }
        return switch outcome {
        case .succeed: .succeeded
        case .fail: .failed
        case .never: .running
        }
    }

    enum State: String, Sendable {
        case running, succeeded, failed
    }
}

/// The families of tasks that are played, and their paths.
enum Endpoint {
    static let market = "market"
    static let veo = "veo"

    private static let klingVideos = [
        "image2video", "text2video", "multi-image2video", "video-extend", "lip-sync", "effects",
        "motion-control", "omni-video",
    ]
    private static let klingImages = ["generations", "kolors-virtual-try-on"]

    static func all(of provider: Provider) -> [String] {
        switch provider {
        case .kie: [market, veo]
        case .kling: klingVideos + klingImages
        }
    }

    static func isImage(_ endpoint: String, of provider: Provider) -> Bool {
        provider == .kling && klingImages.contains(endpoint)
    }

    static func standard(of provider: Provider) -> String {
        switch provider {
        case .kie: market
        case .kling: "image2video"
        }
    }

    /// The Kling family that `/v1/<group>/<kind>` names, if there is such a one.
    static func kling(group: String, kind: String) -> String? {
        switch group {
        case "videos": klingVideos.contains(kind) ? kind : nil
        case "images": klingImages.contains(kind) ? kind : nil
        default: nil
        }
    }
}
