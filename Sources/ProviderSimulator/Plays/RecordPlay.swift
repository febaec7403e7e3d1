/// A provider that has one JSON record for each task, the same in polls, lists and callbacks.
///
/// Such a play says where its tasks are and what its answers look like. Keys, troubles, odd shapes
/// and files behind a key are common to all of them.
protocol RecordPlay: Play {
    static var provider: Provider { get }
    /// The header that its key comes in, in lower case, and what stands before the key there.
    static var keyHeader: (name: String, prefix: String) { get }

    /// What the provider says about one task.
    func record(_ poll: Poll) -> JSONText
    /// Puts a record into the provider's outer object.
    func envelope(_ record: JSONText) -> JSONText
    /// A refusal in the provider's own shape; the words in it are made up.
    func refused(_ status: Int, _ message: String) -> Response
    /// The answer to a poll.
    func answer(_ poll: Poll) -> Response
    /// The answer to the second request of a provider that has one.
    func result(_ poll: Poll) -> Response
    /// The page of a list that a request asks for.
    func page(_ polls: [Poll], _ request: Request) -> Response
    /// A file that the provider itself hands out, with whatever goes wrong with it.
    func content(_ task: SimulatedTask, ordinal: Int) -> Response
    /// The keys that callbacks are signed with, where they are published.
    var keySet: Response { get }
}

extension RecordPlay {
    static var keyHeader: (name: String, prefix: String) { ("authorization", "Bearer ") }

    func envelope(_ record: JSONText) -> JSONText { record }

    func answer(_ poll: Poll) -> Response {
        poll.response(world: world, envelope: { envelope($0) }, data: { record($0) })
    }

    func result(_ poll: Poll) -> Response { notFound }

    func page(_ polls: [Poll], _ request: Request) -> Response { notFound }

    func content(_ task: SimulatedTask, ordinal: Int) -> Response {
        FilesPlay(world: world).faulty(task, ordinal, query: nil)
    }

    func callback(_ poll: Poll) -> JSONText? { record(poll) }

    var keySet: Response { notFound }

    var notFound: Response { refused(404, "Not found") }

    func holdsKey(_ request: Request) -> Bool {
        let (name, prefix) = Self.keyHeader
        return request.headers[name] == prefix + world.credentials.apiKey(Self.provider)
    }

    func refusal(_ request: Request) -> (response: Response, isUnauthorized: Bool)? {
        holdsKey(request) ? nil : (refused(401, "Invalid API key"), true)
    }

    func response(to trouble: Trouble) -> Response {
        switch trouble {
        case .unauthorized: refused(401, "Invalid API key")
        case .rateLimited: refused(429, "Request was throttled, please try again later")
        case .serverError(variety: 0): refused(500, "Internal server error")
        case .serverError(variety: 1): refused(503, "Service temporarily unavailable")
        case .serverError, .refuse, .hang, .cut: .badGateway
        }
    }

    func perform(_ intent: Intent, _ request: Request, trouble: Trouble?) -> Response {
        switch intent {
        case .poll(let endpoint, let id):
            return world.poll(id, provider: Self.provider, endpoint: endpoint, trouble: trouble)
                .map { answer($0) } ?? notFound
        case .result(let endpoint, let id):
            let task = world.read { $0.find(id, provider: Self.provider, endpoint: endpoint) }
            return task.map { result(world.glance($0)) } ?? notFound
        case .content(let id, let ordinal):
            return file(id, ordinal)
        case .list(let endpoint):
            return page(world.listed(Self.provider, endpoint), request)
        case .keys:
            return keySet
        case .create, .refresh, .credit, .unknown:
            return notFound
        }
    }

    private func file(_ id: String, _ ordinal: Int) -> Response {
        let now = Clock.milliseconds()
        guard let task = world.read({ $0.tasks[id] }), task.provider == Self.provider,
            task.state(at: now) == .succeeded,
            (0..<task.outputs).contains(ordinal)
        else { return notFound }
        guard !task.filesAreExpired(at: now) else { return refused(404, "The file has expired") }
        return content(task, ordinal: ordinal)
    }
}
