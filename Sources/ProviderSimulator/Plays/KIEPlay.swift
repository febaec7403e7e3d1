import Core
import Foundation

/// KIE.ai as its pages describe it: the status is in the body, whatever HTTP says.
struct KIEPlay: Play {
    let world: World

    func intent(_ request: Request) -> Intent {
        switch (request.method, request.segments.dropFirst().joined(separator: "/")) {
        case ("GET", "api/v1/jobs/recordInfo"):
            .poll(endpoint: Endpoint.market, id: request.query("taskId") ?? "")
        case ("GET", "api/v1/veo/record-info"):
            .poll(endpoint: Endpoint.veo, id: request.query("taskId") ?? "")
        case ("POST", "api/v1/jobs/createTask"): .create(endpoint: Endpoint.market)
        case ("POST", "api/v1/veo/generate"): .create(endpoint: Endpoint.veo)
        case ("POST", "api/v1/common/download-url"): .refresh
        case ("GET", "api/v1/chat/credit"): .credit
        default: .unknown
        }
    }

    func refusal(_ request: Request) -> (response: Response, isUnauthorized: Bool)? {
        // Cloudflare stands in front, so this comes before the key.
        guard request.headers["user-agent"]?.contains("Mozilla/") == true else {
            return (.text("error code: 1010", type: "text/plain", status: 403), false)
        }
        guard request.headers["authorization"] == "Bearer " + world.credentials.apiKey(.kie) else {
            return (Self.body(401, "You do not have access permissions"), true)
        }
        return nil
    }

    func response(to trouble: Trouble) -> Response {
        switch trouble {
        case .unauthorized:
            Self.body(401, "You do not have access permissions")
        case .rateLimited:
            Self.body(429, "The call frequency is too high. Please try again later.", status: 429)
        case .serverError(variety: 0):
            Self.body(500, "Server exception, please try again later", status: 500)
        case .serverError(variety: 1):
            Self.body(455, "The system is under maintenance, please try again later")
        case .serverError, .refuse, .hang, .cut:
            .badGateway
        }
    }

    func perform(_ intent: Intent, _ request: Request, trouble: Trouble?) -> Response {
        switch intent {
        case .poll(let endpoint, let id):
            guard
                let poll = world.poll(id, provider: .kie, endpoint: endpoint, trouble: trouble)
            else { return Self.body(422, "recordInfo is null", data: .null) }
            return poll.response(
                world: world, envelope: { Self.envelope($0) },
                data: { endpoint == Endpoint.veo ? Self.veo($0) : Self.market($0) })
        case .create(let endpoint):
            guard request.object() != nil else { return Self.body(400, "request body is invalid") }
            let task = create(provider: .kie, endpoint: endpoint, externalID: nil)
            guard let task else { return Self.body(500, "the order for new tasks does not fit") }
            return .json(Self.envelope(.object([("taskId", .text(task.id))])))
        case .refresh:
            return refresh(request)
        case .credit:
            return .json(Self.envelope(.number(credit())))
        case .list, .result, .content, .keys, .unknown:
            return Self.body(404, "Not Found", status: 404)
        }
    }

    // MARK: - Bodies

    private static func body(
        _ code: Int, _ message: String, data: JSONText? = nil, status: Int = 200
    ) -> Response {
        var members: [(String, JSONText)] = [("code", .int(code)), ("msg", .text(message))]
        if let data { members.append(("data", data)) }
        return .json(.object(members), status: status)
    }

    private static func envelope(_ data: JSONText) -> JSONText {
        .object([("code", .int(200)), ("msg", .text("success")), ("data", data)])
    }

    /// Our own input comes back in every answer, URLs included; nobody must take those for results.
    private static func parameters(_ task: SimulatedTask) -> String {
        JSONText.object([
            ("model", .text("kling-2.6/image-to-video")),
            ("callBackUrl", .text(task.callbackURL ?? "https://app.example.com/hooks/kie")),
            (
                "input",
                .object([
                    ("prompt", .text("a paper boat on a canal")),
                    ("image_urls", .array([.text("https://uploads.example.com/in/boat.png")])),
                ])
            ),
        ]).string
    }

    private static let words = Words(
        pending: "waiting", running: "generating", succeeded: "success", failed: "fail")

    private static func market(_ poll: Poll) -> JSONText {
        let task = poll.task
        let urls = JSONText.object([("resultUrls", .array(poll.urls.map { .text($0) }))])
        var members: [(String, JSONText)] = [
            ("taskId", .text(task.id)), ("model", .text("kling-2.6/image-to-video")),
            ("state", poll.word(words)), ("param", .text(parameters(task))),
            ("resultJson", poll.state == .succeeded ? .text(urls.string) : .null),
            ("failCode", .text(poll.state == .failed ? "500" : "")),
            ("failMsg", .text(poll.state == .failed ? task.message : "")),
            ("costTime", poll.state.isFinal ? .int(81_234) : .null),
            ("completeTime", task.finishedAt.map { .int(Int($0)) } ?? .null),
            ("createTime", .int(Int(task.createdAt))), ("updateTime", .int(Int(poll.updatedAt))),
        ]
        if poll.state == .succeeded, let cost = task.cost {
            members.append(("creditsConsumed", number(cost)))
        }
        return .object(members + poll.contradiction("state", words))
    }

