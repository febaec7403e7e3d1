import Core
import Foundation
import TestSupport
import Testing

/// A body that a provider sends, and the orders that make the simulator send one like it.
struct ShapeCase: Sendable, CustomTestStringConvertible {
    var file: String
    /// The first is the task that is asked about.
    var orders: [JSONValue]
    /// Members that come and go with the task, and are of no account here.
    var loose: Set<String>

    init(_ file: String, _ orders: JSONValue..., loose: Set<String> = []) {
        self.file = file
        self.orders = orders
        self.loose = loose
    }

    var testDescription: String { file }
    var provider: String { String(file.prefix { $0 != "/" }) }

    static let all: [ShapeCase] = [
        .init("replicate/starting.json", ["pending_polls": 1]),
        .init("replicate/succeeded-output-array.json", ["outputs": 2, "file_kind": "jpg"]),
        .init("replicate/succeeded-output-string.json", [:]),
        .init("replicate/failed-nsfw.json", ["outcome": "fail"]),
        .init("replicate/canceled.json", ["outcome": "cancel"]),
        .init("fal/status-in-queue.json", ["pending_polls": 1]),
        .init(
            "fal/status-in-progress.json", ["polls_until_done": 1],
            loose: ["status_url", "cancel_url"]),
        .init("fal/status-completed-needs-fetch.json", [:], loose: ["status_url", "cancel_url"]),
        .init("fal/result-video-object.json", [:]),
        .init(
            "fal/result-images.json", ["outputs": 2, "file_kind": "png"],
            loose: ["width", "height", "timings", "inference", "has_nsfw_concepts", "prompt"]),
        .init("fal/result-422-after-completed.json", ["outcome": "fail"]),
        .init("runway/throttled.json", ["pending_polls": 1]),
        .init("runway/running-progress.json", ["polls_until_done": 1]),
        .init("runway/succeeded.json", [:]),
        .init("runway/failed-bad-output.json", ["outcome": "fail"]),
        .init("luma/queued.json", ["pending_polls": 1]),
        .init("luma/dreaming.json", ["polls_until_done": 1]),
        .init("luma/completed-video.json", [:]),
        .init("luma/failed.json", ["outcome": "fail"]),
        .init("luma/list.json", ["polls_until_done": 1], [:], loose: ["image", "progress_video"]),
        .init("minimax/processing.json", ["polls_until_done": 1]),
        .init("minimax/success-file-id-needs-fetch.json", [:]),
        .init("minimax/fail.json", ["outcome": "fail"]),
        .init("minimax/file-retrieve.json", [:]),
        .init(
            "minimax/v2-list.json", ["endpoint": "v2"], ["endpoint": "v2", "outcome": "expire"]),
        .init("google-veo/running-done-absent.json", ["polls_until_done": 1]),
        .init("google-veo/done-generated-samples.json", [:]),
        .init("google-veo/done-error.json", ["outcome": "fail"]),
        .init("seedance/queued.json", ["pending_polls": 1]),
        .init("seedance/running.json", ["polls_until_done": 1]),
        .init("seedance/succeeded.json", [:]),
        .init("seedance/failed-sensitive.json", ["outcome": "fail"]),
        .init("seedance/expired.json", ["outcome": "expire"]),
        .init(
            "seedance/list.json", ["polls_until_done": 1], [:],
            loose: [
                "usage", "completion_tokens", "total_tokens", "resolution", "ratio", "duration",
                "framespersecond", "seed",
            ]),
        .init("wavespeed/created.json", ["pending_polls": 1]),
        .init("wavespeed/processing.json", ["polls_until_done": 1]),
        .init("wavespeed/completed.json", ["file_kind": "png"]),
        .init("wavespeed/failed-inside-200.json", ["outcome": "fail"]),
        .init("piapi/staged.json", ["pending_polls": 1]),
        .init("piapi/completed-kling-works.json", [:]),
        .init("piapi/failed.json", ["outcome": "fail"]),
        .init("openai-videos/queued.json", ["pending_polls": 1]),
        .init("openai-videos/in-progress.json", ["polls_until_done": 1]),
        .init("openai-videos/completed.json", [:]),
        .init("openai-videos/failed-moderation.json", ["outcome": "fail"]),
        .init("openai-videos/list.json", [:], ["outcome": "fail"]),
    ]
}

