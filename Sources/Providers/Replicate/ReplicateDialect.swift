import Core

/// The prediction object, which polls, lists and webhooks share.
///
/// Source: sdks.replicate.com/resources/predictions; replicate.com/docs, topics "data retention",
/// "prediction deadlines".
struct ReplicateDialect: TaskDialect {
    static let urlLife = Duration.seconds(3600)
    static let costUnit = "seconds"

    // Error bodies have a number as their `status`, which is no state.
    let shape = RecordShape(
        idKeys: ["id"], wrapperKeys: ["results"], codePath: [], requiresID: true)

    private static let states: [String: TaskState] = [
        "starting": .pending, "processing": .running, "succeeded": .succeeded, "failed": .failed,
        "canceled": .cancelled,
        // The deadline passed before the start.
        "aborted": .cancelled,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        guard let state = record.state(at: "status", in: Self.states) else { return nil }
        let isRemoved = record["data_removed"]?.bool == true && Self.isEmpty(record["output"])
        return isRemoved ? .expired : state
    }

    /// `output` is any JSON: a text counts only when the whole of it is a URL, and is not trimmed,
    /// because a padded one is a piece of a stream of text.
    func files(of record: JSONObject) -> [String] {
        var urls: [String] = []
        Self.collect(record["output"] ?? .null, into: &urls)
        return urls
    }

    func failureText(of record: JSONObject) -> String? {
        if record["data_removed"]?.bool == true { return "the provider has deleted the files" }
        return record["error"].flatMap { RefusalText.read($0) } ?? Self.lastLine(record["logs"])
    }

    // Without a reason of its own, the end of the log is the best there is; what comes before it is
    // left alone, because models print what they were given.
    private static func lastLine(_ logs: JSONValue?) -> String? {
        guard let scalars = logs?.nonBlankText?.unicodeScalars else { return nil }
        let line = scalars.suffix(PrivateText.messageLimit).split {
            "\r\n".unicodeScalars.contains($0)
        }
        return line.last.map { String(String.UnicodeScalarView($0)) }
    }

    /// Seconds of computing; what they cost depends on the hardware.
    func cost(of record: JSONObject) -> Cost? {
        record.value(at: ["metrics", "predict_time"]).decimal.map {
            Cost(amount: $0, unit: Self.costUnit)
        }
    }

    func expiry(of record: JSONObject, now: Instant) -> Instant? {
        record.end(of: Self.urlLife, from: "completed_at", now: now)
    }

    private static func isEmpty(_ output: JSONValue?) -> Bool {
        switch output {
        case nil, .null: true
        case .string(let text): text.isEmpty
        case .array(let values): values.isEmpty
        case .object(let object): object.members.isEmpty
        case .bool, .number: false
        }
    }

    private static func collect(_ value: JSONValue, into urls: inout [String]) {
        switch value {
        case .string(let text): if UsableURL.check(text) == text { urls.append(text) }
        case .array(let values): for value in values { collect(value, into: &urls) }
        case .object(let object):
            for member in object.members { collect(member.value, into: &urls) }
        case .null, .bool, .number: break
        }
    }
}
