/// Runway: words in capitals, signed addresses that are made anew whenever it is asked.
struct RunwayPlay: RecordPlay {
    static let provider = Provider.runway
    let world: World

    private static let words = Words(
        pending: "THROTTLED", running: "RUNNING", succeeded: "SUCCEEDED", failed: "FAILED",
        cancelled: "CANCELLED")

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET", parts.count == 3, parts.starts(with: ["v1", "tasks"]) else {
            return .unknown
        }
        return .poll(endpoint: Endpoint.tasks, id: parts[2])
    }

    /// What a missing version comes to is made up.
    func refusal(_ request: Request) -> (response: Response, isUnauthorized: Bool)? {
        guard holdsKey(request) else { return (refused(401, "Invalid API key"), true) }
        guard request.headers["x-runway-version"]?.isEmpty == false else {
            return (refused(400, "The X-Runway-Version header is required"), false)
        }
        return nil
    }

    func refused(_ status: Int, _ message: String) -> Response {
        .json(.object([("error", .text(message))]), status: status)
    }

    func record(_ poll: Poll) -> JSONText {
        var members: [(String, JSONText)] = [
            ("id", .text(poll.task.id)), ("status", poll.word(Self.words)),
            ("createdAt", Moment.text(poll.task.createdAt)),
        ]
        switch poll.state {
        case .running: members.append(("progress", .number("0.42")))
        case .succeeded: members.append(("output", .array(poll.urls.map { .text($0) })))
        case .failed:
            members.append(("failure", .text(poll.task.message)))
            members.append(("failureCode", .text("INTERNAL.BAD_OUTPUT.CODE01")))
        case .pending, .cancelled, .expired: break
        }
        return .object(members + poll.contradiction("status", Self.words))
    }

    func callback(_ poll: Poll) -> JSONText? { nil }
}
