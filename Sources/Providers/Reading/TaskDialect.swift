import Core

/// What is a provider's own about its task records; `TaskReader` knows everything else.
protocol TaskDialect: Sendable {
    var shape: RecordShape { get }

    /// The state that a record spells; nil when it is missing, unknown or contradicts itself.
    func state(of record: JSONObject, now: Instant) -> TaskState?

    /// The deliverable files of a record that says that its task succeeded.
    func files(of record: JSONObject) -> [String]

    /// Why there is no file, where the record tells it better than by having none.
    func reasonForNoFile(in record: JSONObject) -> String?

    /// Why the task failed, was cancelled or expired.
    func failureText(of record: JSONObject) -> String?

    /// 0 to 100.
    func progress(of record: JSONObject) -> Int?

    func cost(of record: JSONObject) -> Cost?

    /// When the URLs of a record stop working; nil where that is not established.
    func expiry(of record: JSONObject, now: Instant) -> Instant?

    /// Our own id of the task, where the provider keeps one.
    func ownID(of record: JSONObject) -> String?

    /// Whether a body code other than the good one speaks about the task in `record`, and not
    /// about our request.
    func isAboutTask(code: Int64, in record: JSONObject) -> Bool

    /// What a body code other than the good one means; nil when the HTTP status tells.
    func meaning(ofCode code: Int64) -> Refusal?

    func meaning(ofStatus status: Int) -> Refusal
}

extension TaskDialect {
    func reasonForNoFile(in record: JSONObject) -> String? { nil }
    func failureText(of record: JSONObject) -> String? {
        record["error"].flatMap { RefusalText.read($0) }
    }
    func progress(of record: JSONObject) -> Int? { nil }
    func cost(of record: JSONObject) -> Cost? { nil }
    func expiry(of record: JSONObject, now: Instant) -> Instant? { nil }
    func ownID(of record: JSONObject) -> String? { nil }
    func isAboutTask(code: Int64, in record: JSONObject) -> Bool { false }
    // Most envelopes use the numbers of HTTP.
    func meaning(ofCode code: Int64) -> Refusal? { .status(Int(clamping: code)) }
    func meaning(ofStatus status: Int) -> Refusal { .status(status) }
}

extension JSONObject {
    /// The state for the word in a field.
    func state(at key: String, in words: [String: TaskState]) -> TaskState? {
        self[key]?.nonBlankText.flatMap { words[$0.word] }
    }

    /// 0 to 100, from a number that counts up to `whole`.
    func percent(at key: String, of whole: Double) -> Int? {
        guard let share = self[key]?.decimal.flatMap(Double.init), share <= whole else {
            return nil
        }
        return Int((share / whole * 100).rounded())
    }

    /// When something ends that lasts `life` from the time in a field.
    ///
    /// Text times may name no zone, so that a time in the future is a zone of theirs: it counts as
    /// now, and so does one that is missing.
    func end(of life: Duration, from key: String, now: Instant) -> Instant {
        min(Timestamp.read(self[key]) ?? now, now) + life
    }
}

extension TaskState {
    var errorClass: ErrorClass {
        switch self {
        case .pending, .running, .succeeded: .none
        case .failed, .cancelled, .expired: .final
        case .unknown: .transient
        }
    }
}
