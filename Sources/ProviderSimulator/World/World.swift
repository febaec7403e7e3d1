import Foundation

/// Keys that the simulator expects.
struct Credentials: Sendable {
    /// Those that differ from the provider's standard key.
    var apiKeys: [Provider: String] = [:]
    var klingAccessKey: String
    var klingSecretKey: String
    var triggerSecret: String

    func apiKey(_ provider: Provider) -> String { apiKeys[provider] ?? provider.standardKey }
}

/// Everything that changes, behind one lock; nothing is sent or waited for while it is held.
///
/// The lock is the plain one of the platform: with hundreds of threads, the standard library's
/// mutex hands over by priority inheritance and halves the throughput.
final class World: @unchecked Sendable {
    static let requestLogLimit = 20_000

    struct State: Sendable {
        var tasks: [String: SimulatedTask] = [:]
        /// Task ids in order of creation, by provider and family, as the list pages show them.
        var order: [String: [String]] = [:]
        /// Files that have names of their own.
        var files: [String: (taskID: String, ordinal: Int)] = [:]
        /// The most lines of a list's page; nil for as many as the provider gives.
        var pageLimit: Int?
        /// The oldest task first.
        var externals: [String: [String]] = [:]
        var faults: [FaultScope: Fault] = [:]
        /// What tasks become that are made through a provider's own create call.
        var creation = TaskOrder()
        var trigger: TriggerSettings
        var counts = Counts()
        var log: [RequestRecord] = []
        var chance: Chance
        var created: UInt64 = 0
    }

    let credentials: Credentials
    let seed: UInt64
    /// Where result files are, without a slash at the end.
    let base: String
    /// The same on another host.
    let elsewhere: String
    private let lock = NSLock()
    private var state: State

    init(credentials: Credentials, seed: UInt64, base: String, elsewhere: String) {
        self.credentials = credentials
        self.seed = seed
        self.base = base
        self.elsewhere = elsewhere
        self.state = Self.fresh(credentials, seed)
    }

    private static func fresh(_ credentials: Credentials, _ seed: UInt64) -> State {
        State(
            trigger: TriggerSettings(secret: credentials.triggerSecret), chance: Chance(seed: seed))
    }

    /// The provider's base address.
    func place(_ provider: Provider) -> String { "\(base)/\(provider)" }

    func reset() {
        change { state in
            // Requests under way still leave: their count must not go below zero.
            let inFlight = state.counts.inFlight
            state = Self.fresh(credentials, seed)
            state.counts.inFlight = inFlight
        }
    }

    func read<Value: Sendable>(_ body: (borrowing State) -> Value) -> Value {
        lock.withLock { body(state) }
    }

    func change<Value: Sendable>(_ body: (inout State) throws -> Value) rethrows -> Value {
        try lock.withLock { try body(&state) }
    }
}

extension World.State {
    /// The faults that concern a request, most specific first, each used up by one.
    mutating func meet(
        _ area: Area, subjects: [String], step: Step? = nil
    ) -> (trouble: Trouble?, delay: Int) {
        guard !faults.isEmpty else { return (nil, 0) }
        var trouble: Trouble?
        var delay = 0
        for scope in FaultScope.all(area, subjects: subjects, step: step) {
            guard var fault = faults[scope] else { continue }
            if let left = fault.left {
                fault.left = left - 1
                faults[scope] = left > 1 ? fault : nil
            }
            delay = max(delay, fault.delayMilliseconds)
            let name = "\(area.rawValue):\(subjects.first ?? "")"
            let drawn = fault.trouble(chance.draw(name), variety: chance.bits(name + ":variety"))
            trouble = trouble ?? drawn
        }
        if let trouble {
            counts.faults["\(area.rawValue):\(trouble.name)", default: 0] += 1
        }
        return (trouble, delay)
    }

    /// The task that an id names: the provider's own, or the oldest with this id of ours.
    func find(_ id: String, provider: Provider, endpoint: String) -> SimulatedTask? {
        if let task = tasks[id] {
            let asked = Endpoint.asked(task.endpoint, of: task.provider)
            return task.provider == provider && asked == endpoint ? task : nil
        }
        guard provider == .kling else { return nil }
        return externals[id]?.lazy.compactMap { tasks[$0] }.first { $0.endpoint == endpoint }
    }

    mutating func insert(_ task: SimulatedTask) {
        let previous = tasks.updateValue(task, forKey: task.id)
        if previous == nil || previous?.endpoint != task.endpoint {
            if let previous {
                order["\(previous.provider):\(previous.endpoint)"]?.removeAll { $0 == task.id }
            }
            order["\(task.provider):\(task.endpoint)", default: []].append(task.id)
        }
        for ordinal in 0..<task.outputs {
            guard let name = Names.fileID(task, ordinal: ordinal) else { break }
            files[name] = (task.id, ordinal)
        }
        if previous?.externalID != task.externalID {
            if let old = previous?.externalID { externals[old]?.removeAll { $0 == task.id } }
            if let new = task.externalID { externals[new, default: []].append(task.id) }
        }
    }

    /// An id that no task has yet, in the manner of the provider's family.
    mutating func newID(_ provider: Provider, _ endpoint: String) -> String {
        while true {
            created &+= 1
            let id = Names.taskID(provider, endpoint, bits: chance.bits("task:\(created)"))
            if tasks[id] == nil { return id }
        }
    }

    mutating func remember(_ record: RequestRecord) {
        if log.count >= World.requestLogLimit * 2 { log.removeFirst(World.requestLogLimit) }
        log.append(record)
    }
}
