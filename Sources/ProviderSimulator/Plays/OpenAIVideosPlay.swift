/// OpenAI Videos: no address anywhere; the file is got from the provider itself, with the key.
struct OpenAIVideosPlay: RecordPlay {
    static let provider = Provider.openAIVideos
    let world: World

    private static let words = Words(
        pending: "queued", running: "in_progress", succeeded: "completed", failed: "failed")
    /// The most lines of a page, and as many as there are when nobody says how many.
    private static let pageSizes = (most: 100, standard: 20)

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET", parts.starts(with: ["v1", "videos"]) else {
            return .unknown
        }
        return switch parts.count {
        case 2: .list(endpoint: Endpoint.tasks)
        case 3: .poll(endpoint: Endpoint.tasks, id: parts[2])
        case 4 where parts[3] == "content": .content(id: parts[2], ordinal: 0)
        default: .unknown
        }
    }

    func refused(_ status: Int, _ message: String) -> Response {
        let error: [(String, JSONText)] = [
            ("message", .text(message)),
            ("type", .text(status < 500 ? "invalid_request_error" : "server_error")),
            ("param", .null), ("code", status == 401 ? .text("invalid_api_key") : .null),
        ]
        return .json(.object([("error", .object(error))]), status: status)
    }

    func record(_ poll: Poll) -> JSONText {
        let task = poll.task
        let isDone = poll.state == .succeeded
        let progress =
            switch poll.state {
            case .succeeded: 100
            case .running: 33
            case .pending, .failed, .cancelled, .expired: 0
            }
        let end = task.registeredAt / 1000 + (task.filesExpired ? -3600 : task.urlLifeSeconds)
        let error: [(String, JSONText)] = [
            ("code", .text("moderation_blocked")), ("message", .text(task.message)),
        ]
        let members: [(String, JSONText)] = [
            ("id", .text(task.id)), ("object", .text("video")), ("model", .text("sora-2")),
            ("status", poll.word(Self.words)), ("progress", .int(progress)),
            ("created_at", .int(Int(task.createdAt / 1000))),
            ("completed_at", isDone ? .int(Int(poll.updatedAt / 1000)) : .null),
            ("expires_at", isDone ? .int(Int(end)) : .null),
            ("seconds", .text("8")), ("size", .text("1280x720")), ("prompt", .text("a tram")),
            ("remixed_from_video_id", .null),
            ("error", poll.state == .failed ? .object(error) : .null),
        ]
        return .object(members + poll.contradiction("status", Self.words))
    }

    func page(_ polls: [Poll], _ request: Request) -> Response {
        guard
            let size = request.number(
                "limit", standard: Self.pageSizes.standard, most: Self.pageSizes.most),
            let rest = polls.after(request.query("after"))
        else { return refused(400, "limit or after is invalid") }
        let (page, hasMore) = rest.page(from: 0, size: world.pageSize(size))
        return .json(
            .object([
                ("object", .text("list")), ("data", .array(page.map { record($0) })),
                ("first_id", .text(orNull: page.first?.task.id)),
                ("last_id", .text(orNull: page.last?.task.id)), ("has_more", .bool(hasMore)),
            ]))
    }

    /// An event about the video, with an id of its own.
    func callback(_ poll: Poll) -> JSONText? {
        let type = poll.state == .succeeded ? "video.completed" : "video.failed"
        return .object([
            ("id", .text("evt_" + poll.task.id.suffix(12))), ("object", .text("event")),
            ("created_at", .int(Int(Clock.milliseconds() / 1000))), ("type", .text(type)),
            ("data", .object([("id", .text(poll.task.id))])),
        ])
    }
}
