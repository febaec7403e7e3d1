import Core
import HTTP
import Providers
import Testing

@Suite("KIE")
struct KIETests {
    static let url = #""https://a.example/x.mp4""#

    @Test(
        "the code in the body is the real status",
        arguments: [
            // body code, HTTP status, unknown here
            (400, 200, false), (401, 200, false), (402, 200, false), (404, 200, true),
            (422, 200, true), (429, 200, false), (455, 200, false), (500, 200, false),
            (505, 200, false), (501, 200, false), (777, 200, false), (404, 404, true),
            (422, 422, true), (500, 500, false), (404, 503, false),
        ])
    func refusals(code: Int, status: Int, isUnknownHere: Bool) {
        let body = #"{"code":\#(code),"msg":"Canary words","data":null}"#
        let verdict = read("kie", body, endpoint: "market", status: status)
        #expect(verdict.state == .unknown)
        #expect(verdict.errorClass == .transient)
        #expect(verdict.taskIsUnknownHere == isUnknownHere)
        #expect(verdict.errorMessage?.contains("Canary words") == true)
    }

    @Test(
        "no record counts beside a refusal, and none beside an unreadable code",
        arguments: ["400", "401", "402", "422", "429", "455", "500", "505", "\"OK\"", "true", "{}"])
    func recordsBesideRefusals(code: String) {
        for fields in [
            #""state":"fail""#, #""state":"success","resultJson":{"resultUrls":\#(Self.url)}"#,
        ] {
            #expect(read("kie", market(fields, code: code)).state == .unknown)
        }
    }

