/// What a control request says about a task; what it does not say stays as it is.
///
/// Times are milliseconds or seconds, as the fields say. A task without any order of its own
/// succeeds at once with one file of 4096 bytes.
struct TaskOrder: Decodable, Sendable {
    var provider: Provider?
    var endpoint: String?
    var taskID: String?
    var externalID: String?
    /// Where the application wants to be called back; some providers say it again in their answers.
    var callbackURL: String?
    var outcome: Outcome?
    /// Healthy answers that say pending, before those that say running.
    var pendingPolls: Int?
    /// Healthy answers that still say running; answers that never arrive or say nothing about
    /// the task do not count.
    var pollsUntilDone: Int?
    var readyAfterMilliseconds: Int?
    var createdMillisecondsAgo: Int?
    var outputs: Int?
    var fileBytes: Int?
    var fileKind: FileKind?
    var fileFault: FileFault?
    /// How long a slow file takes (2000), or one that hangs stays silent half-way (60000).
    var fileWaitMilliseconds: Int?
    /// The URLs in the provider's answers have expired; refreshed ones work.
    var filesExpired: Bool?
    var urlLifeSeconds: Int?
    var refreshable: Bool?
    var message: String?
    var cost: String?
    var shape: Shape?
    /// How many polls are answered in the shape, before answers are normal again.
    var shapePolls: Int?

    init() {}

    private static let fields: Set<String> = [
        "provider", "endpoint", "task_id", "external_task_id", "callback_url", "outcome",
        "pending_polls", "polls_until_done", "ready_after_ms", "created_ms_ago", "outputs",
        "file_bytes", "file_kind", "file_fault",
        "file_wait_ms", "files_expired", "url_life_seconds", "refreshable", "message", "cost",
        "shape", "shape_polls",
    ]
    private static let aYearInMilliseconds = 31_536_000_000

    init(from decoder: any Decoder) throws {
        let object = try StrictObject(decoder, allowed: Self.fields)
        provider = try object.choice("provider")
        endpoint = try object.value("endpoint")
        taskID = try object.value("task_id")
        externalID = try object.value("external_task_id")
        callbackURL = try object.value("callback_url")
        outcome = try object.choice("outcome")
        pendingPolls = try object.integer("pending_polls", 0...1_000_000)
        pollsUntilDone = try object.integer("polls_until_done", 0...1_000_000)
        readyAfterMilliseconds = try object.integer("ready_after_ms", 0...Self.aYearInMilliseconds)
        createdMillisecondsAgo = try object.integer("created_ms_ago", 0...Self.aYearInMilliseconds)
        outputs = try object.integer("outputs", 0...1000)
        fileBytes = try object.integer("file_bytes", 0...1_099_511_627_776)
        fileKind = try object.choice("file_kind")
        fileFault = try object.choice("file_fault")
        fileWaitMilliseconds = try object.integer("file_wait_ms", 0...86_400_000)
        filesExpired = try object.value("files_expired")
        urlLifeSeconds = try object.integer("url_life_seconds", 0...31_536_000)
        refreshable = try object.value("refreshable")
        message = try object.value("message")
        cost = try object.value("cost")
        shape = try object.choice("shape")
        shapePolls = try object.integer("shape_polls", 0...1_000_000)
        if taskID == "" { throw ControlError(field: "task_id", reason: "must not be empty") }
    }

    /// Carries the order out on the task that `task_id` names, or on a new one; returns it.
    ///
    /// - Throws: `ControlError` when the provider or the family does not fit.
    func carryOut(in state: inout World.State, now: Int64) throws -> SimulatedTask {
        let (provider, endpoint) = try check(in: state)
        let id = taskID ?? state.newID(provider, endpoint)
        var task =
            state.tasks[id]
            ?? SimulatedTask(id: id, provider: provider, endpoint: endpoint, now: now)
        task.endpoint = endpoint
        apply(to: &task, now: now)
        state.insert(task)
        return task
    }

    /// The provider and the family that the order means, without doing anything.
    @discardableResult
    func check(in state: borrowing World.State) throws -> (Provider, String) {
        let existing = taskID.flatMap { state.tasks[$0] }
        guard let provider = existing?.provider ?? provider else {
            throw ControlError(field: "provider", reason: "is missing, and no task has the id")
        }
        guard self.provider == nil || self.provider == provider else {
            throw ControlError(
                field: "provider", reason: "task \(existing?.id ?? "") belongs to \(provider)")
        }
        let endpoint = endpoint ?? existing?.endpoint ?? Endpoint.standard(of: provider)
        guard Endpoint.isKnown(endpoint, of: provider) else {
            let known = Endpoint.all(of: provider).joined(separator: ", ")
            throw ControlError(
                field: "endpoint",
                reason: "\"\(endpoint)\" is "
                    + (known.isEmpty ? "no path of a model" : "none of \(known)"))
        }
        guard outcome.map(provider.outcomes.contains) ?? true else {
            let known = provider.outcomes.map(\.rawValue).joined(separator: ", ")
            throw ControlError(field: "outcome", reason: "\(provider) knows \(known)")
        }
        guard outputs ?? 0 <= provider.mostOutputs else {
            throw ControlError(
                field: "outputs", reason: "a task at \(provider) makes \(provider.mostOutputs)")
        }
        return (provider, endpoint)
    }

    private func apply(to task: inout SimulatedTask, now: Int64) {
        task.externalID = externalID ?? task.externalID
        task.callbackURL = callbackURL ?? task.callbackURL
        task.outcome = outcome ?? task.outcome
        task.pendingPollsLeft = pendingPolls ?? task.pendingPollsLeft
        task.runningPollsLeft = pollsUntilDone ?? task.runningPollsLeft
        task.readyAt = readyAfterMilliseconds.map { now + Int64($0) } ?? task.readyAt
        task.createdAt = createdMillisecondsAgo.map { now - Int64($0) } ?? task.createdAt
        task.outputs = outputs ?? task.outputs
        task.fileBytes = fileBytes ?? task.fileBytes
        task.fileKind = fileKind ?? task.fileKind
        task.fileFault = fileFault ?? task.fileFault
        task.fileWaitMilliseconds = fileWaitMilliseconds ?? task.fileWaitMilliseconds
        task.filesExpired = filesExpired ?? task.filesExpired
        task.urlLifeSeconds = urlLifeSeconds.map { Int64($0) } ?? task.urlLifeSeconds
        task.refreshable = refreshable ?? task.refreshable
        task.message = message ?? task.message
        task.cost = cost ?? task.cost
        if let shape {
            task.shape = shape
            task.shapePollsLeft = shapePolls
        } else {
            task.shapePollsLeft = shapePolls ?? task.shapePollsLeft
        }
        if !task.state(at: now).isFinal { task.finishedAt = nil }
    }
}
