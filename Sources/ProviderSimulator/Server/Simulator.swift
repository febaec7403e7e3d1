import Crypto
import Foundation

/// Sends each request to whoever plays its part, with the troubles that tests asked for.
struct Simulator: Sendable {
    let world: World
    private let control: Control

    init(world: World) {
        self.world = world
        self.control = Control(world: world)
    }

    /// A request between its arrival and the last byte of its answer.
    struct Flight: Sendable {
        /// Nil for control requests, which are neither counted nor disturbed.
        var area: Area?
        var arrivedAt: Int64
    }

    func enter(_ request: Request) -> Flight {
        let area = Area(pathSegment: request.segments.first)
        let now = Clock.milliseconds()
        guard let area else { return Flight(area: nil, arrivedAt: now) }
        world.change { state in
            state.counts.requests[area.rawValue, default: 0] += 1
            let count = state.counts.inFlight[area.rawValue, default: 0] + 1
            state.counts.inFlight[area.rawValue] = count
            let most = state.counts.maxInFlight[area.rawValue, default: 0]
            state.counts.maxInFlight[area.rawValue] = max(most, count)
        }
        return Flight(area: area, arrivedAt: now)
    }

    /// Ends a flight; once more does nothing.
    func leave(_ flight: inout Flight) {
        guard let area = flight.area else { return }
        flight.area = nil
        world.change { $0.counts.inFlight[area.rawValue, default: 1] -= 1 }
    }

    func answer(_ request: Request, flight: Flight) -> Response {
        guard let area = flight.area else {
            guard request.segments.first == "control" else {
                return .json(.object([("error", .text("no such place"))]), status: 404)
            }
            return control.answer(request)
        }
        let response =
            switch area {
            case .provider(let provider): played(provider, request)
            case .files: file(request)
            case .trigger: trigger(request)
            }
        record(request, flight: flight, response: response)
        return response
    }

    private func played(_ provider: Provider, _ request: Request) -> Response {
        let play = provider.play(world)
        let intent = play.intent(request)
        let (trouble, delay) = world.change { state in
            state.arrive(provider, intent)
            return state.meet(
                provider.area, subjects: state.subjects(provider, intent), step: intent.step)
        }
        var response: Response
        if trouble == .refuse {
            response = .refused
        } else if let (refusal, isUnauthorized) = play.refusal(request) {
            if isUnauthorized { count(unauthorized: provider.area) }
            response = refusal
        } else if let trouble, !trouble.isSilent {
            if trouble == .unauthorized { count(unauthorized: provider.area) }
            response = play.response(to: trouble)
        } else {
            response = play.perform(intent, request, trouble: trouble)
        }
        response.suffer(trouble, delay: delay)
        return response
    }

    private func count(unauthorized area: Area) {
        world.change { $0.counts.unauthorized[area.rawValue, default: 0] += 1 }
    }

    private func file(_ request: Request) -> Response {
        let subjects = FilesPlay.taskID(request).map { [$0] } ?? []
        let (trouble, delay) = world.change { $0.meet(.files, subjects: subjects) }
        var response = FilesPlay(world: world).answer(request, trouble: trouble)
        response.suffer(trouble, delay: delay)
        return response
    }

    private func trigger(_ request: Request) -> Response {
        let subjects = TriggerPlay.jobID(request).map { [$0] } ?? []
        let (trouble, delay) = world.change { $0.meet(.trigger, subjects: subjects) }
        var response = TriggerPlay(world: world).answer(request, trouble: trouble)
        response.suffer(trouble, delay: delay)
        return response
    }

    /// Every header that any provider takes its key in.
    private static let credentialHeaders = ["authorization", "x-api-key", "x-goog-api-key"]

    private func record(_ request: Request, flight: Flight, response: Response) {
        let authorization = Self.credentialHeaders.lazy.compactMap { request.headers[$0] }.first.map
        {
            hex(Array(SHA256.hash(data: Data($0.utf8))).prefix(8))
        }
        let record = RequestRecord(
            at: flight.arrivedAt, method: request.method, path: request.path,
            host: request.headers["host"],
            authorization: authorization, userAgent: request.headers["user-agent"],
            status: response.loggedStatus)
        world.change { state in
            state.remember(record)
            guard let area = flight.area, let authorization else { return }
            state.counts.authorizations[area.rawValue, default: []].insert(authorization)
        }
    }
}

extension World.State {
    /// Counts a provider's request before anything can go wrong with it.
    fileprivate mutating func arrive(_ provider: Provider, _ intent: Intent) {
        switch intent {
        case .poll(let endpoint, let id):
            counts.pollTotal[provider.rawValue, default: 0] += 1
            let isTask = tasks[id] != nil
            let isKnown = isTask || find(id, provider: provider, endpoint: endpoint) != nil
            // An id that nobody knows may be meant as either.
            if isTask || !isKnown { counts.polls["\(provider):\(id)", default: 0] += 1 }
            if !isTask && provider == .kling {
                counts.lookups["\(provider):\(id)", default: 0] += 1
            }
        case .result(_, let id):
            counts.results["\(provider):\(id)", default: 0] += 1
        case .list(let endpoint):
            counts.lists["\(provider):\(endpoint)", default: 0] += 1
        case .create:
            counts.creates[provider.rawValue, default: 0] += 1
        case .content(let id, let ordinal):
            counts.files["\(id)/\(ordinal)", default: 0] += 1
        case .keys, .refresh, .credit, .unknown:
            break
        }
    }

    /// The ids by which faults may be meant for this request: as asked, and the task's own.
    fileprivate func subjects(_ provider: Provider, _ intent: Intent) -> [String] {
        if case .result(_, let id) = intent { return [id] }
        if case .content(let id, _) = intent { return [id] }
        guard case .poll(let endpoint, let id) = intent else { return [] }
        let own = find(id, provider: provider, endpoint: endpoint)?.id
        return own == id || own == nil ? [id] : [id] + [own].compactMap { $0 }
    }
}

extension Response {
    /// Puts on the answer what the trouble does to it on its way.
    fileprivate mutating func suffer(_ trouble: Trouble?, delay: Int) {
        delayMilliseconds = delay
        switch trouble {
        case .hang(let milliseconds): manner = .hang(milliseconds: milliseconds)
        case .cut: manner = .cut
        case .rateLimited(let seconds):
            if status == 429, let seconds {
                headers.append((name: "Retry-After", value: String(seconds)))
            }
        case .refuse, .unauthorized, .serverError, nil: break
        }
    }
}