    @Test(
        "a failed generation needs a record that says so",
        arguments: [
            (#""state":"fail","failMsg":"why""#, TaskState.failed),
            (#""state":"generating""#, .unknown),
            (#""state":"success","resultJson":{"resultUrls":\#(url)}"#, .unknown),
            (#""model":"m""#, .unknown),
        ])
    func failedCode(fields: String, state: TaskState) {
        #expect(read("kie", market(fields, code: "501")).state == state)
    }

    @Test(
        "the market's words, trimmed and without case",
        arguments: [
            ("waiting", TaskState.pending), ("queuing", .pending), ("generating", .running),
            (" Generating\n", .running), ("FAIL", .failed), ("fail", .failed),
            ("failing", .unknown),
            ("failed?", .unknown), ("done", .unknown), ("", .unknown),
            ("suc\u{212A}cess", .unknown),
        ])
    func words(word: String, state: TaskState) {
        let verdict = read("kie", market(#""state":\#(JSON.quoted(word))"#), endpoint: "market")
        #expect(verdict.state == state)
        #expect(
            verdict.errorClass
                == (state == .failed ? .final : state == .unknown ? .transient : .none))
    }

    @Test(
        "a state that is no string is unknown",
        arguments: ["2", "null", "true", "[\"fail\"]", "{}"])
    func oddStates(json: String) {
        #expect(read("kie", market(#""state":\#(json)"#), endpoint: "market").state == .unknown)
    }

    @Test(
        "every documented result place of every family, and nothing around it",
        arguments: [
            (
                "market",
                #""state":"success","resultJson":"{\"resultUrls\":[\"https://a.example/x.mp4\"],\"resultWaterMarkUrls\":[\"https://a.example/w\"]}""#
            ),
            (
                "market",
                #""state":"success","resultJson":{"resultUrls":\#(url)},"param":"{\"input\":{\"image_urls\":[\"https://a.example/in\"]}}""#
            ),
            (
                "market",
                #""state":"success","resultJson":"{\"resultUrls\":\"[\\\"https://a.example/x.mp4\\\"]\"}""#
            ),
            (
                "market",
                #""state":"success","resultJson":{"videoUrl":\#(url)},"failMsg":"left over","failCode":"500""#
            ),
            (
                "veo",
                #""successFlag":1,"response":{"resultUrls":[\#(url)],"originUrls":["https://a.example/o"]}"#
            ),
            ("veo", #""successFlag":1,"response":{"resultUrls":[null,""],"originUrls":[\#(url)]}"#),
            (
                "veo",
                #""successFlag":"1","response":{"resultUrls":"[\"https://a.example/x.mp4\"]"}"#
            ),
            ("veo-1080p", #""resultUrl":\#(url)"#),
            (
                "runway",
                #""state":"success","failCode":400,"failMsg":"old","videoInfo":{"videoUrl":\#(url),"imageUrl":"https://a.example/c"}"#
            ),
            (
                "aleph",
                #""successFlag":1,"response":{"resultVideoUrl":\#(url),"resultImageUrl":"https://a.example/c"}"#
            ),
            (
                "gpt4o-image",
                #""successFlag":1,"status":"SUCCESS","errorCode":400,"response":{"resultUrls":[\#(url)]}"#
            ),
            (
                "flux-kontext",
                #""successFlag":1,"response":{"resultImageUrl":\#(url),"originImageUrl":"https://a.example/in"}"#
            ),
            (
                "suno",
                #""status":"SUCCESS","response":{"sunoData":[{"audioUrl":\#(url),"streamAudioUrl":"https://a.example/s","imageUrl":"https://a.example/c"}]}"#
            ),
            (
                "suno",
                #""status":"CALLBACK_EXCEPTION","response":{"sunoData":[{"audioUrl":\#(url)}]}"#
            ),
            ("mj", #""successFlag":1,"resultInfoJson":{"resultUrls":[{"resultUrl":\#(url)}]}"#),
            (
                "luma-modify",
                #""successFlag":4,"response":{"resultUrls":[\#(url)],"originUrls":["https://a.example/in"]}"#
            ),
        ])
    func places(family: String, fields: String) throws {
        for endpoint in [family, "GET " + (try path(family))] {
            let verdict = read("kie", market(fields), endpoint: endpoint)
            #expect(verdict.state == .succeeded)
            #expect(verdict.resultURLs == ["https://a.example/x.mp4"])
            #expect(verdict.errorMessage == nil)
            #expect(verdict.urlExpiresAt == testNow + .seconds(86_400))
        }
    }

    @Test(
        "success without a file in its place is unknown",
        arguments: [
            (
                "market",
                #""state":"success","resultJson":"{\"resultObject\":{\"u\":\"https://a.example/x\"}}""#
            ),
            (
                "market",
                #""state":"success","resultJson":"","param":"{\"u\":\"https://a.example/x\"}""#
            ),
            (
                "market",
                #""state":"success","resultJson":"{\"resultUrls\":[\"https://a.example/x\"],\"resultUrls\":[]}""#
            ),
            ("veo", #""successFlag":1,"response":{"imageUrls":["https://a.example/x"]}"#),
            ("veo", #""successFlag":1,"response":null"#),
            ("aleph", #""successFlag":1,"response":{"resultImageUrl":"https://a.example/c"}"#),
            (
                "flux-kontext",
                #""successFlag":1,"response":{"originImageUrl":"https://a.example/in"}"#
            ),
            ("luma-modify", #""successFlag":1,"response":{"originUrls":["https://a.example/in"]}"#),
            (
                "suno",
                #""status":"SUCCESS","response":{"sunoData":[{"streamAudioUrl":"https://a.example/s"}]}"#
            ),
            ("runway", #""state":"success","videoInfo":{"imageUrl":"https://a.example/c"}"#),
        ])
    func noFile(family: String, fields: String) {
        let verdict = read("kie", market(fields), endpoint: family)
        #expect(verdict.state == .unknown)
        #expect(verdict.errorClass == .transient)
        #expect(verdict.taskID == "t1")
    }

    @Test(
        "flags and words of the other families",
        arguments: [
            ("veo", #""successFlag":0"#, TaskState.running), ("veo", #""successFlag":2"#, .failed),
            ("veo", #""successFlag":3,"response":{"resultUrls":[\#(url)]}"#, .failed),
            ("veo", #""successFlag":4,"response":{"resultUrls":[\#(url)]}"#, .unknown),
            ("veo", #""successFlag":true"#, .unknown), ("veo", #""successFlag":null"#, .unknown),
            ("veo", #""status":"fail""#, .unknown), ("luma-modify", #""successFlag":2"#, .failed),
            ("gpt4o-image", #""successFlag":0,"status":"GENERATING","progress":"0.45""#, .running),
            ("gpt4o-image", #""successFlag":2,"status":"CREATE_TASK_FAILED""#, .failed),
            ("gpt4o-image", #""status":"GENERATE_FAILED""#, .failed),
            ("gpt4o-image", #""successFlag":3,"status":"GENERATING""#, .unknown),
            ("gpt4o-image", #""successFlag":3,"status":"ODD""#, .unknown),
            ("suno", #""status":"PENDING""#, .pending),
            ("suno", #""status":"TEXT_SUCCESS""#, .running),
            ("suno", #""status":"SENSITIVE_WORD_ERROR""#, .failed),
            ("suno", #""status":"GENERATE_AUDIO_FAILED""#, .failed),
            ("suno", #""status":"CALLBACK_EXCEPTION""#, .unknown),
            (
                "suno",
                #""status":"CALLBACK_EXCEPTION","response":{"sunoData":[{"audioUrl":\#(url)},{"audioUrl":""}]}"#,
                .unknown
            ),
            ("suno", #""status":200"#, .unknown),
            ("runway", #""state":"wait","videoInfo":{"videoUrl":\#(url)}"#, .pending),
            (
                "runway", #""state":"success","expireFlag":1,"videoInfo":{"videoUrl":\#(url)}"#,
                .expired
            ),
            ("runway", #""state":"fail","expireFlag":1"#, .failed),
        ])
    func families(family: String, fields: String, state: TaskState) {
        let verdict = read("kie", market(fields), endpoint: family)
        #expect(verdict.state == state)
        #expect(verdict.resultURLs.isEmpty)
    }

    @Test("a path that no table names is read by the shape of the record")
    func generalShape() {
        let endpoint = "GET /api/v9/new/record-info"
        #expect(read("kie", market(#""successFlag":2"#), endpoint: endpoint).state == .unknown)
        #expect(read("kie", market(#""state":"generating""#), endpoint: endpoint).state == .running)
        let body = market(#""successFlag":1,"response":{"resultUrls":[\#(Self.url)]}"#)
        #expect(read("kie", body, endpoint: nil).state == .succeeded)
    }

    @Test("cost, progress and expiry are read where they stand")
    func extras() {
        let fields = #""state":"success","resultJson":{"resultUrls":\#(Self.url)}"#
        var verdict = read(
            "kie",
            market(
                fields + #","creditsConsumed":70.50,"progress":100,"completeTime":1763701381234"#))
        #expect(verdict.cost == Cost(amount: "70.50", unit: "credits"))
        #expect(verdict.progress == 100)
        #expect(verdict.urlExpiresAt?.description == "2025-11-22T05:03:01Z")
        verdict = read("kie", market(fields + #","completeTime":"2026-11-20 10:00:00""#))
        #expect(verdict.urlExpiresAt?.description == "2026-11-21T10:00:00Z")
        verdict = read("kie", market(fields + #","completeTime":"2026-11-21 18:00:00""#))
        #expect(verdict.urlExpiresAt == testNow + .seconds(86_400))
        verdict = read(
            "kie", market(#""state":"fail","consumeCredits":0,"costTime":9"#), endpoint: "market")
        #expect(verdict.cost == Cost(amount: "0", unit: "credits"))
        #expect(read("kie", market(#""state":"generating","progress":"1.00""#)).progress == 100)
        #expect(read("kie", market(#""state":"generating","progress":45"#)).progress == 45)
        #expect(read("kie", market(#""state":"generating","progress":-1"#)).progress == nil)
        #expect(read("kie", market(#""state":"generating","progress":101"#)).progress == nil)
    }

    @Test("an id that contradicts itself is no id")
    func contradictingIDs() {
        for body in [
            #"{"code":200,"data":{"taskId":"t1","task_id":"t2","state":"fail"}}"#,
            #"{"code":200,"taskId":"t2","data":{"taskId":"t1","state":"fail"}}"#,
            #"{"code":200,"data":{"state":"fail","recordId":"t2"}}"#,
            #"{"code":200,"data":{"successFlag":2,"response":{"taskId":"t2"}}}"#,
        ] {
            #expect(read("kie", body).state == .unknown)
        }
        let silent = read("kie", #"{"code":200,"data":{"state":"fail"}}"#, endpoint: "market")
        #expect(silent.state == .unknown)
        #expect(silent.taskID == nil)
    }

    @Test(
        "a family is found by name, path, or what the model tells",
        arguments: [
            ("veo", "any", JobKind.video, ["veo"]),
            ("GET /api/v1/veo/record-info?taskId=1", "any", .video, ["veo"]),
            ("https://api.kie.ai/api/v1/jobs/recordInfo/", "any", .image, ["market"]),
            ("/api/v1/playground/recordInfo", "any", .image, ["market"]),
            ("nonsense", "kling-2.6/image-to-video", .video, ["market", "veo"]),
            (nil, "veo3_fast", .video, ["veo"]), (nil, "Veo3.1", .video, ["veo"]),
            (nil, "runway-duration-5-generate", .video, ["runway"]),
            (nil, "V4_5", .audio, ["suno"]), (nil, "V4_5", .video, ["market", "veo"]),
            (nil, "gpt4o-image", .image, ["gpt4o-image"]),
            (nil, "sora-2-text-to-video", .video, ["market", "veo"]),
            (nil, "google/nano-banana", .image, ["market"]),
        ] as [(String?, String, JobKind, [String])])
    func endpoints(endpoint: String?, model: String, kind: JobKind, expected: [String]) throws {
        let provider = try #require(ProviderRegistry.reader("kie"))
        let task = TaskReference(taskID: "t", endpoint: endpoint, model: model, kind: kind)
        #expect(provider.endpoints(for: task) == expected)
    }

    @Test("requests carry the key, a browser's name and the encoded id")
    func requests() throws {
        let registry = try ProviderRegistry {
            ["HOLDFAST_KIE_API_KEY": "key-1", "HOLDFAST_KIE_BASE_URL": "http://127.0.0.1:8/p/"][$0]
        }
        let provider = try #require(registry.provider("kie"))
        let poll = try provider.pollRequest(taskID: "a/b?c=ü~", endpoint: "veo", now: testNow)
        #expect(poll.method == "GET")
        #expect(
            poll.url == "http://127.0.0.1:8/p/api/v1/veo/record-info?taskId=a%2Fb%3Fc%3D%C3%BC~")
        #expect(poll.headers.first(named: "Authorization") == "Bearer key-1")
        #expect(poll.headers.first(named: "User-Agent")?.hasPrefix("Mozilla/5.0") == true)
        let refresh = try #require(
            try provider.refreshRequest(url: "https://a.example/\"x\"", now: testNow))
        #expect(refresh.method == "POST")
        #expect(refresh.url == "http://127.0.0.1:8/p/api/v1/common/download-url")
        #expect(
            refresh.body.map { String(decoding: $0, as: UTF8.self) }
                == #"{"url":"https://a.example/\"x\""}"#)
        #expect(throws: Failure.self) {
            try provider.pollRequest(taskID: "", endpoint: "veo", now: testNow)
        }
        #expect(throws: Failure.self) {
            try provider.pollRequest(taskID: "t", endpoint: "odd", now: testNow)
        }
        #expect(try provider.lookupRequest(jobID: "j", endpoint: "market", now: testNow) == nil)
    }

    @Test(
        "a refreshed URL, a refusal, or another time",
        arguments: [
            (
                200, #"{"code":200,"msg":"success","data":"https://t.example/x?s=1"}"#,
                RefreshAnswer.url("https://t.example/x?s=1", life: .seconds(1200))
            ),
            (200, #"{"code":422,"msg":"no"}"#, .refused("no (HTTP 200, code 422)")),
            (200, #"{"code":429,"msg":"no"}"#, .transient("no (HTTP 200, code 429)")),
            (200, #"{"code":401,"msg":"no"}"#, .transient("no (HTTP 200, code 401)")),
            (500, #"{"code":422,"msg":"no"}"#, .transient("no (HTTP 500, code 422)")),
            (200, #"{"code":200,"data":null}"#, .transient("the answer has no usable URL")),
            (404, "<html>", .transient("no readable answer (HTTP 404)")),
        ])
    func refresh(status: Int, body: String, expected: RefreshAnswer) throws {
        let provider = try #require(ProviderRegistry.reader("kie"))
        #expect(
            provider.refreshedURL(Answer(httpStatus: status, body: Array(body.utf8))) == expected)
    }

    private func path(_ family: String) throws -> String {
        let registry = try ProviderRegistry { $0 == "HOLDFAST_KIE_API_KEY" ? "k" : nil }
        let provider = try #require(registry.provider("kie"))
        let url = try provider.pollRequest(taskID: "x", endpoint: family, now: testNow).url
        return url.replacing("https://api.kie.ai", with: "")
    }
}
