/// PiAPI: many services behind one envelope, with the result wherever the model puts it.
struct PiAPIPlay: RecordPlay {
    static let provider = Provider.piapi
    static let keyHeader = (name: "x-api-key", prefix: "")
    let world: World

    /// The schema has these words in capitals, the examples in small letters.
    private static let words = Words(
        pending: "Staged", running: "processing", succeeded: "completed", failed: "failed")

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET", parts.count == 4, parts.starts(with: ["api", "v1", "task"])
        else { return .unknown }
        return .poll(endpoint: Endpoint.tasks, id: parts[3])
    }

    /// The envelope of an answer; how a refusal looks no page tells.
    func refused(_ status: Int, _ message: String) -> Response {
        .json(
            .object([("code", .int(status)), ("data", .null), ("message", .text(message))]),
            status: status)
    }

    func envelope(_ record: JSONText) -> JSONText {
        .object([("code", .int(200)), ("data", record), ("message", .text("success"))])
    }

    func record(_ poll: Poll) -> JSONText {
        let task = poll.task
        let hasFailed = poll.state == .failed
        let hook: [(String, JSONText)] = [
            ("endpoint", .text(task.callbackURL ?? "")), ("secret", .text("")),
        ]
        let error: [(String, JSONText)] = [
            ("code", .int(hasFailed ? 10_000 : 0)), ("raw_message", .text("")),
            ("message", .text(hasFailed ? task.message : "")), ("detail", .null),
        ]
        let members: [(String, JSONText)] = [
            ("task_id", .text(task.id)), ("model", .text(task.endpoint)),
            ("task_type", .text("video_generation")), ("status", poll.word(Self.words)),
            (
                "config",
                .object([
                    ("service_mode", .text("public")), ("webhook_config", .object(hook)),
                ])
            ),
            ("input", .object([("image_url", .text("https://uploads.example.com/in/p.png"))])),
            ("output", poll.state == .succeeded ? Self.output(poll) : .object([])),
            ("meta", .object([])), ("detail", .null), ("logs", .array([])),
            ("error", .object(error)),
        ]
        return .object(members + poll.contradiction("status", Self.words))
    }

    private static func output(_ poll: Poll) -> JSONText {
        let url = JSONText.text(orNull: poll.urls.first)
        switch poll.task.endpoint {
        case "kling":
            return .object([
                ("type", .text("m2v_img2video")), ("status", .int(99)),
                ("works", .array(poll.urls.map(work))),
            ])
        case "luma":
            // The id in here is not the task's.
            return .object([
                (
                    "generation",
                    .object([
                        ("id", .text("ab9124ef-0000-4da7-bf12-0c3891a3cc01")),
                        ("state", .text("completed")),
                        ("video", .object([("url", url), ("thumbnail", .null)])),
                    ])
                )
            ])
        case "flux" where poll.urls.count > 1:
            return .object([("image_urls", .array(poll.urls.map { .text($0) }))])
        case "flux":
            return .object([("image_url", url)])
        default:
            return .object([("video_url", url)])
        }
    }

    /// One rendering, with a cover and a watermarked twin that are no results.
    private static func work(_ url: String) -> JSONText {
        let marked: [(String, JSONText)] = [
            ("resource", .text("https://cdn.example.com/pi/marked.mp4")),
            ("resource_without_watermark", .text(url)), ("height", .int(960)),
            ("width", .int(960)), ("duration", .int(5041)),
        ]
        let cover: [(String, JSONText)] = [
            ("resource", .text("https://cdn.example.com/pi/cover.jpg")),
            ("resource_without_watermark", .text("")),
        ]
        return .object([
            ("content_type", .text("video")), ("status", .int(99)),
            ("type", .text("m2v_img2video")), ("cover", .object(cover)), ("video", .object(marked)),
        ])
    }

    func callback(_ poll: Poll) -> JSONText? {
        .object([
            ("timestamp", .int(Int(Clock.milliseconds() / 1000))), ("data", record(poll)),
        ])
    }
}