    private static func veo(_ poll: Poll) -> JSONText {
        let task = poll.task
        let state =
            switch poll.state {
            case .pending, .running: 0
            case .succeeded: 1
            case .failed, .cancelled, .expired: 3
            }
        let result = JSONText.object([
            ("taskId", .text(task.id)), ("resultUrls", .array(poll.urls.map { .text($0) })),
            // Filled only beside results: a client may fall back to it when there are none.
            ("originUrls", poll.urls.isEmpty ? .null : .array([.text(origin)])),
            ("resolution", .text("1080p")),
        ])
        var members: [(String, JSONText)] = [
            ("taskId", .text(task.id)), ("paramJson", .text(parameters(task))),
            ("completeTime", task.finishedAt.map { .text(time($0)) } ?? .null),
            ("response", poll.state == .succeeded ? result : .null),
            ("successFlag", .int(poll.shape == .unknownState ? 9 : state)),
            ("errorCode", poll.state == .failed ? .text("501") : .null),
            ("errorMessage", .text(poll.state == .failed ? task.message : "")),
            ("createTime", .text(time(task.createdAt))), ("fallbackFlag", .bool(false)),
        ]
        if poll.shape == .duplicateKeys {
            members.append(("successFlag", .int(state == 1 ? 3 : 1)))
        }
        return .object(members)
    }

    private static let origin = "https://cdn.example.com/veo/origin.mp4"

    private static func time(_ milliseconds: Int64) -> String {
        Instant(unixSeconds: milliseconds / 1000).description
            .replacingOccurrences(of: "T", with: " ").replacingOccurrences(of: "Z", with: "")
    }

    /// A number when it is one in JSON's grammar, else a text.
    private static func number(_ text: String) -> JSONText {
        let isNumber = text.wholeMatch(of: /-?(0|[1-9][0-9]*)(\.[0-9]+)?/) != nil
        return isNumber ? .number(text) : .text(text)
    }

    /// As the poll says it, but for Veo, whose callbacks are shaped otherwise.
    func callback(_ poll: Poll) -> JSONText? {
        let task = poll.task
        let hasFailed = poll.state == .failed
        guard task.endpoint == Endpoint.veo else {
            return .object([
                ("code", .int(hasFailed ? 501 : 200)),
                ("msg", .text(hasFailed ? task.message : "success")), ("data", Self.market(poll)),
            ])
        }
        let information: [(String, JSONText)] = [
            ("resultUrls", .array(poll.urls.map { .text($0) })), ("originUrls", .array([])),
            ("resolution", .text("1080p")),
        ]
        return .object([
            ("code", .int(hasFailed ? 501 : 200)),
            ("msg", .text(hasFailed ? task.message : "success")),
            (
                "data",
                .object([
                    ("taskId", .text(task.id)), ("info", .object(information)),
                    ("fallbackFlag", .bool(false)),
                ])
            ),
        ])
    }

    // MARK: - Files and credits

    private func refresh(_ request: Request) -> Response {
        let refused = Self.body(422, "The file url is not supported or does not exist")
        guard let text = request.object()?["url"] as? String,
            text.hasPrefix(world.base + "/files/")
        else { return refused }
        let target = String(text.dropFirst(world.base.count))
        let named = Request(
            method: "GET", target: target, headers: [:], body: [], keepAlive: false)
        guard let (task, ordinal) = FilesPlay(world: world).file(named), task.provider == .kie
        else { return refused }
        let generation = world.change { state in
            state.counts.refreshes["\(task.id)/\(ordinal)", default: 0] += 1
            return state.counts.refreshes["\(task.id)/\(ordinal)", default: 0]
        }
        guard task.refreshable else { return refused }
        var url = ResultURL(task: task, ordinal: ordinal)
        url.generation = generation
        url.expiresAtSeconds = Clock.milliseconds() / 1000 + 1200
        return .json(Self.envelope(.text(url.text(world))))
    }

    /// What a purse of 100,000 has left after everything that succeeded.
    private func credit() -> String {
        let now = Clock.milliseconds()
        let spent = world.read { state in
            state.tasks.values
                .filter { $0.provider == .kie && $0.state(at: now) == .succeeded }
                .reduce(into: Decimal(0)) { $0 += Decimal(string: $1.cost ?? "0") ?? 0 }
        }
        return "\(Decimal(100_000) - spent)"
    }
}
