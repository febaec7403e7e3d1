/// One answer about one task: the task as it was at that moment, and what the answer says of it.
struct Poll: Sendable {
    var task: SimulatedTask
    var state: SimulatedTask.State
    var shape: Shape
    /// The result URLs, when the answer is a success that gives them.
    var urls: [String]

    /// The moment of the last change, in milliseconds since 1970.
    var updatedAt: Int64 { task.finishedAt ?? task.registeredAt }

    /// An id close to the task's own: equal to it as a floating-point number when it is a long
    /// number.
    func neighbourID(_ distance: UInt8) -> String {
        var digits = Array(task.id.utf8)
        guard let last = digits.popLast() else { return "neighbour" }
        let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last)
        let zero = UInt8(ascii: "0")
        digits.append(isDigit ? zero + (last - zero + distance) % 10 : zero + distance)
        return String(decoding: digits, as: UTF8.self)
    }

    /// The same poll as if it were about another task, which succeeded.
    func neighbour(_ distance: UInt8, _ state: SimulatedTask.State, world: World) -> Poll {
        let id = neighbourID(distance)
        var other = SimulatedTask(
            id: id, provider: task.provider, endpoint: task.endpoint, now: task.registeredAt)
        other.externalID = task.externalID.map { $0 + "-\(distance)" }
        other.message = "risk control"
        let urls =
            state == .succeeded ? [world.url(of: other, ordinal: 0, now: task.registeredAt)] : []
        return Poll(task: other, state: state, shape: .normal, urls: urls)
    }

    /// Wraps what the provider says about single tasks into the body that the shape asks for.
    ///
    /// - Parameters:
    ///   - envelope: puts the value of `data` into the provider's outer object.
    ///   - data: what the provider says about one task.
    func response(
        world: World, envelope: (JSONText) -> JSONText, data: (Poll) -> JSONText
    ) -> Response {
        switch shape {
        case .normal, .noURLs, .unknownState, .duplicateKeys:
            return .json(envelope(data(self)))
        case .array:
            return .json(envelope(.array([data(self)])))
        case .arrayWithNeighbours, .arrayWithoutMatch:
            var elements = [data(neighbour(1, .succeeded, world: world))]
            if shape == .arrayWithNeighbours { elements.append(data(self)) }
            elements.append(data(neighbour(2, .failed, world: world)))
            return .json(envelope(.array(elements)))
        case .dataString:
            return .json(envelope(.text(data(self).string)))
        case .otherTask:
            return .json(envelope(data(neighbour(1, .succeeded, world: world))))
        case .cutJSON:
            let bytes = envelope(data(self)).bytes
            return Response(
                status: 200, headers: [("Content-Type", "application/json")],
                body: .bytes(Array(bytes[..<(bytes.count * 3 / 5)])))
        case .html:
            return .text(
                "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>"
                    + "<h1>We will be back soon</h1></body></html>",
                type: "text/html; charset=utf-8", status: 200)
        case .empty:
            return Response(status: 200, body: .bytes([]))
        }
    }
}

extension World.State {
    /// Answers one poll: counts it, uses up what a healthy answer uses up, and returns what to say.
    ///
    /// - Parameter delivered: whether the client is going to see the answer.
    mutating func poll(
        _ task: SimulatedTask, now: Int64, delivered: Bool
    ) -> (task: SimulatedTask, state: SimulatedTask.State, shape: Shape) {
        var task = task
        let shape = task.shapePollsLeft == 0 ? .normal : task.shape
        let state = task.state(at: now)
        guard delivered else { return (task, state, shape) }
        if let left = task.shapePollsLeft, left > 0 { task.shapePollsLeft = left - 1 }
        if shape.saysSomething {
            counts.healthyPolls["\(task.provider):\(task.id)", default: 0] += 1
            if task.pendingPollsLeft > 0 {
                task.pendingPollsLeft -= 1
            } else if task.runningPollsLeft > 0 {
                task.runningPollsLeft -= 1
            }
        }
        if state.isFinal && task.finishedAt == nil { task.finishedAt = now }
        tasks[task.id] = task
        return (task, state, shape)
    }
}

extension World {
    /// Looks the task up and answers one poll of it; nil when the family does not know the id.
    func poll(
        _ id: String, provider: Provider, endpoint: String, trouble: Trouble?
    ) -> Poll? {
        let now = Clock.milliseconds()
        let answered = change { state -> (SimulatedTask, SimulatedTask.State, Shape)? in
            guard let task = state.find(id, provider: provider, endpoint: endpoint) else {
                return nil
            }
            return state.poll(task, now: now, delivered: trouble?.isSilent != true)
        }
        guard let (task, state, shape) = answered else { return nil }
        return Poll(
            task: task, state: state, shape: shape,
            urls: shape == .noURLs ? [] : urls(task, state, now: now))
    }

    /// What a poll would say, without being one: nothing is counted or used up.
    func glance(_ task: SimulatedTask) -> Poll {
        let now = Clock.milliseconds()
        let state = task.state(at: now)
        // An answer without files is one whichever way it is asked for; other shapes are the poll's.
        let shape = task.shape == .noURLs && task.shapePollsLeft != 0 ? task.shape : .normal
        return Poll(
            task: task, state: state, shape: shape,
            urls: shape == .noURLs ? [] : urls(task, state, now: now))
    }

    private func urls(
        _ task: SimulatedTask, _ state: SimulatedTask.State, now: Int64
    ) -> [String] {
        guard state == .succeeded else { return [] }
        return (0..<task.outputs).map { url(of: task, ordinal: $0, now: now) }
    }
}
