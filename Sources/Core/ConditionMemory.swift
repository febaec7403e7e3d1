/// What is to be said of trouble that was met.
package enum Saying: Equatable, Sendable {
    /// All of it: it begins, or nobody remembers whether it was said.
    case whole
    /// It lasts, and an hour has passed since it was said.
    case lasting(for: Duration, times: Int)
    /// It was said within the hour.
    case nothing
}

/// What is remembered of a condition: trouble of one kind about one thing, met in one run after the
/// other.
///
/// It is said when it begins, each hour while it lasts, and once when it is over.
package struct ConditionMemory: Equatable, Sendable {
    /// Said again after this long.
    package static let interval = Duration.seconds(3600)
    /// Over when it was not met for this long.
    package static let patience = Duration.seconds(600)

    package var name: String
    package var message: String
    package var beganAt: Instant
    package var seenAt: Instant
    /// Nil until it was said.
    package var saidAt: Instant?
    package var times: Int

    package init(name: String, message: String, at now: Instant) {
        self.name = name
        self.message = message
        beganAt = now
        seenAt = now
        times = 0
    }

    /// Notes that it was met again, or for the first time.
    package mutating func meet(_ message: String, at now: Instant) -> Saying {
        // A clock that was put back, or that is no longer used, must keep nobody silent.
        if isOver(at: now) || beganAt > now { self = Self(name: name, message: message, at: now) }
        self.message = message
        seenAt = now
        times += 1
        guard let saidAt, saidAt <= now else {
            self.saidAt = now
            return .whole
        }
        guard now - saidAt >= Self.interval else { return .nothing }
        self.saidAt = now
        return .lasting(for: now - beganAt, times: times)
    }

    package func isOver(at now: Instant) -> Bool {
        times > 0 && now - seenAt >= Self.patience
    }
}

extension ConditionMemory {
    package var json: String {
        JSON.write([
            "name": .string(name), "message": .string(message),
            "began_us": .integer(beganAt.microseconds), "seen_us": .integer(seenAt.microseconds),
            "said_us": saidAt.map { JSONValue.integer($0.microseconds) } ?? .null,
            "times": .integer(times),
        ])
    }

    package init?(json: String) {
        guard let object = try? JSON.parse(Array(json.utf8)), let name = object["name"]?.text,
            let message = object["message"]?.text, let began = object["began_us"]?.int,
            let seen = object["seen_us"]?.int, let times = object["times"]?.int
        else { return nil }
        self.init(name: name, message: message, at: Instant(microseconds: began))
        seenAt = Instant(microseconds: seen)
        saidAt = object["said_us"]?.int.map { Instant(microseconds: $0) }
        self.times = Int(clamping: times)
    }
}
