/// Who is played.
enum Provider: String, Sendable, CaseIterable, CustomStringConvertible {
    case kie, kling, replicate, fal, runway, luma, minimax
    case googleVeo = "google-veo"
    case seedance, wavespeed, piapi
    case openAIVideos = "openai-videos"

    var description: String { rawValue }

    var area: Area { .provider(self) }

    /// What its key is unless a flag says else.
    var standardKey: String { "simulator-\(self)-api-key" }

    /// What it signs its callbacks with, in its own form.
    var webhookSecret: String { "simulator-\(self)-webhook-secret" }

    /// What a task has cost, in the provider's unit; nil where answers do not tell.
    var standardCost: String? {
        switch self {
        case .kie: "70"
        case .kling: "2.5"
        case .replicate: "66.5"
        case .seedance: "108900"
        case .fal, .runway, .luma, .minimax, .googleVeo, .wavespeed, .piapi, .openAIVideos: nil
        }
    }

    /// How long result URLs work: as the provider's pages say, or a day where they do not.
    var urlLifeSeconds: Int64 {
        switch self {
        case .kling: 2_592_000
        case .wavespeed: 604_800
        case .googleVeo: 172_800
        case .kie, .runway, .seedance, .fal, .luma, .piapi: 86_400
        case .minimax: 32_400
        case .replicate, .openAIVideos: 3600
        }
    }

    /// Whether a URL is signed anew each time that the provider is asked for it.
    var signsAnew: Bool { self == .runway || self == .minimax }

    /// The outcomes that the provider has a word for.
    var outcomes: [Outcome] {
        switch self {
        case .minimax, .seedance: Outcome.allCases
        case .replicate, .runway: [.succeed, .fail, .never, .cancel]
        case .kie, .kling, .fal, .luma, .googleVeo, .wavespeed, .piapi, .openAIVideos:
            [.succeed, .fail, .never]
        }
    }

    /// How many files one task makes at most.
    var mostOutputs: Int {
        switch self {
        case .luma, .minimax, .seedance, .openAIVideos: 1
        case .kie, .kling, .replicate, .fal, .runway, .googleVeo, .wavespeed, .piapi: 1000
        }
    }
}

/// A part of what is played, which can be disturbed and counted by itself.
enum Area: Hashable, Sendable, RawRepresentable, CaseIterable {
    case provider(Provider)
    case files, trigger

    static let allCases = Provider.allCases.map { Area.provider($0) } + [.files, .trigger]

    var rawValue: String {
        switch self {
        case .provider(let provider): provider.rawValue
        case .files: "files"
        case .trigger: "trigger"
        }
    }

    init?(rawValue: String) {
        guard let area = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = area
    }

    /// The area that the first part of a path belongs to.
    init?(pathSegment: String?) {
        switch pathSegment {
        case "files", "moved": self = .files
        case "app": self = .trigger
        case let name?:
            guard let provider = Provider(rawValue: name) else { return nil }
            self = .provider(provider)
        case nil: return nil
        }
    }
}
