import Foundation

/// Replicate: the state beside any output, and everything gone after an hour.
struct ReplicatePlay: RecordPlay {
    static let provider = Provider.replicate
    let world: World

    private static let words = Words(
        pending: "starting", running: "processing", succeeded: "succeeded", failed: "failed",
        cancelled: "canceled")
    private static let pageSize = 100

    func intent(_ request: Request) -> Intent {
        let parts = request.segments.dropFirst()
        guard request.method == "GET", parts.starts(with: ["v1", "predictions"]) else {
            return .unknown
        }
        return switch parts.count {
        case 2: .list(endpoint: Endpoint.tasks)
        case 3: .poll(endpoint: Endpoint.tasks, id: parts.last ?? "")
        default: .unknown
        }
    }

    func refused(_ status: Int, _ message: String) -> Response {
        // A number here, where a prediction has its state.
        .json(
            .object([
                ("detail", .text(message)), ("status", .int(status)),
                ("title", .text(Response.reasons[status] ?? "Error")),
            ]), status: status)
    }

    func record(_ poll: Poll) -> JSONText {
        let task = poll.task
        let isRemoved = task.filesAreExpired(at: Clock.milliseconds())
        let address = "\(world.place(.replicate))/v1/predictions/\(task.id)"
        var members: [(String, JSONText)] = [
            ("id", .text(task.id)), ("model", .text("acme/video-maker")),
            ("version", .text("hidden")),
            (
                "input",
                .object([
                    ("prompt", .text("rain")),
                    ("image", .text("https://uploads.example.com/in/rain.png")),
                ])
            ),
            ("logs", .text("")), ("output", isRemoved ? .null : Self.output(poll)),
            ("error", poll.state == .failed ? .text(task.message) : .null),
            ("status", poll.word(Self.words)), ("source", .text("api")),
            ("data_removed", .bool(isRemoved)), ("created_at", Moment.text(task.createdAt)),
            ("started_at", poll.state == .pending ? .null : Moment.text(task.createdAt)),
            ("completed_at", poll.state.isFinal ? Moment.text(poll.updatedAt) : .null),
            ("metrics", Self.metrics(poll)),
            (
                "urls",
                .object([
                    ("get", .text(address)), ("cancel", .text(address + "/cancel")),
                    ("web", .text("https://replicate.com/p/" + task.id)),
                ])
            ),
        ]
        if let callback = task.callbackURL { members.append(("webhook", .text(callback))) }
        return .object(members + poll.contradiction("status", Self.words))
    }

    /// One file is a bare text, several are an array.
    private static func output(_ poll: Poll) -> JSONText {
        guard let first = poll.urls.first else { return .null }
        return poll.urls.count == 1 ? .text(first) : .array(poll.urls.map { .text($0) })
    }

    private static func metrics(_ poll: Poll) -> JSONText {
        guard poll.state.isFinal, let seconds = poll.task.cost else { return .object([]) }
        return .object([("predict_time", .number(seconds)), ("total_time", .number(seconds))])
    }

    /// The cursor is the last prediction of the page before, disguised as the real ones are.
    func page(_ polls: [Poll], _ request: Request) -> Response {
        let cursor = request.query("cursor")
        let last = cursor.flatMap { Data(base64Encoded: $0) }
            .map { String(decoding: $0, as: UTF8.self) }
        guard cursor == nil || last != nil, let rest = polls.after(last) else {
            return refused(400, "Invalid cursor")
        }
        let (page, hasMore) = rest.page(from: 0, size: world.pageSize(Self.pageSize))
        let next = page.last.flatMap { last in
            Data(last.task.id.utf8).base64EncodedString()
                .addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        }
        let address = "\(world.place(.replicate))/v1/predictions?cursor="
        return .json(
            .object([
                ("previous", .null),
                ("next", .text(orNull: hasMore ? next.map { address + $0 } : nil)),
                ("results", .array(page.map { record($0) })),
            ]))
    }
}
