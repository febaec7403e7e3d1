import Core

/// The older family's task.
///
/// Source: platform.minimax.io/docs/api-reference, "video-generation-query", "video-agent-query" and
/// "errorcode".
struct MiniMaxV1: TaskDialect {
    /// Nil where nobody named one.
    let family: MiniMaxFamily?

    static let success = "success"
    static let code = ["base_resp", "status_code"]
    static let message = ["base_resp", "status_msg"]

    let shape = RecordShape(
        idKeys: ["task_id"], wrapperKeys: [], codePath: code, messagePaths: [message],
        requiresCode: true, requiresID: true)

    private static let states: [String: TaskState] = [
        "preparing": .pending, "queueing": .pending, "queuing": .pending, "processing": .running,
        success: .succeeded, "fail": .failed, "failed": .failed,
    ]
    /// Moderation refused what went in or what came out.
    private static let moderationCodes: Set<Int64> = [1026, 1027]
    /// Unknown, timed out, too fast, internal, no balance.
    private static let passingCodes: Set<Int64> = [1000, 1001, 1002, 1008, 1024]
    private static let keyCode = Int64(1004)
    /// Source: "video-agent-query".
    private static let templateURLLife = Duration.seconds(9 * 3600)

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        let state = record.state(at: "status", in: Self.states)
        guard state == .succeeded, files(of: record).isEmpty else { return state }
        // The end of the task; its file takes a second request.
        return GivenID(record["file_id"]).text == nil ? state : .running
    }

    /// Templates name the URL at once; the others only the id of a file.
    func files(of record: JSONObject) -> [String] {
        switch family {
        case .template, nil: record.files(at: [["video_url"]])
        case .v1, .v2: []
        }
    }

    /// The words under the good code are about the query.
    func failureText(of record: JSONObject) -> String? {
        shape.envelope(record).code == shape.okCode ? nil : record.text(at: [Self.message])
    }

    func expiry(of record: JSONObject, now: Instant) -> Instant? { now + Self.templateURLLife }

    func isAboutTask(code: Int64, in record: JSONObject) -> Bool {
        Self.moderationCodes.contains(code)
            && record.state(at: "status", in: Self.states) == .failed
    }

    func meaning(ofCode code: Int64) -> Refusal? { Self.meaning(ofCode: code) }

    static func meaning(ofCode code: Int64) -> Refusal? {
        if code == keyCode { return .credentials }
        if moderationCodes.contains(code) { return .request }
        return passingCodes.contains(code) ? .transient : nil
    }
}

/// The newer family's task; the shape of one is what public clients read.
struct MiniMaxV2: TaskDialect {
    let shape = RecordShape(
        idKeys: ["id"], wrapperKeys: ["task", "items"], codePath: MiniMaxV1.code,
        messagePaths: [MiniMaxV1.message], requiresID: true)

    private static let states: [String: TaskState] = [
        "queued": .pending, "running": .running, "succeeded": .succeeded, "failed": .failed,
        "cancelled": .cancelled, "expired": .expired,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "status", in: Self.states)
    }

    func files(of record: JSONObject) -> [String] { record.files(at: [["content", "url"]]) }

    func meaning(ofCode code: Int64) -> Refusal? { MiniMaxV1.meaning(ofCode: code) }
}

/// The answer that says where a file is; it does not say of which task.
///
/// Source: platform.minimax.io/docs/api-reference/video-generation-download.
struct MiniMaxFile: TaskDialect {
    let shape = RecordShape(
        idKeys: [], wrapperKeys: [], codePath: MiniMaxV1.code, messagePaths: [MiniMaxV1.message],
        requiresCode: true)

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record["file"]?.opened.object == nil ? nil : .succeeded
    }

    func files(of record: JSONObject) -> [String] { record.files(at: [["file", "download_url"]]) }

    func meaning(ofCode code: Int64) -> Refusal? { MiniMaxV1.meaning(ofCode: code) }
}
