/// Everything a test may want to count, exact under any number of connections.
struct Counts: Sendable {
    var polls: [String: Int] = [:]
    var healthyPolls: [String: Int] = [:]
    var pollTotal: [String: Int] = [:]
    var lookups: [String: Int] = [:]
    var lists: [String: Int] = [:]
    /// Second requests by task.
    var results: [String: Int] = [:]
    var creates: [String: Int] = [:]
    var refreshes: [String: Int] = [:]
    var files: [String: Int] = [:]
    var requests: [String: Int] = [:]
    var unauthorized: [String: Int] = [:]
    var faults: [String: Int] = [:]
    var inFlight: [String: Int] = [:]
    var maxInFlight: [String: Int] = [:]
    var authorizations: [String: Set<String>] = [:]
    var triggers: [String: TriggerCount] = [:]

    struct TriggerCount: Sendable {
        var accepted = 0
        var keys: [String] = []
        /// The bodies as JSON.
        var bodies: [JSONText] = []
        var attempts: [JSONText] = []
        var statuses: [Int] = []
    }

    var json: JSONText {
        .object([
            ("polls", .counts(polls)), ("healthy_polls", .counts(healthyPolls)),
            ("poll_total", .counts(pollTotal)), ("lookups", .counts(lookups)),
            ("lists", .counts(lists)), ("results", .counts(results)), ("creates", .counts(creates)),
            ("refreshes", .counts(refreshes)), ("files", .counts(files)),
            ("requests", .counts(requests)), ("unauthorized", .counts(unauthorized)),
            ("faults", .counts(faults)), ("in_flight", .counts(inFlight)),
            ("max_in_flight", .counts(maxInFlight)),
            ("distinct_authorizations", .counts(authorizations.mapValues(\.count))),
            ("triggers", .object(triggers.sorted { $0.key < $1.key }.map { ($0, $1.json) })),
        ])
    }
}

extension Counts.TriggerCount {
    fileprivate var json: JSONText {
        .object([
            ("count", .int(statuses.count)), ("accepted", .int(accepted)),
            ("keys", .array(keys.map { .text($0) })), ("attempts", .array(attempts)),
            ("statuses", .array(statuses.map { .int($0) })), ("bodies", .array(bodies)),
        ])
    }
}

/// One line of the log of requests.
struct RequestRecord: Sendable {
    var at: Int64
    var method: String
    var path: String
    /// The host that the client believed to be asking.
    var host: String?
    var authorization: String?
    var userAgent: String?
    var status: Int

    var json: JSONText {
        .object([
            ("time_ms", .int(Int(at))), ("method", .text(method)), ("path", .text(path)),
            ("host", .text(orNull: host)), ("authorization", .text(orNull: authorization)),
            ("user_agent", .text(orNull: userAgent)), ("status", .int(status)),
        ])
    }
}
