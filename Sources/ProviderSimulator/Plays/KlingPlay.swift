import Foundation

/// Kling's official API: a JWT for each request, one path for each family, codes beside statuses.
struct KlingPlay: Play {
    let world: World

    func intent(_ request: Request) -> Intent {
        let segments = request.segments
        guard segments.count == 4 || segments.count == 5, segments[1] == "v1",
            let endpoint = Endpoint.kling(group: segments[2], kind: segments[3])
        else { return .unknown }
        return switch (request.method, segments.count) {
        case ("GET", 5): .poll(endpoint: endpoint, id: segments[4])
        case ("GET", 4): .list(endpoint: endpoint)
        case ("POST", 4): .create(endpoint: endpoint)
        default: .unknown
        }
    }

    func refusal(_ request: Request) -> (response: Response, isUnauthorized: Bool)? {
        let refusal = JWTCheck.judge(
            request.headers["authorization"], accessKey: world.credentials.klingAccessKey,
            secretKey: world.credentials.klingSecretKey, now: Clock.milliseconds() / 1000)
        guard let refusal else { return nil }
        return (body(refusal.code, refusal.message, status: 401), true)
    }

    func response(to trouble: Trouble) -> Response {
        switch trouble {
        case .unauthorized: body(1002, "Authorization signature is invalid", status: 401)
        case .rateLimited: body(1302, "API request too fast", status: 429)
        case .serverError(variety: 0): body(5000, "Internal server error", status: 500)
        case .serverError(variety: 1): body(5001, "Server temporarily unavailable", status: 503)
        case .serverError, .refuse, .hang, .cut: body(5002, "Server internal timeout", status: 504)
        }
    }

    func perform(_ intent: Intent, _ request: Request, trouble: Trouble?) -> Response {
        switch intent {
        case .poll(let endpoint, let id):
            guard
                let poll = world.poll(id, provider: .kling, endpoint: endpoint, trouble: trouble)
            else { return body(1203, "The requested resource does not exist", status: 404) }
            return poll.response(
                world: world, envelope: { envelope($0) }, data: { Self.task($0) })
        case .list(let endpoint):
            return list(endpoint, request)
        case .create(let endpoint):
            return created(endpoint, request)
        case .result, .content, .keys, .refresh, .credit, .unknown:
            return body(1202, "The requested method is invalid", status: 404)
        }
    }

    private func list(_ endpoint: String, _ request: Request) -> Response {
        guard let page = request.number("pageNum", standard: 1, most: 1000),
            let size = request.number("pageSize", standard: 30, most: 500)
        else { return body(1201, "pageNum or pageSize is out of range", status: 400) }
        let polls = world.listed(.kling, endpoint).page(from: (page - 1) * size, size: size).polls
        return .json(envelope(.array(polls.map { Self.task($0) })))
    }

    private func created(_ endpoint: String, _ request: Request) -> Response {
        guard let object = request.object() else {
            return body(1201, "Request body is invalid", status: 400)
        }
        let externalID = (object["external_task_id"] as? String).flatMap { $0.isEmpty ? nil : $0 }
        // The pages call it unique for each account; what a repeated one does they do not say.
        if let externalID, world.read({ $0.externals[externalID]?.isEmpty == false }) {
            return body(1201, "external_task_id already exists", status: 400)
        }
        guard let task = create(provider: .kling, endpoint: endpoint, externalID: externalID)
        else { return body(5000, "the order for new tasks does not fit", status: 500) }
        return .json(
            envelope(
                .object([
                    ("task_id", .text(task.id)), ("task_status", .text("submitted")),
                    ("task_info", Self.information(task)),
                    ("created_at", .int(Int(task.createdAt))),
                    ("updated_at", .int(Int(task.createdAt))),
                ])))
    }

    func callback(_ poll: Poll) -> JSONText? { Self.task(poll) }

    // MARK: - Bodies

    private static let words = Words(
        pending: "submitted", running: "processing", succeeded: "succeed", failed: "failed")

    private func body(_ code: Int, _ message: String, status: Int) -> Response {
        .json(
            .object([
                ("code", .int(code)), ("message", .text(message)), ("request_id", requestID()),
            ]), status: status)
    }

    private func envelope(_ data: JSONText) -> JSONText {
        .object([
            ("code", .int(0)), ("message", .text("SUCCEED")), ("request_id", requestID()),
            ("data", data),
        ])
    }

    private func requestID() -> JSONText {
        let bits = world.change { $0.chance.bits("request_id") }
        return .text("7c0e8a51-" + String(bits | 1 << 63, radix: 16))
    }

    private static func information(_ task: SimulatedTask) -> JSONText {
        .object(task.externalID.map { [("external_task_id", .text($0))] } ?? [])
    }

    private static func task(_ poll: Poll) -> JSONText {
        let task = poll.task
        var members: [(String, JSONText)] = [
            ("task_id", .text(task.id)), ("task_status", poll.word(words)),
            ("task_status_msg", .text(poll.state == .failed ? task.message : "")),
            ("task_info", information(task)), ("created_at", .int(Int(task.createdAt))),
            ("updated_at", .int(Int(poll.updatedAt))),
            ("task_result", poll.state == .succeeded ? result(poll) : .object([])),
        ]
        if poll.state == .succeeded, let cost = task.cost {
            members.append(("final_unit_deduction", .text(cost)))
        }
        return .object(members + poll.contradiction("task_status", words))
    }

    private static func result(_ poll: Poll) -> JSONText {
        if Endpoint.isImage(poll.task.endpoint, of: .kling) {
            let images = poll.urls.enumerated().map { index, url in
                JSONText.object([("index", .int(index)), ("url", .text(url))])
            }
            return .object([("images", .array(images))])
        }
        let videos = poll.urls.enumerated().map { index, url in
            JSONText.object([
                ("id", .text("\(poll.task.id)-\(index)")), ("url", .text(url)),
                ("watermark_url", .text("")), ("duration", .text("5.041")),
            ])
        }
        return .object([("videos", .array(videos))])
    }
}
