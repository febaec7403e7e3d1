import Foundation

/// The queue of fal.ai: first whether a request is over, then, asked for separately, how it ended.
struct FalPlay: RecordPlay {
    static let provider = Provider.fal
    static let keyHeader = (name: "authorization", prefix: "Key ")
    let world: World

    private static let words = Words(
        pending: "IN_QUEUE", running: "IN_PROGRESS", succeeded: "COMPLETED", failed: "COMPLETED")
    /// The most lines of a page, and as many as there are when nobody says how many.
    private static let pageSizes = (most: 100, standard: 50)
    private static let dayInMilliseconds: Int64 = 86_400_000

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET" else { return .unknown }
        switch parts {
        case ["v1", "models", "requests", "by-endpoint"]:
            return .list(endpoint: request.query("endpoint_id") ?? "")
        case [".well-known", "jwks.json"]:
            return .keys
        default:
            guard parts.count == 4 || parts.count == 5, parts[2] == "requests" else {
                return .unknown
            }
            let endpoint = parts[0] + "/" + parts[1]
            if parts.count == 4 { return .result(endpoint: endpoint, id: parts[3]) }
            return parts[4] == "status" ? .poll(endpoint: endpoint, id: parts[3]) : .unknown
        }
    }

    func refusal(_ request: Request) -> (response: Response, isUnauthorized: Bool)? {
        if case .keys = intent(request) { return nil }
        return holdsKey(request) ? nil : (refused(401, "Invalid API key"), true)
    }

    func refused(_ status: Int, _ message: String) -> Response {
        .json(.object([("detail", .text(message))]), status: status)
    }

    var keySet: Response { .json(Webhook(world: world, provider: .fal).keySet) }

    func answer(_ poll: Poll) -> Response {
        var response = poll.response(
            world: world, envelope: { envelope($0) }, data: { record($0) })
        if response.status == 200, !poll.state.isFinal { response.status = 202 }
        return response
    }

    func record(_ poll: Poll) -> JSONText {
        let address =
            "\(world.place(.fal))/\(Endpoint.asked(poll.task.endpoint, of: .fal))/requests/"
            + poll.task.id
        var members: [(String, JSONText)] = [
            ("status", poll.word(Self.words)), ("request_id", .text(poll.task.id)),
            ("response_url", .text(address)), ("status_url", .text(address + "/status")),
            ("cancel_url", .text(address + "/cancel")),
        ]
        switch poll.state {
        case .pending: members.append(("queue_position", .int(3)))
        case .running:
            let step: [(String, JSONText)] = [
                ("message", .text("step 4/20")), ("timestamp", Moment.text(poll.updatedAt)),
            ]
            members.append(("logs", .array([.object(step)])))
        case .succeeded, .failed, .cancelled, .expired:
            members.append(("logs", .null))
            members.append(("metrics", .object([("inference_time", .number("21.4"))])))
        }
        if poll.shape == .duplicateKeys { members.append(("status", .text("IN_QUEUE"))) }
        return .object(members)
    }

    func result(_ poll: Poll) -> Response {
        switch poll.state {
        case .pending, .running: refused(400, "Request is still in progress")
        case .succeeded: .json(payload(poll))
        case .failed, .cancelled, .expired: .json(payload(poll), status: 422)
        }
    }

    /// What the model itself answered.
    private func payload(_ poll: Poll) -> JSONText {
        guard poll.state == .succeeded else {
            let problem: [(String, JSONText)] = [
                ("loc", .array([.text("body"), .text("prompt")])),
                ("msg", .text(poll.task.message)), ("type", .text("value_error")),
            ]
            return .object([("detail", .array([.object(problem)]))])
        }
        let kind = poll.task.fileKind
        let files = poll.urls.enumerated().map { ordinal, url in
            JSONText.object([
                ("url", .text(url)), ("content_type", .text(kind.mediaType)),
                ("file_name", .text("\(ordinal).\(kind.rawValue)")),
                ("file_size", .int(poll.task.fileBytes)),
            ])
        }
        let isMany = files.count > 1
        let place: (String, JSONText) =
            switch kind {
            case .png, .jpg: ("images", .array(files))
            case .mp3: ("audio", files.first ?? .null)
            case .mp4: isMany ? ("videos", .array(files)) : ("video", files.first ?? .null)
            }
        // Above 2^53, as the real ones may be.
        return .object([place, ("seed", .number("196619188014358660"))])
    }

    /// Only what has ended within a day is listed, by the number of the page; whether what still
    /// runs is listed too, no page tells.
    func page(_ polls: [Poll], _ request: Request) -> Response {
        guard
            let size = request.number(
                "limit", standard: Self.pageSizes.standard, most: Self.pageSizes.most)
        else { return refused(422, "limit is out of range") }
        let number = request.query("cursor").map {
            Data(base64Encoded: $0).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
        }
        guard let page = number ?? 1, page > 0 else { return refused(422, "cursor is invalid") }
        let edge = Clock.milliseconds() - Self.dayInMilliseconds
        let limit = world.pageSize(size)
        let ended = polls.filter { $0.state.isFinal && $0.updatedAt >= edge }
        let (lines, hasMore) = ended.page(from: (page - 1) * limit, size: limit)
        return .json(
            .object([
                ("items", .array(lines.map(Self.line))),
                (
                    "next_cursor",
                    .text(orNull: hasMore ? Data("\(page + 1)".utf8).base64EncodedString() : nil)
                ),
                ("has_more", .bool(hasMore)),
            ]))
    }

    private static func line(_ poll: Poll) -> JSONText {
        .object([
            ("request_id", .text(poll.task.id)), ("endpoint_id", .text(poll.task.endpoint)),
            ("started_at", .text(Moment.seconds(poll.task.createdAt))),
            ("sent_at", .text(Moment.seconds(poll.task.createdAt))),
            ("ended_at", .text(Moment.seconds(poll.updatedAt))),
            ("status_code", .int(poll.state == .succeeded ? 200 : 422)),
            ("duration", .number("21.4")),
        ])
    }

    func callback(_ poll: Poll) -> JSONText? {
        var members: [(String, JSONText)] = [
            ("request_id", .text(poll.task.id)), ("gateway_request_id", .text(poll.task.id)),
            ("status", .text(poll.state == .succeeded ? "OK" : "ERROR")),
        ]
        if poll.state != .succeeded {
            members.append(("error", .text("Invalid status code: 422")))
        }
        return .object(members + [("payload", payload(poll))])
    }
}