/// The simulator says what the providers say: same places, same members, same kinds of value.
@Suite struct SimulatorShapes {
    private static let samples = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("ProvidersTests/Samples")

    @Test(arguments: ShapeCase.all)
    func `a play answers where and how the provider does`(_ shape: ShapeCase) throws {
        let simulator = try Simulator()
        let index = try Self.sample("index.json")["cases"]?.array ?? []
        let entry = try #require(index.first { $0["file"]?.text == shape.file })
        let endpoint = try #require(entry["endpoint"]?.text)
        let sample = try Self.sample(shape.file)

        let provider = JSONObject.Member(key: "provider", value: .string(shape.provider))
        let orders = shape.orders.map { order in
            JSONValue.object(JSONObject([provider] + (order.object?.members ?? [])))
        }
        let made = try simulator.post("/control/tasks", json: .array(orders))
        let id = try #require(made["tasks"]?.array?.first?["task_id"]?.text)
        let answer = try Question.ask(shape.provider, endpoint, id, simulator)
        #expect(answer.status == entry["http_status"]?.int.map { Int($0) }, "\(answer.text)")
        let theirs = Self.places(sample, loose: shape.loose)
        let ours = Self.places(try answer.json(), loose: shape.loose)
        #expect(theirs.filter { ours[$0.key] == nil }.map(\.key).sorted() == [], "left out")
        #expect(ours.filter { theirs[$0.key] == nil }.map(\.key).sorted() == [], "made up")
        for (place, kind) in theirs where kind != "null" && ours[place] != "null" {
            #expect(ours[place] == kind, "\(place)")
        }
    }

    @Test(arguments: Question.names)
    func `a wrong key is refused in the provider's own words`(_ name: String) throws {
        let simulator = try Simulator()
        let poll = try #require(Question.polls[name])
        let right = try Question.ask(name, poll, "1", simulator)
        #expect(!right.text.contains("Invalid API key"), "\(right.text)")
        let path = "/\(name)\(poll.dropFirst("GET ".count))"
            .replacingOccurrences(of: "...", with: "/a/b")
            .replacingOccurrences(of: "{operation name}", with: "models/m/operations/o")
        for headers in [[], Question.key(name).map { ($0.0, $0.1 + "x") }] {
            let answer = try Loopback.request(
                "GET", port: simulator.port, path: path, headers: headers)
            // MiniMax alone speaks of everything in its body.
            #expect(answer.status == (name == "minimax" ? 200 : 401), "\(answer.text)")
            #expect(answer.text.contains("Invalid API key"), "\(answer.text)")
        }
        let refused = try simulator.get("/control/counts")["unauthorized"]?[name]?.int
        #expect(refused == 2)
    }

    private static func sample(_ file: String) throws -> JSONValue {
        try JSON.parse(Array(try Data(contentsOf: samples.appendingPathComponent(file))))
    }

    /// Every place in a document with the kind of its value; elements of an array share theirs.
    private static func places(
        _ value: JSONValue, loose: Set<String>, at place: String = ""
    ) -> [String: String] {
        switch value {
        case .null: return [place: "null"]
        case .bool: return [place: "bool"]
        case .number: return [place: "number"]
        case .string: return [place: "string"]
        case .array(let elements):
            return elements.reduce(into: [place: "array"]) { all, element in
                all.merge(places(element, loose: loose, at: place + "[]")) {
                    $0 == "null" ? $1 : $0
                }
            }
        case .object(let object):
            return object.members.reduce(into: [place: "object"]) { all, member in
                guard !loose.contains(member.key) else { return }
                all.merge(places(member.value, loose: loose, at: place + "." + member.key)) {
                    $0 == "null" ? $1 : $0
                }
            }
        }
    }
}
