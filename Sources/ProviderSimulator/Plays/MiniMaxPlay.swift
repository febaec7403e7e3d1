/// MiniMax: the older interface names a file to be asked for, the newer one gives its address.
struct MiniMaxPlay: RecordPlay {
    static let provider = Provider.minimax
    let world: World

    private static let words = Words(
        pending: "Queueing", running: "Processing", succeeded: "Success", failed: "Fail",
        cancelled: "Fail", expired: "Fail")
    private static let newerWords = Words(
        pending: "queued", running: "running", succeeded: "succeeded", failed: "failed",
        cancelled: "cancelled", expired: "expired")
    /// What a refusal of our task's output is called.
    private static let refusedOutput = 1027

    func intent(_ request: Request) -> Intent {
        guard request.method == "GET" else { return .unknown }
        let parts = Array(request.segments.dropFirst())
        switch parts {
        case ["v1", "query", "video_generation"]:
            return .poll(endpoint: Endpoint.v1, id: request.query("task_id") ?? "")
        case ["v1", "files", "retrieve"]:
            let name = request.query("file_id") ?? ""
            let task = world.read { $0.files[name]?.taskID }
            return .result(endpoint: Endpoint.v1, id: task ?? "")
        case ["v2", "query", "video_generation"]:
            return .list(endpoint: Endpoint.v2)
        default:
            guard parts.count == 4, parts.starts(with: ["v2", "query", "video_generation"]) else {
                return .unknown
            }
            return .poll(endpoint: Endpoint.v2, id: parts[3])
        }
    }

    /// HTTP says 200 whatever happened; the front end alone has statuses of its own.
    ///
    /// The code for a task or a file that is not there is made up.
    func refused(_ status: Int, _ message: String) -> Response {
        let code =
            switch status {
            case 401: 1004
            case 429: 1002
            case 500: 1000
            case 503: 1024
            default: 2013
            }
        return .json(.object([Self.outcome(code, message)]))
    }

    private static func outcome(_ code: Int, _ message: String) -> (String, JSONText) {
        (
            "base_resp",
            .object([("status_code", .int(code)), ("status_msg", .text(message))])
        )
    }

    func answer(_ poll: Poll) -> Response {
        let isNewer = poll.task.endpoint == Endpoint.v2
        return poll.response(
            world: world, envelope: { isNewer ? .object([("task", $0)]) : $0 },
            data: { record($0) })
    }

    func record(_ poll: Poll) -> JSONText {
        poll.task.endpoint == Endpoint.v2 ? newer(poll) : older(poll)
    }

    private func older(_ poll: Poll) -> JSONText {
        let isDone = poll.state == .succeeded && !poll.urls.isEmpty
        let name = isDone ? Names.fileID(poll.task, ordinal: 0) : nil
        var members: [(String, JSONText)] = [
            ("task_id", .text(poll.task.id)), ("status", poll.word(Self.words)),
            ("file_id", .text(name ?? "")),
        ]
        if poll.state == .succeeded {
            members.append(("video_width", .int(1920)))
            members.append(("video_height", .int(1080)))
        }
        let hasFailed = poll.state.isFinal && poll.state != .succeeded
        members.append(
            hasFailed
                ? Self.outcome(Self.refusedOutput, poll.task.message) : Self.outcome(0, "success"))
        return .object(members + poll.contradiction("status", Self.words))
    }

    /// The list's lines as a proxy describes them; the reason of a failure is made up.
    private func newer(_ poll: Poll) -> JSONText {
        var members: [(String, JSONText)] = [
            ("id", .text(poll.task.id)), ("model", .text("MiniMax-H3")),
            ("status", poll.word(Self.newerWords)),
        ]
        if poll.state == .succeeded {
            let url = JSONText.text(orNull: poll.urls.first)
            members += [("content", .object([("url", url)])), ("duration", .int(6))]
        }
        if poll.state == .failed {
            members.append(("error", .object([("message", .text(poll.task.message))])))
        }
        return .object(members + poll.contradiction("status", Self.newerWords))
    }

    /// The file, its name now a number.
    func result(_ poll: Poll) -> Response {
        guard let name = Names.fileID(poll.task, ordinal: 0), let url = poll.urls.first else {
            return notFound
        }
        let file: [(String, JSONText)] = [
            ("file_id", .number(name)), ("bytes", .int(poll.task.fileBytes)),
            ("created_at", .int(Int(poll.updatedAt / 1000))),
            ("filename", .text("output_aigc.mp4")), ("purpose", .text("video_generation")),
            ("download_url", .text(url)),
        ]
        return .json(.object([("file", .object(file)), Self.outcome(0, "success")]))
    }

    func page(_ polls: [Poll], _ request: Request) -> Response {
        guard let number = request.number("page_num", standard: 1, most: 10_000),
            let size = request.number("page_size", standard: 20, most: 500)
        else { return refused(400, "page_num or page_size is out of range") }
        let polls = world.lastWeek(polls)
        let page = polls.page(from: (number - 1) * size, size: size).polls
        return .json(
            .object([("items", .array(page.map { newer($0) })), ("total", .int(polls.count))]))
    }
}
