/// What a request to a provider wants.
enum Intent: Sendable {
    case poll(endpoint: String, id: String)
    /// The second request of a provider that tells the end and the files apart.
    case result(endpoint: String, id: String)
    /// A file that the provider itself hands out.
    case content(id: String, ordinal: Int)
    case list(endpoint: String)
    case create(endpoint: String)
    case refresh
    case credit
    /// The keys that callbacks are signed with.
    case keys
    case unknown

    var step: Step? {
        switch self {
        case .poll: .poll
        case .result: .result
        case .content: .content
        case .list: .list
        case .create, .refresh, .credit, .keys, .unknown: nil
        }
    }
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
    /// The body of the callback about a task; nil where the provider sends none.
    func callback(_ poll: Poll) -> JSONText?
}

extension Provider {
    func play(_ world: World) -> any Play {
        switch self {
        case .kie: KIEPlay(world: world)
        case .kling: KlingPlay(world: world)
        case .replicate: ReplicatePlay(world: world)
        case .fal: FalPlay(world: world)
        case .runway: RunwayPlay(world: world)
        case .luma: LumaPlay(world: world)
        case .minimax: MiniMaxPlay(world: world)
        case .googleVeo: GoogleVeoPlay(world: world)
        case .seedance: SeedancePlay(world: world)
        case .wavespeed: WaveSpeedPlay(world: world)
        case .piapi: PiAPIPlay(world: world)
        case .openAIVideos: OpenAIVideosPlay(world: world)
        }
    }
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
