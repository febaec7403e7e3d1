/// Seedance on Volcengine Ark: tokens as the price, and words for tasks that nobody ran.
struct SeedancePlay: RecordPlay {
    static let provider = Provider.seedance
    let world: World

    private static let words = Words(
        pending: "queued", running: "running", succeeded: "succeeded", failed: "failed",
        cancelled: "cancelled", expired: "expired")

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET",
            parts.starts(with: ["api", "v3", "contents", "generations", "tasks"])
        else { return .unknown }
        return switch parts.count {
        case 5: .list(endpoint: Endpoint.tasks)
        case 6: .poll(endpoint: Endpoint.tasks, id: parts[5])
        default: .unknown
        }
    }

    func refused(_ status: Int, _ message: String) -> Response {
        // Made up, in the manner of the one that is known.
        let codes = [
            400: "InvalidParameter", 401: "AuthenticationError", 404: "ResourceNotFound",
            429: "RateLimitExceeded", 503: "ServiceUnavailable",
        ]
        let error: [(String, JSONText)] = [
            ("code", .text(codes[status] ?? "InternalServiceError")), ("message", .text(message)),
        ]
        return .json(.object([("error", .object(error))]), status: status)
    }

    func record(_ poll: Poll) -> JSONText {
        let task = poll.task
        let error: [(String, JSONText)] = [
            ("code", .text("OutputVideoSensitiveContentDetected")),
            ("message", .text(task.message)),
        ]
        var members: [(String, JSONText)] = [
            ("id", .text(task.id)), ("model", .text("seedance-1-5-pro-251215")),
            ("status", poll.word(Self.words)),
            ("error", poll.state == .failed ? .object(error) : .null),
            ("created_at", .int(Int(task.createdAt / 1000))),
            ("updated_at", .int(Int(poll.updatedAt / 1000))),
            ("service_tier", .text("default")), ("execution_expires_after", .int(172_800)),
        ]
        if poll.state == .succeeded { members += Self.success(poll) }
        return .object(members + poll.contradiction("status", Self.words))
    }

    private static func success(_ poll: Poll) -> [(String, JSONText)] {
        var members: [(String, JSONText)] = []
        if let url = poll.urls.first {
            members.append(("content", .object([("video_url", .text(url))])))
        }
        if let tokens = poll.task.cost {
            members.append(
                (
                    "usage",
                    .object([
                        ("completion_tokens", .number(tokens)), ("total_tokens", .number(tokens)),
                    ])
                ))
        }
        return members + [
            ("resolution", .text("720p")), ("ratio", .text("16:9")), ("duration", .int(5)),
            ("framespersecond", .int(24)), ("seed", .int(78_674)),
        ]
    }

    func page(_ polls: [Poll], _ request: Request) -> Response {
        guard let number = request.number("page_num", standard: 1, most: 500),
            let size = request.number("page_size", standard: 20, most: 500)
        else { return refused(400, "page_num or page_size is out of range") }
        let polls = world.lastWeek(polls)
        let page = polls.page(from: (number - 1) * size, size: size).polls
        return .json(
            .object([("total", .int(polls.count)), ("items", .array(page.map { record($0) }))]))
    }
}
