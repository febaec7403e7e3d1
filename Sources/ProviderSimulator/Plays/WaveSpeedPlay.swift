import Foundation

/// WaveSpeed: an envelope that says success whatever happened to the task.
struct WaveSpeedPlay: RecordPlay {
    static let provider = Provider.wavespeed
    let world: World

    private static let words = Words(
        pending: "created", running: "processing", succeeded: "completed", failed: "failed")

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard parts.starts(with: ["api", "v3", "predictions"]) else { return .unknown }
        return switch (request.method, parts.count) {
        // One of its pages lists with GET, another with POST.
        case ("GET", 3), ("POST", 3): .list(endpoint: Endpoint.tasks)
        case ("GET", 4): .poll(endpoint: Endpoint.tasks, id: parts[3])
        case ("GET", 5) where parts[4] == "result": .poll(endpoint: Endpoint.tasks, id: parts[3])
        default: .unknown
        }
    }

    func refused(_ status: Int, _ message: String) -> Response {
        .json(
            .object([("code", .int(status)), ("message", .text(message)), ("data", .null)]),
            status: status)
    }

    func envelope(_ record: JSONText) -> JSONText {
        .object([("code", .int(200)), ("message", .text("success")), ("data", record)])
    }

    func record(_ poll: Poll) -> JSONText {
        let task = poll.task
        let address = "\(world.place(.wavespeed))/api/v3/predictions/\(task.id)"
        let members: [(String, JSONText)] = [
            ("id", .text(task.id)), ("model", .text("wavespeed-ai/flux-dev")),
            ("outputs", .array(poll.urls.map { .text($0) })),
            ("urls", .object([("get", .text(address))])),
            ("has_nsfw_contents", .array(poll.urls.map { _ in .bool(false) })),
            ("status", poll.word(Self.words)), ("created_at", Moment.text(task.createdAt)),
            ("error", .text(poll.state == .failed ? task.message : "")),
            ("timings", .object([("inference", .int(poll.state == .succeeded ? 2500 : 0))])),
        ]
        return .object(members + poll.contradiction("status", Self.words))
    }

    /// As the page of the POST has it.
    func page(_ polls: [Poll], _ request: Request) -> Response {
        let body = request.object()
        let number =
            body.map { $0["page"] as? Int }
            ?? request.number("page", standard: 1, most: 10_000)
        let size =
            body.map { $0["page_size"] as? Int }
            ?? request.number("page_size", standard: 100, most: 100)
        guard let number, number > 0, let size, (1...100).contains(size) else {
            return refused(400, "page or page_size is out of range")
        }
        let page = world.lastWeek(polls).page(from: (number - 1) * size, size: size).polls
        let lines = JSONText.array(page.map { record($0) })
        return .json(envelope(.object([("page", .int(number)), ("items", lines)])))
    }
}
