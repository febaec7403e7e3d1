/// What a test asked to go wrong for an area, or for one task in it.
struct Fault: Sendable {
    var unauthorizedRate = 0.0
    var rateLimitedRate = 0.0
    var serverErrorRate = 0.0
    var hangRate = 0.0
    var cutRate = 0.0
    var retryAfterSeconds: Int?
    var hangMilliseconds = 60_000
    var delayMilliseconds = 0
    var down = false
    /// How many more requests it applies to; nil for all.
    var left: Int?

    /// The trouble that a draw from 0 to 1 means: the rates lie one after another.
    func trouble(_ draw: Double, variety: UInt64) -> Trouble? {
        if down { return .refuse }
        var edge = unauthorizedRate
        if draw < edge { return .unauthorized }
        edge += rateLimitedRate
        if draw < edge { return .rateLimited(retryAfterSeconds: retryAfterSeconds) }
        edge += serverErrorRate
        if draw < edge { return .serverError(variety: Int(variety % 3)) }
        edge += hangRate
        if draw < edge { return .hang(milliseconds: hangMilliseconds) }
        edge += cutRate
        return draw < edge ? .cut : nil
    }
}

struct FaultScope: Hashable, Sendable {
    /// Nil for all areas.
    var area: Area?
    /// Nil for all tasks.
    var taskID: String?
    /// Nil for all that is asked of a provider.
    var step: Step?

    /// Every scope that a request falls into, the most specific first.
    static func all(_ area: Area, subjects: [String], step: Step?) -> [FaultScope] {
        let tasks = subjects.map { Optional($0) } + [nil]
        let steps = step.map { [$0, nil] } ?? [nil]
        return tasks.flatMap { task in
            steps.flatMap { step in
                [area, nil].map { FaultScope(area: $0, taskID: task, step: step) }
            }
        }
    }
}

/// What is asked of a provider.
enum Step: String, Sendable, CaseIterable {
    case poll
    /// The second request of a provider that tells the end and the files apart.
    case result
    case list
    /// A file that the provider itself hands out.
    case content
}

/// What happens to one request.
enum Trouble: Sendable, Equatable {
    case refuse
    case unauthorized
    case rateLimited(retryAfterSeconds: Int?)
    case serverError(variety: Int)
    case hang(milliseconds: Int)
    case cut

    var name: String {
        switch self {
        case .refuse: "refused"
        case .unauthorized: "unauthorized"
        case .rateLimited: "rate_limited"
        case .serverError: "server_error"
        case .hang: "hung"
        case .cut: "cut"
        }
    }

    /// Whether the request is carried out although the client does not learn of it.
    var isSilent: Bool {
        switch self {
        case .hang, .cut: true
        case .refuse, .unauthorized, .rateLimited, .serverError: false
        }
    }
}
