/// What a request to a provider wants.
enum Intent: Sendable {
    case poll(endpoint: String, id: String)
    case list(endpoint: String)
    case create(endpoint: String)
    case refresh
    case credit
    case unknown
}

/// One provider as it is played.
protocol Play: Sendable {
    var world: World { get }
    func intent(_ request: Request) -> Intent
    /// What the provider says to wrong credentials; nil when they are right.
    func refusal(_ request: Request) -> (response: Response, isUnauthorized: Bool)?
    /// How the provider words a trouble that a test asked for.
    func response(to trouble: Trouble) -> Response
    /// Carries the request out; with a silent trouble the client does not learn of it.
    func perform(_ intent: Intent, _ request: Request, trouble: Trouble?) -> Response
}

extension Play {
    /// Makes the task that a provider's own create call asked for, as the order for new tasks
    /// says; nil when that order does not fit the family.
    func create(provider: Provider, endpoint: String, externalID: String?) -> SimulatedTask? {
        let now = Clock.milliseconds()
        return world.change { state in
            var order = state.creation
            order.provider = provider
            order.endpoint = endpoint
            order.taskID = nil
            order.externalID = externalID
            return try? order.carryOut(in: &state, now: now)
        }
    }
}
