import Core
import HTTP
import Providers
import Testing

/// Where a provider spells the state of task `t1`, and paths of its host that no page of it describes.
struct StatePlace: Sendable, CustomTestStringConvertible {
    var provider: String
    /// A body with `@` in the place of the state.
    var body: String
    /// A path whose page says that `word` ends a task.
    var home: String
    var word: String
    var strange: [String]

    var testDescription: String { "\(provider) \(body)" }

    func body(_ state: String) -> String { body.replacing("@", with: state) }

    static let all = [
        StatePlace(
            provider: "kie", body: #"{"code":200,"data":{"taskId":"t1","successFlag":@}}"#,
            home: "GET /api/v1/veo/record-info", word: "2", strange: kiePaths),
        StatePlace(
            provider: "kie", body: #"{"code":200,"data":{"taskId":"t1","state":@}}"#,
            home: "GET /api/v1/jobs/recordInfo", word: #""fail""#, strange: kiePaths),
        StatePlace(
            provider: "kie",
            body: #"{"code":200,"data":{"taskId":"t1","state":@,"videoInfo":{"taskId":"t1"}}}"#,
            home: "GET /api/v1/runway/record-detail", word: #""fail""#, strange: kiePaths),
        StatePlace(
            provider: "kie", body: #"{"code":200,"data":{"taskId":"t1","status":@}}"#,
            home: "GET /api/v1/generate/record-info", word: #""GENERATE_AUDIO_FAILED""#,
            strange: kiePaths),
        StatePlace(
            provider: "kie",
            body: #"{"code":200,"data":{"taskId":"t1","status":@,"successFlag":null}}"#,
            home: "GET /api/v1/gpt4o-image/record-info", word: #""GENERATE_FAILED""#,
            strange: kiePaths),
        StatePlace(
            provider: "kling", body: #"{"code":0,"data":{"task_id":"t1","task_status":@}}"#,
            home: "GET /v1/videos/image2video/{id}", word: #""failed""#,
            strange: ["/v1/general/ai-multi-shot", "GET /tasks?task_ids=t1", "/v2/videos/new/t1"]),
        StatePlace(
            provider: "replicate", body: #"{"id":"t1","status":@}"#,
            home: "GET /v1/predictions/{id}", word: #""aborted""#,
            strange: ["GET /v1/trainings/{id}", "/v1/deployments/a/b", "/v2/predictions/t1"]),
        StatePlace(
            provider: "fal", body: #"{"request_id":"t1","status":@}"#,
            home: "GET .../requests/{id}/status", word: #""FAILED""#,
            strange: ["GET /v1/workflows/t1", "/fal-ai/flux/requests/t1/logs", "/api/v2/x"]),
        StatePlace(
            provider: "runway", body: #"{"id":"t1","status":@}"#, home: "GET /v1/tasks/{id}",
            word: #""CANCELLED""#, strange: ["/v1/avatars/t1", "GET /v2/tasks/{id}"]),
        StatePlace(
            provider: "luma", body: #"{"id":"t1","state":@}"#,
            home: "GET /dream-machine/v1/generations/{id}", word: #""failed""#,
            strange: ["/agents/v1/generations/t1", "GET /dream-machine/v1/upscales/{id}"]),
        StatePlace(
            provider: "minimax",
            body: #"{"task_id":"t1","status":@,"base_resp":{"status_code":0}}"#,
            home: "GET /v1/query/video_generation?task_id=", word: #""Fail""#,
            strange: ["GET /v1/query/t2a_async_query_v2?task_id=", "/v3/query/video_generation"]),
        StatePlace(
            provider: "minimax", body: #"{"task":{"id":"t1","status":@}}"#,
            home: "GET /v2/query/video_generation/{task_id}", word: #""expired""#,
            strange: [
                "GET /v1/query/video_generation?task_id=", "/v3/query/video_generation/t1",
            ]),
        StatePlace(
            provider: "google-veo",
            body: #"{"name":"t1","done":true,"error":{"code":13,"message":@}}"#,
            home: "GET /v1beta/{operation name}", word: #""internal""#,
            strange: ["GET /v1beta/interactions/{id}", "/v1beta/batches/t1"]),
        StatePlace(
            provider: "seedance", body: #"{"id":"t1","status":@}"#,
            home: "GET /api/v3/contents/generations/tasks/{id}", word: #""cancelled""#,
            strange: ["GET /api/v3/batch/tasks/{id}", "/api/v4/contents/generations/tasks/t1"]),
        StatePlace(
            provider: "wavespeed", body: #"{"code":200,"data":{"id":"t1","status":@}}"#,
            home: "GET /api/v3/predictions/{id}", word: #""failed""#,
            strange: ["/api/v3/trainings/t1", "GET /api/v4/predictions/{id}"]),
        StatePlace(
            provider: "piapi", body: #"{"code":200,"data":{"task_id":"t1","status":@}}"#,
            home: "GET /api/v1/task/{id}", word: #""Failed""#,
            strange: ["/api/suno/v1/music/t1", "GET /api/v2/task/{id}"]),
        StatePlace(
            provider: "openai-videos", body: #"{"id":"t1","object":"video","status":@}"#,
            home: "GET /v1/videos/{id}", word: #""failed""#,
            strange: ["/v1/batches/t1", "GET /openai/v1/video/generations/jobs/{id}"]),
    ]

    private static let kiePaths = [
        "GET /api/v9/new/record-info", "/api/v1/voice/record-info",
        "/api/v1/suno/voice/record-info",
    ]

    /// Every word and number that ends a task somewhere, and some that might.
    static let endings = [
        "2", "3", "4", "-1", "6", "7", "8", "99", "805", #""2""#, #""3""#,
        #""fail""#, #""FAIL""#, #""failed""#, #""Failed""#, #""FAILURE""#, #""error""#,
        #""ERROR""#, #""rejected""#, #""banned""#, #""nsfw""#, #""TIMED_OUT""#,
        #""CREATE_TASK_FAILED""#, #""GENERATE_FAILED""#, #""GENERATE_AUDIO_FAILED""#,
        #""GENERATE_WAV_FAILED""#, #""GENERATE_MP4_FAILED""#, #""GENERATE_LYRICS_FAILED""#,
        #""SENSITIVE_WORD_ERROR""#, #""canceled""#, #""cancelled""#, #""CANCELLED""#,
        #""aborted""#, #""expired""#, #""video.failed""#, #""internal""#,
    ]
}

@Suite("Paths that no page describes")
struct UndescribedPathTests {
    static let ends: Set<TaskState> = [.failed, .cancelled, .expired]

    @Test(
        "no word and no number ends a task there", arguments: StatePlace.all, StatePlace.endings)
    func elsewhere(place: StatePlace, state: String) throws {
        let body = place.body(state)
        for path in place.strange {
            for kind in [AnswerKind.poll, .result] {
                let verdict = read(place.provider, body, endpoint: path, kind: kind)
                #expect(!Self.ends.contains(verdict.state), "\(path) \(kind)")
            }
            let reader = try #require(ProviderRegistry.reader(place.provider))
            let page = reader.listPage(
                Answer(httpStatus: 200, body: Array("[\(body)]".utf8)), endpoint: path,
                cursor: nil, now: testNow)
            #expect(
                page?.tasks.contains { Self.ends.contains($0.verdict.state) } != true, "\(path)")
        }
    }

    @Test("the same words do on the path whose page says so", arguments: StatePlace.all)
    func atHome(place: StatePlace) {
        let verdict = read(place.provider, place.body(place.word), endpoint: place.home)
        #expect(Self.ends.contains(verdict.state))
        #expect(verdict.errorClass == .final)
    }

    @Test("nor where nobody named a path and the pages of several differ")
    func unnamed() {
        for place in StatePlace.all where place.provider == "kie" {
            let verdict = read("kie", place.body(place.word))
            #expect(verdict.state == .unknown)
            #expect(verdict.taskID == "t1")
        }
    }

    @Test("an error code beside the word says that it is an error")
    func errorCode() {
        let endpoint = "GET /api/v9/new/record-info"
        for fields in [
            #""successFlag":3,"errorCode":500"#, #""state":"fail","failCode":"422""#,
            #""successFlag":2,"errorCode":"400""#,
        ] {
            #expect(read("kie", market(fields), endpoint: endpoint).state == .failed)
        }
        for fields in [#""successFlag":3"#, #""state":"fail""#] {
            let verdict = read("kie", market(fields, code: "501"), endpoint: endpoint)
            #expect(verdict.state == .failed)
        }
        for code in ["0", "200", "null", #""""#, #""0""#] {
            for field in ["errorCode", "failCode"] {
                let body = market(#""successFlag":2,"\#(field)":\#(code)"#)
                #expect(read("kie", body, endpoint: endpoint).state == .unknown)
            }
        }
    }

    @Test("a cover that is being generated is not failed")
    func cover() {
        for path in [
            "/api/v1/suno/cover/record-info",
            "GET https://api.sunoapi.org/api/v1/suno/cover/record-info?taskId=t1",
        ] {
            let states = (0...4).map {
                read("kie", market(#""successFlag":\#($0)"#), endpoint: path).state
            }
            #expect(states == [.pending, .unknown, .running, .failed, .unknown])
        }
    }

    @Test("a Runway task's deleted files say nothing about the files of others")
    func expireFlag() {
        let fields =
            #""state":"success","expireFlag":1,"resultJson":{"resultUrls":["https://a.example/x"]}"#
        #expect(read("kie", market(fields), endpoint: "market").state == .succeeded)
    }

    @Test(
        "fal's result: only the response says failed, and only our own deadline expired",
        arguments: ["/v1/models/x", "/fal-ai/flux/requests/t1/cancel"])
    func falResult(path: String) {
        let body = #"{"detail":"bad input"}"#
        let strange = read("fal", body, endpoint: path, kind: .result, status: 422)
        #expect(strange.state == .unknown)
        let late = read(
            "fal", body, endpoint: path, kind: .result, status: 504,
            headers: [Header("X-Fal-Request-Timeout-Type", "user")])
        #expect(late.state == .unknown)
        for home in ["GET response_url", "fal-ai/flux/dev", "/fal-ai/flux/requests/t1"] {
            let verdict = read("fal", body, endpoint: home, kind: .result, status: 422)
            #expect(verdict.state == .failed)
        }
        let listed = ProviderRegistry.reader("fal")?.listPage(
            Answer(
                httpStatus: 200,
                body: Array(#"{"items":[{"request_id":"t1","status":"FAILED"}]}"#.utf8)),
            endpoint: "fal-ai/flux/dev", cursor: nil, now: testNow)
        #expect(listed?.tasks.map(\.verdict.state) == [.unknown])
    }

    @Test(
        "a callback's number says nothing, and no callback ends a task where there are none",
        arguments: [
            ("kie", #"{"code":200,"data":{"taskId":"t1","successFlag":2}}"#),
            ("kie", #"{"code":200,"data":{"taskId":"t1","successFlag":3}}"#),
            ("kie", #"{"taskId":"t1","status":"CREATE_TASK_FAILED"}"#),
            ("runway", #"{"id":"t1","status":"FAILED"}"#),
            ("google-veo", #"{"name":"t1","done":true,"error":{"code":13}}"#),
            ("openai-videos", #"{"id":"t1","object":"video","status":"failed"}"#),
        ])
    func callbacks(provider: String, body: String) {
        let verdict = read(provider, body, kind: .callback)
        #expect(verdict.state == .unknown)
        #expect(verdict.errorClass == .transient)
        #expect(verdict.taskID == "t1")
    }
}
