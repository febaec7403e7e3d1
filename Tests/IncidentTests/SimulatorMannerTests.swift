import Core
import TestSupport
import Testing

/// What the simulator does beside answering polls: lists, callbacks, files behind a key.
@Suite struct SimulatorManners {
    /// Where the lines of a page are, and the endpoint that asks for the page after it.
    private static func page(
        _ name: String, _ answer: JSONValue, _ endpoint: String, _ number: Int
    ) -> (lines: [JSONValue], next: String?) {
        let rest = answer["data"]
        switch name {
        case "replicate":
            let next = answer["next"]?.text?.split(separator: "?").last.map(String.init)
            return (answer["results"]?.array ?? [], next.map { "/v1/predictions?" + $0 })
        case "luma":
            let hasMore = answer["has_more"]?.bool == true
            return (answer["generations"]?.array ?? [], hasMore ? "\(number * 2)" : nil)
        case "fal":
            return (answer["items"]?.array ?? [], answer["next_cursor"]?.text)
        case "openai-videos":
            let hasMore = answer["has_more"]?.bool == true
            return (rest?.array ?? [], hasMore ? answer["last_id"]?.text : nil)
        case "wavespeed":
            let lines = rest?["items"]?.array ?? []
            return (lines, lines.isEmpty ? nil : "\(number + 1)")
        default:
            let total = answer["total"]?.int ?? 0
            return (answer["items"]?.array ?? [], number * 2 < Int(total) ? "\(number + 1)" : nil)
        }
    }

    @Test(arguments: [
        ("replicate", "GET /v1/predictions", ""),
        ("fal", "GET /v1/models/requests/by-endpoint?endpoint_id=fal-ai/example-video", "&cursor="),
        ("luma", "GET /dream-machine/v1/generations?limit=2", "&offset="),
        ("minimax", "GET /v2/query/video_generation?page_size=2", "&page_num="),
        ("seedance", "GET /api/v3/contents/generations/tasks?page_size=2", "&page_num="),
        ("wavespeed", "GET /api/v3/predictions?page_size=2", "&page="),
        ("openai-videos", "GET /v1/videos?limit=2", "&after="),
    ])
    func `a list has every task once, newest first, page by page`(
        _ name: String, _ endpoint: String, _ cursor: String
    ) throws {
        let simulator = try Simulator()
        _ = try simulator.post("/control/lists", json: ["page_limit": 2])
        let orders = (1...5).map { age -> JSONValue in
            var order: [String: JSONValue] = [
                "provider": .string(name), "task_id": .string("task-\(age)"),
                // Not the order in which they are made.
                "created_ms_ago": .integer((age * 7 % 5 + 1) * 60_000),
            ]
            if name == "minimax" { order["endpoint"] = "v2" }
            return .object(JSONObject(order.map { .init(key: $0.key, value: $0.value) }))
        }
        _ = try simulator.post("/control/tasks", json: .array(orders))
        var seen: [String] = []
        var next: String? = endpoint
        var number = 0
        while let asked = next {
            number += 1
            let answer = try Question.ask(name, asked, "", simulator)
            #expect(answer.status == 200, "\(answer.text)")
            let (lines, following) = Self.page(name, try answer.json(), endpoint, number)
            #expect(lines.count <= 2)
            seen += lines.compactMap { ($0["id"] ?? $0["request_id"])?.text }
            next = following.map { cursor.isEmpty ? "GET " + $0 : endpoint + cursor + $0 }
            try #require(number < 9, "it never ends")
        }
        let ages = (1...5).sorted { $0 * 7 % 5 < $1 * 7 % 5 }
        #expect(seen == ages.map { "task-\($0)" })
    }

    @Test func `a callback has a signature and is brought to the loopback only`() throws {
        let simulator = try Simulator()
        // The application's endpoint, which keeps what it is sent although it refuses it.
        let receiver = simulator.baseURL + "/app/trigger"
        for name in ["kie", "kling"] + Question.names {
            let made = try simulator.post("/control/tasks", json: ["provider": .string(name)])
            let id = try #require(made["tasks"]?.array?.first?["task_id"])
            let order: JSONValue = [
                "task_id": id, "url": .string(receiver), "copies": 2,
            ]
            guard name != "runway", name != "google-veo" else {
                #expect(throws: TestSupportError.self) {
                    try simulator.post("/control/callbacks", json: order)
                }
                continue
            }
            let sent = try simulator.post("/control/callbacks", json: order)
            #expect(sent["statuses"] == [401, 401], "\(name)")
            let received = try simulator.get("/control/counts")["triggers"]?[""]?["bodies"]
            let body = try JSON.parse(Array((sent["body"]?.text ?? "").utf8))
            #expect(received?.array?.suffix(2) == [body, body], "\(name)")
            #expect(sent["body"]?.text?.contains(id.text ?? "?") == true, "\(name)")
            let isSigned = !["kling", "luma", "minimax", "seedance"].contains(name)
            #expect(sent["headers"]?.object?.members.isEmpty == !isSigned, "\(name)")
            #expect(throws: TestSupportError.self) {
                try simulator.post(
                    "/control/callbacks",
                    json: ["task_id": id, "url": "http://192.0.2.1/hooks"])
            }
        }
    }

    @Test(arguments: PlayedProvider.named("google-veo", "openai-videos"))
    func `a file behind a key is handed out to who has it`(_ provider: PlayedProvider) throws {
        let simulator = try Simulator()
        let made = try simulator.post("/control/tasks", json: ["provider": .string(provider.name)])
        let id = try #require(made["tasks"]?.array?.first?["task_id"]?.text)
        let url = try #require(simulator.task(id)["files"]?.array?.first?["url"]?.text)
        let path = String(url.dropFirst(simulator.baseURL.count))
        let bare = try Loopback.request("GET", port: simulator.port, path: path)
        #expect(bare.status == 401)
        let answer = try Loopback.request(
            "GET", port: simulator.port, path: path, headers: Question.key(provider.name))
        guard provider.name == "google-veo" else {
            return #expect(answer.body.count == 4096)
        }
        // Another host, which must not see the key.
        #expect(answer.status == 302)
        let place = answer.headers.first { $0.name == "location" }?.value
        #expect(place?.hasPrefix("http://127.0.0.2:") == true, "\(place ?? "")")
    }

    @Test(arguments: [
        ("runway", "outcome", "expire"), ("luma", "outcome", "cancel"),
        ("piapi", "endpoint", "suno"), ("fal", "endpoint", "no-model"),
    ])
    func `an order that a provider cannot carry out is refused`(
        _ name: String, _ member: String, _ value: String
    ) throws {
        let simulator = try Simulator()
        #expect(throws: TestSupportError.self) {
            try simulator.post(
                "/control/tasks",
                json: .object(
                    JSONObject([
                        .init(key: "provider", value: .string(name)),
                        .init(key: member, value: .string(value)),
                    ])))
        }
    }
}
