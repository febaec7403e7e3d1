import Foundation

/// The tests' side of the simulator: everything under `/control`, in JSON.
///
/// - `GET health`
/// - `GET counts`: what has been asked so far; a request counts when it arrives, whatever happens
///   to it. `polls` are by task id, `lookups` by our own id; an id that nobody knows is in both.
/// - `GET requests?limit=N`: the last N, oldest first; status 0 means that none was answered.
/// - `GET tasks/ID`: the task, and its files as they must arrive.
/// - `POST tasks`: one `TaskOrder` or an array; all of it or, when one is wrong, nothing.
/// - `POST faults`: one `FaultOrder` or an array.
/// - `POST creations`: a `TaskOrder` without ids: what tasks become that a provider's own create
///   call makes from now on.
/// - `POST lists`: a `page_limit`, the most lines of a page that has a cursor; none lifts it.
/// - `POST callbacks`: a `CallbackOrder`: sends the callback about a task, or only tells it.
/// - `POST trigger`: the `header` and the `secret` of the application's endpoint.
/// - `POST reset`: forgets everything but the flags.
struct Control: Sendable {
    let world: World

    func answer(_ request: Request) -> Response {
        do {
            return try route(request)
        } catch let error as ControlError {
            return Self.refusal(error)
        } catch {
            return Self.refusal(ControlError(field: "", reason: "the body is not JSON"))
        }
    }

    private static func refusal(_ error: ControlError) -> Response {
        let field = error.field.split(separator: ".").last.map(String.init)
        return .json(
            .object([("error", .text(error.description)), ("field", .text(orNull: field))]),
            status: 400)
    }

    private static let done = Response.json(.object([("ok", .bool(true))]))

    private func route(_ request: Request) throws -> Response {
        let segments = request.segments.dropFirst()
        switch (request.method, segments.first, segments.count) {
        case ("GET", "health", 1):
            return Self.done
        case ("GET", "counts", 1):
            return .json(world.read { $0.counts.json })
        case ("GET", "requests", 1):
            let limit = request.query("limit").flatMap { Int($0) } ?? 100
            let records = world.read { $0.log.suffix(max(limit, 0)) }
            return .json(.object([("requests", .array(records.map(\.json)))]))
        case ("GET", "tasks", 2):
            return try describe(request.segments[2])
        case ("POST", "tasks", 1):
            let orders: OneOrMany<TaskOrder> = try decode(request)
            return .json(.object([("tasks", .array(try carryOut(orders.elements)))]))
        case ("POST", "faults", 1):
            let orders: OneOrMany<FaultOrder> = try decode(request)
            world.change { state in orders.elements.forEach { $0.carryOut(in: &state) } }
            return Self.done
        case ("POST", "creations", 1):
            let order: TaskOrder = try decode(request)
            world.change { $0.creation = order }
            return Self.done
        case ("POST", "lists", 1):
            let order: ListOrder = try decode(request)
            world.change { $0.pageLimit = order.pageLimit }
            return Self.done
        case ("POST", "callbacks", 1):
            let order: CallbackOrder = try decode(request)
            return .json(try order.carryOut(in: world))
        case ("POST", "trigger", 1):
            let order: TriggerOrder = try decode(request)
            world.change { order.carryOut(in: &$0) }
            return Self.done
        case ("POST", "reset", 1):
            world.reset()
            return Self.done
        default:
            let known =
                "health, counts, requests, tasks, faults, creations, lists, callbacks, trigger, reset"
            return .json(
                .object([
                    ("error", .text("no \(request.method) \(request.path); known are \(known)"))
                ]),
                status: 404)
        }
    }

    private func decode<Value: Decodable>(_ request: Request) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(request.body))
    }

    /// All of them or, when one is wrong, none.
    private func carryOut(_ orders: [TaskOrder]) throws -> [JSONText] {
        let now = Clock.milliseconds()
        return try world.change { state in
            for order in orders { try order.check(in: state) }
            return try orders.map {
                .object([("task_id", .text(try $0.carryOut(in: &state, now: now).id))])
            }
        }
    }

    /// Carries out a scenario file.
    ///
    /// - Throws: `ControlError` naming the field at fault, or an error of the JSON reader.
    func carryOut(scenario: Data) throws {
        let scenario = try JSONDecoder().decode(Scenario.self, from: scenario)
        _ = try carryOut(scenario.tasks)
        world.change { state in
            scenario.faults.forEach { $0.carryOut(in: &state) }
            scenario.trigger?.carryOut(in: &state)
            state.creation = scenario.creations ?? state.creation
        }
    }

    /// A task with its files as they must arrive.
    private func describe(_ id: String) throws -> Response {
        guard let task = world.read({ $0.tasks[id] }) else {
            return .json(.object([("error", .text("no task \(id)"))]), status: 404)
        }
        let now = Clock.milliseconds()
        let files = (0..<task.outputs).map { ordinal in
            let content = FileContent(task, ordinal: ordinal)
            return JSONText.object([
                ("ordinal", .int(ordinal)),
                ("url", .text(world.url(of: task, ordinal: ordinal, now: now))),
                ("bytes", .int(content.count)), ("sha256", .text(content.sha256)),
                ("content_type", .text(content.kind.mediaType)),
            ])
        }
        return .json(
            .object([
                ("provider", .text(task.provider.rawValue)), ("endpoint", .text(task.endpoint)),
                ("task_id", .text(task.id)), ("external_task_id", .text(orNull: task.externalID)),
                ("callback_url", .text(orNull: task.callbackURL)),
                ("state", .text(task.state(at: now).rawValue)),
                ("outcome", .text(task.outcome.rawValue)),
                ("polls_until_done", .int(task.runningPollsLeft)),
                ("message", .text(task.message)), ("cost", .text(orNull: task.cost)),
                ("shape", .text(task.shape.rawValue)),
                ("file_fault", .text(task.fileFault.rawValue)),
                ("refreshable", .bool(task.refreshable)),
                ("files_expired", .bool(task.filesExpired)),
                ("created_ms", .int(Int(task.createdAt))), ("files", .array(files)),
            ]))
    }
}
