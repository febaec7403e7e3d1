import Core
import HTTP

/// The status of a queued request, and a line of the list of requests.
///
/// Source: docs.fal.ai/model-endpoints/queue; fal.ai/docs/platform-apis.
struct FalStatus: TaskDialect {
    let shape = RecordShape(
        idKeys: ["request_id"], wrapperKeys: ["items"], codePath: [], requiresID: true)

    /// Through, whether it ended well or not: the response tells.
    static let completed = "completed"

    private static let states: [String: TaskState] = [
        "in_queue": .pending, "in_progress": .running, completed: .running,
        // Reported once and then said never to come.
        "failed": .failed,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        // A line of the list tells neither files nor reasons: its task is asked about like any other.
        if record.has("endpoint_id"), !record.has("status") { return .running }
        return record.state(at: "status", in: Self.states)
    }

    // The status names no file.
    func files(of record: JSONObject) -> [String] { [] }
}

/// What fal tells at the end of a request.
///
/// Source: docs.fal.ai/model-endpoints/webhooks.
struct FalCallback: TaskDialect {
    let shape = RecordShape(
        idKeys: ["request_id"], wrapperKeys: [], codePath: [], requiresID: true)

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        switch record["status"]?.nonBlankText?.word {
        // Too big or unreadable for a callback: the response has to be fetched.
        case "ok" where payload(of: record) == nil && record["payload_error"]?.nonBlankText != nil:
            .running
        case "ok": .succeeded
        case "error": .failed
        default: nil
        }
    }

    func files(of record: JSONObject) -> [String] {
        payload(of: record).map(FalResult.files) ?? []
    }

    func failureText(of record: JSONObject) -> String? {
        payload(of: record)?["detail"].flatMap { RefusalText.read($0) }
            ?? record.text(at: [["error"], ["payload_error"]])
    }

    private func payload(of record: JSONObject) -> JSONObject? {
        record["payload"]?.opened.object
    }
}

/// The response of a request that is through: the HTTP status says whether it ended well.
///
/// It has neither an id nor a state. Source: docs.fal.ai/model-endpoints/queue.
struct FalResult {
    let reader: TaskReader

    func verdict(asked: String?) -> Verdict {
        if let verdict = Self.outOfTurn(reader) { return verdict }
        guard case .document(let document) = reader.body, let result = document.object else {
            return reader.refusal(nil)
        }
        let id = GivenID(result["request_id"])
        if let asked, id != .none, id.text?.isSameText(as: asked.trimmed) != true {
            return .unclear("the answer is not about the task asked for")
        }
        switch reader.answer.httpStatus {
        case 200:
            let files = Self.files(of: result)
            guard !files.isEmpty else {
                return reader.refusal(
                    RefusalText.read(document) ?? "finished without a usable URL")
            }
            return Verdict(
                taskID: id.text, state: .succeeded, resultURLs: files, errorClass: .none)
        case 422 where reader.place == .described:
            guard let reason = result["detail"].flatMap({ RefusalText.read($0) }) else {
                return reader.refusal(nil)
            }
            return Verdict(
                taskID: id.text, state: .failed, errorClass: .final,
                errorMessage: PrivateText.message(reason))
        default: return reader.refusal(nil)
        }
    }

    /// The verdict on answers that mean the same wherever they come: that the request still runs,
    /// under whichever status, and that our own start deadline has passed.
    static func outOfTurn(_ reader: TaskReader) -> Verdict? {
        let answer = reader.answer
        let limit = answer.headers.first(named: "X-Fal-Request-Timeout-Type")
        if answer.httpStatus == 504, limit?.word == "user", reader.place == .described {
            return Verdict(
                state: .expired, errorClass: .final,
                errorMessage: "never started: the deadline that the application set has passed")
        }
        guard let detail = RefusalText.read(reader.value(at: ["detail"])),
            detail.asciiLowercased.contains("request is still in progress")
        else { return nil }
        return Verdict.refusal(detail, code: nil, answer: answer, now: reader.now)
    }

    private static let places: Set<String> = [
        "images", "image", "video", "videos", "audio", "audio_file",
    ]

    /// The files in body order; a file that is named in two places is one.
    static func files(of result: JSONObject) -> [String] {
        var seen: Set<[UInt8]> = []
        return result.members.filter { places.contains($0.key) }
            .flatMap { result.files(at: [[$0.key, "*", "url"]]) }
            .filter { seen.insert(Array($0.utf8)).inserted }
    }
}
