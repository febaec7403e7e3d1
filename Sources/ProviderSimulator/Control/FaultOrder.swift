/// What a control request says about faults.
struct FaultOrder: Decodable, Sendable {
    /// Nil for all areas.
    var area: Area?
    var taskID: String?
    var step: Step?
    var clear: Bool
    var fault = Fault()

    private static let fields: Set<String> = [
        "provider", "task_id", "step", "clear", "unauthorized_rate", "rate_limited_rate",
        "retry_after_seconds", "server_error_rate", "hang_rate", "hang_ms", "cut_rate",
        "delay_ms", "down", "count",
    ]

    init(from decoder: any Decoder) throws {
        let object = try StrictObject(decoder, allowed: Self.fields)
        guard let name: String = try object.value("provider") else {
            throw ControlError(
                field: "provider", reason: "is missing; a provider, files, trigger or all")
        }
        area = name == "all" ? nil : try object.choice("provider")
        taskID = try object.value("task_id")
        step = try object.choice("step")
        clear = try object.value("clear") ?? false
        fault.unauthorizedRate = try object.rate("unauthorized_rate")
        fault.rateLimitedRate = try object.rate("rate_limited_rate")
        fault.serverErrorRate = try object.rate("server_error_rate")
        fault.hangRate = try object.rate("hang_rate")
        fault.cutRate = try object.rate("cut_rate")
        fault.retryAfterSeconds = try object.integer("retry_after_seconds", 0...86_400)
        fault.hangMilliseconds =
            try object.integer("hang_ms", 0...86_400_000) ?? fault.hangMilliseconds
        fault.delayMilliseconds = try object.integer("delay_ms", 0...86_400_000) ?? 0
        fault.down = try object.value("down") ?? false
        fault.left = try object.integer("count", 1...1_000_000_000)
        let sum =
            fault.unauthorizedRate + fault.rateLimitedRate + fault.serverErrorRate + fault.hangRate
            + fault.cutRate
        guard sum <= 1.000_001 else {
            throw ControlError(field: "unauthorized_rate", reason: "the rates add up to over 1")
        }
    }

    /// Puts the fault in the place of an earlier one for the same area, task and step, or clears: all
    /// of an area, all of one task in it, or everything.
    func carryOut(in state: inout World.State) {
        guard clear else {
            state.faults[FaultScope(area: area, taskID: taskID, step: step)] = fault
            return
        }
        let (area, taskID) = (area, taskID)
        state.faults = state.faults.filter { scope, _ in
            !((area == nil || scope.area == area) && (taskID == nil || scope.taskID == taskID))
        }
    }
}

/// How the application's own endpoint wants to be called.
struct TriggerSettings: Sendable {
    var header = "x-internal-secret"
    var secret: String
}

struct TriggerOrder: Decodable, Sendable {
    var header: String?
    var secret: String?

    init(from decoder: any Decoder) throws {
        let object = try StrictObject(decoder, allowed: ["header", "secret"])
        header = try object.value("header")
        secret = try object.value("secret")
    }

    func carryOut(in state: inout World.State) {
        state.trigger.header = header?.lowercased() ?? state.trigger.header
        state.trigger.secret = secret ?? state.trigger.secret
    }
}

/// A whole scenario: what the control requests of the same names would say one by one.
struct Scenario: Decodable, Sendable {
    var tasks: [TaskOrder] = []
    var faults: [FaultOrder] = []
    var trigger: TriggerOrder?
    var creations: TaskOrder?

    init(from decoder: any Decoder) throws {
        let object = try StrictObject(
            decoder, allowed: ["tasks", "faults", "trigger", "creations"])
        tasks = try object.value("tasks", OneOrMany<TaskOrder>.self)?.elements ?? []
        faults = try object.value("faults", OneOrMany<FaultOrder>.self)?.elements ?? []
        trigger = try object.value("trigger")
        creations = try object.value("creations")
    }
}
