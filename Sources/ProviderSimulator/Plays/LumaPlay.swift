/// Luma Dream Machine: previews beside the product, and our own request in every answer.
struct LumaPlay: RecordPlay {
    static let provider = Provider.luma
    let world: World

    private static let words = Words(
        pending: "queued", running: "dreaming", succeeded: "completed", failed: "failed")
    /// The most lines of a page, and as many as there are when nobody says how many.
    private static let pageSizes = (most: 100, standard: 10)

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET",
            parts.starts(with: ["dream-machine", "v1", "generations"])
        else { return .unknown }
        return switch parts.count {
        case 3: .list(endpoint: Endpoint.tasks)
        case 4: .poll(endpoint: Endpoint.tasks, id: parts[3])
        default: .unknown
        }
    }

    func refused(_ status: Int, _ message: String) -> Response {
        .json(.object([("detail", .text(message))]), status: status)
    }

    func record(_ poll: Poll) -> JSONText {
        let task = poll.task
        let kind = JSONText.text(task.fileKind == .mp4 ? "video" : "image")
        let frame: [(String, JSONText)] = [
            ("type", .text("image")), ("url", .text("https://uploads.example.com/in/tiger.jpg")),
        ]
        let members: [(String, JSONText)] = [
            ("id", .text(task.id)), ("generation_type", kind), ("state", poll.word(Self.words)),
            ("failure_reason", poll.state == .failed ? .text(task.message) : .null),
            ("created_at", .text(Moment.seconds(task.createdAt))), ("assets", Self.assets(poll)),
            ("model", .text("ray-2")),
            (
                "request",
                .object([
                    ("generation_type", kind), ("prompt", .text("tiger in snow")),
                    ("keyframes", .object([("frame0", .object(frame))])),
                    ("callback_url", .text(orNull: task.callbackURL)),
                ])
            ),
        ]
        return .object(members + poll.contradiction("state", Self.words))
    }

    /// A video has a thumbnail and a clip of its progress beside it; an image has nothing.
    private static func assets(_ poll: Poll) -> JSONText {
        guard poll.state == .succeeded || poll.state == .running else { return .null }
        let url = JSONText.text(orNull: poll.urls.first)
        guard poll.task.fileKind == .mp4, poll.state == .succeeded else {
            return .object([("image", url), ("progress_video", .null), ("video", .null)])
        }
        return .object([
            ("image", .text("https://cdn.example.com/luma/thumb.jpg")),
            ("progress_video", .text("https://cdn.example.com/luma/progress.mp4")),
            ("video", url),
        ])
    }

    func page(_ polls: [Poll], _ request: Request) -> Response {
        guard
            let size = request.number(
                "limit", standard: Self.pageSizes.standard, most: Self.pageSizes.most),
            let offset = Int(request.query("offset") ?? "0"), offset >= 0
        else { return refused(400, "limit or offset is out of range") }
        let limit = world.pageSize(size)
        let (page, hasMore) = polls.page(from: offset, size: limit)
        return .json(
            .object([
                ("has_more", .bool(hasMore)), ("count", .int(page.count)), ("limit", .int(limit)),
                ("offset", .int(offset)), ("generations", .array(page.map { record($0) })),
            ]))
    }
}
