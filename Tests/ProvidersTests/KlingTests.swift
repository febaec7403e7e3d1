import Core
import HTTP
import Providers
import Testing

@Suite("Kling")
struct KlingTests {
    static let configured: @Sendable (String) -> String? = {
        [
            "HOLDFAST_KLING_ACCESS_KEY": "ak-1?>~", "HOLDFAST_KLING_SECRET_KEY": "sk-secret-2",
        ][$0]
    }

    @Test("the token is the one that any other implementation makes")
    func token() throws {
        let provider = try #require(
            try ProviderRegistry(environment: Self.configured).provider("kling"))
        let now = Instant(unixSeconds: 1_763_701_300)
        let request = try provider.pollRequest(
            taskID: "9+/=", endpoint: "image2video", now: now)
        #expect(
            request.headers.first(named: "Authorization")
                == "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
                + "eyJpc3MiOiJhay0xPz5-IiwiZXhwIjoxNzYzNzAzMTAwLCJuYmYiOjE3NjM3MDEyOTV9."
                + "q4quYIT_vT0NuTgO8MFq6Jurl5HR8m50owvq2lw39u0")
        #expect(request.url == "https://api-singapore.klingai.com/v1/videos/image2video/9%2B%2F%3D")
        #expect(request.headers.first(named: "User-Agent")?.hasPrefix("Mozilla/5.0") == true)
        let later = try provider.pollRequest(
            taskID: "9", endpoint: "image2video", now: now + .seconds(1))
        #expect(
            later.headers.first(named: "Authorization")
                != request.headers.first(named: "Authorization"))
    }

    @Test(
        "error codes, with the HTTP status that goes with them",
        arguments: [
            (1000, 401, ErrorClass.transient, false), (1001, 401, .transient, false),
            (1002, 401, .transient, false), (1003, 401, .transient, false),
            (1004, 401, .transient, false), (1100, 429, .transient, false),
            (1101, 429, .transient, false), (1102, 429, .transient, false),
            (1103, 403, .transient, false), (1200, 400, .final, false), (1201, 400, .final, false),
            (1202, 404, .final, false), (1203, 404, .final, true), (1203, 200, .final, true),
            (1300, 400, .final, false), (1301, 400, .final, false), (1302, 429, .transient, false),
            (1303, 429, .transient, false), (1304, 429, .transient, false),
            (5000, 500, .transient, false), (5001, 503, .transient, false),
            (5002, 504, .transient, false), (5000, 200, .transient, false),
            (1203, 500, .transient, false), (1002, 200, .transient, false),
        ])
    func codes(code: Int, status: Int, errorClass: ErrorClass, isUnknownHere: Bool) {
        for data in ["null", "[]", "{}", #"{"task_id":"t1","task_status":"failed"}"#] {
            let body = #"{"code":\#(code),"message":"Canary words","data":\#(data)}"#
            let verdict = read("kling", body, status: status)
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == errorClass)
            #expect(verdict.taskIsUnknownHere == isUnknownHere)
            #expect(verdict.errorMessage?.contains("Canary words") == true)
        }
    }

    @Test(
        "without a code the HTTP status decides, when the answer is JSON at all",
        arguments: [
            ("{}", 400, ErrorClass.final, false), ("{}", 404, .final, true),
            ("<html>", 404, .transient, false), ("", 400, .transient, false),
            ("{}", 402, .transient, false), ("{}", 408, .transient, false),
            ("{}", 455, .transient, false), ("{}", 302, .transient, false),
            (#"{"code":0,"data":{"task_id":"t1","task_status":"failed"}}"#, 404, .transient, false),
        ])
    func statuses(body: String, status: Int, errorClass: ErrorClass, isUnknownHere: Bool) {
        let verdict = read("kling", body, status: status)
        #expect(verdict.state == .unknown)
        #expect(verdict.errorClass == errorClass)
        #expect(verdict.taskIsUnknownHere == isUnknownHere)
    }

    @Test(
        "the task's own word decides",
        arguments: [
            (#""task_status":"submitted""#, TaskState.pending),
            (#""task_status":" Processing ""#, .running),
            (
                #""task_status":"failed","task_result":{"videos":[{"url":"https://a.example/x"}]}"#,
                .failed
            ),
            (
                #""task_status":"succeed","task_status_msg":"old failure","task_result":{"videos":[{"url":"https://a.example/x"}]}"#,
                .succeeded
            ),
            (#""task_status":"succeed","task_result":{}"#, .unknown),
            (#""task_status":"succeed""#, .unknown),
            (
                #""task_status":"succeed","task_info":{"parent_video":{"url":"https://a.example/x"}},"task_result":{}"#,
                .unknown
            ),
            (#""task_status":"done""#, .unknown), (#""task_status":99"#, .unknown),
            (#""status":"failed""#, .unknown), (#""task_status":null"#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        #expect(read("kling", kling(fields)).state == state)
        #expect(read("kling", #"{"task_id":"t1",\#(fields)}"#, kind: .callback).state == state)
        #expect(read("kling", kling(fields, code: "\"success\"")).state == .unknown)
    }

    @Test(
        "files in body order, the clean one of a pair",
        arguments: [
            (
                #"{"videos":[{"url":"https://a.example/1","watermark_url":"https://a.example/w"},{"url":"https://a.example/2"}]}"#,
                ["1", "2"]
            ),
            (
                #"{"videos":[{"url":"","watermark_url":"https://a.example/w"},{"url":null,"watermark_url":"https://a.example/v"}]}"#,
                ["w", "v"]
            ),
            (#"{"videos":[{"url":"data:video/mp4,x","watermark_url":"https://a.example/w"}]}"#, []),
            (#"{"videos":{"url":"https://a.example/1"}}"#, ["1"]),
            (#""{\"videos\":[{\"url\":\"https://a.example/1\"}]}""#, ["1"]),
            (
                #"{"images":[{"index":1,"url":"https://a.example/1"},{"index":0,"url":"https://a.example/2"}]}"#,
                ["1", "2"]
            ),
            (
                #"{"result_type":"series","images":[],"series_images":[{"url":"https://a.example/1"}]}"#,
                ["1"]
            ),
            (
                #"{"result_type":"series","images":[{"url":"https://a.example/0"}],"series_images":[{"url":"https://a.example/1"}]}"#,
                ["1"]
            ),
            (
                #"{"result_type":"single","images":[{"url":"https://a.example/0"}],"series_images":[{"url":"https://a.example/1"}]}"#,
                ["0"]
            ),
            (
                #"{"audios":[{"url_wav":"https://a.example/w","url_mp3":"https://a.example/m"},{"url_wav":"https://a.example/v","url_mp3":""}]}"#,
                ["m", "v"]
            ),
            (#"{"covers":[{"url":"https://a.example/c"}]}"#, []),
            (#"{"videos":[null,"https://a.example/1",{"resource":"https://a.example/2"}]}"#, []),
        ])
    func files(result: String, names: [String]) {
        let verdict = read("kling", kling(#""task_status":"succeed","task_result":\#(result)"#))
        #expect(verdict.resultURLs == names.map { "https://a.example/" + $0 })
        #expect(verdict.state == (names.isEmpty ? .unknown : .succeeded))
    }

    @Test("cost is units, and files last thirty days")
    func extras() {
        let fields =
            #""task_status":"succeed","task_result":{"videos":[{"url":"https://a.example/1"}]}"#
        let verdict = read(
            "kling", kling(fields + #","final_unit_deduction":2.50,"updated_at":1773190120456"#))
        #expect(verdict.cost == Cost(amount: "2.50", unit: "units"))
        #expect(verdict.urlExpiresAt?.description == "2026-04-10T00:48:40Z")
        #expect(read("kling", kling(fields + #","final_unit_deduction":"""#)).cost == nil)
        #expect(read("kling", kling(fields + #","final_unit_deduction":"1e3""#)).cost == nil)
        #expect(read("kling", kling(fields)).urlExpiresAt == testNow + .seconds(30 * 86_400))
    }

    @Test(
        "a lookup by our own id counts only when the answer has our id",
        arguments: [
            (
                #"{"task_id":"7","task_status":"processing","task_info":{"external_task_id":"job-1"}}"#,
                TaskState.running, "7"
            ),
            (
                #"{"task_id":"7","task_status":"processing","external_task_id":"job-1"}"#, .running,
                "7"
            ),
            (
                #"[{"task_id":"6","task_status":"failed","task_info":{"external_task_id":"job-2"}},{"task_id":"7","task_status":"submitted","task_info":{"external_task_id":"job-1"}}]"#,
                .pending, "7"
            ),
            (#"{"task_id":"job-1","task_status":"processing"}"#, .unknown, nil),
            (
                #"{"task_id":"7","task_status":"processing","task_info":{"external_task_id":"job-2"}}"#,
                .unknown, nil
            ),
            (
                #"{"task_status":"processing","task_info":{"external_task_id":"job-1"}}"#, .unknown,
                nil
            ),
            (
                #"[{"task_id":"6","task_status":"submitted","external_task_id":"job-1"},{"task_id":"7","task_status":"submitted","external_task_id":"job-1"}]"#,
                .unknown, nil
            ),
            (#"{"task_id":"7","task_status":"odd","external_task_id":"job-1"}"#, .unknown, "7"),
            ("null", .unknown, nil),
        ] as [(String, TaskState, String?)])
    func lookup(data: String, state: TaskState, taskID: String?) throws {
        let provider = try #require(
            try ProviderRegistry(environment: Self.configured).provider("kling"))
        let request = try #require(
            try provider.lookupRequest(jobID: "job-1", endpoint: "text2video", now: testNow))
        #expect(request.url.hasSuffix("/v1/videos/text2video/job-1"))
        let body = Array(#"{"code":0,"message":"SUCCEED","data":\#(data)}"#.utf8)
        let verdict = provider.lookupVerdict(
            Answer(httpStatus: 200, body: body), jobID: "job-1", endpoint: "text2video",
            now: testNow)
        #expect(verdict.state == state)
        #expect(verdict.taskID == taskID)
    }

    @Test("not found is told apart from every other refusal of a lookup")
    func lookupNotFound() throws {
        let provider = try #require(ProviderRegistry.reader("kling"))
        let verdict = { (status: Int, body: String) in
            provider.lookupVerdict(
                Answer(httpStatus: status, body: Array(body.utf8)), jobID: "j",
                endpoint: "text2video", now: testNow)
        }
        #expect(verdict(404, #"{"code":1203,"message":"no"}"#).taskIsUnknownHere)
        for (status, body) in [
            (401, #"{"code":1002}"#), (404, "<html>"), (500, #"{"code":1203}"#), (200, ""),
        ] {
            #expect(!verdict(status, body).taskIsUnknownHere)
        }
    }

    @Test("lists give every task with our own id, and refusals give none")
    func lists() throws {
        let sample = try #require(SampleCase.all.first { $0.file == "kling/list-page.json" })
        let provider = try #require(
            try ProviderRegistry(environment: Self.configured).provider("kling"))
        let tasks = try #require(
            provider.listPage(sample.answer, endpoint: nil, cursor: nil, now: testNow)?.tasks)
        #expect(tasks.map(\.ownID) == Array(repeating: "job-20260311-77", count: 3))
        #expect(
            tasks.map(\.createdAt)
                == Array(repeating: Instant(microseconds: 1_773_190_000_123_000), count: 3))
        let request = try provider.listRequest(endpoint: "generations", cursor: "2", now: testNow)
        #expect(request?.url.hasSuffix("/v1/images/generations?pageNum=2&pageSize=500") == true)
        for (status, body) in [
            (401, #"{"code":1002}"#), (200, "<html>"), (200, #"{"code":1303,"data":[]}"#),
            (500, #"{"code":0,"data":[]}"#),
        ] {
            #expect(
                provider.listPage(
                    Answer(httpStatus: status, body: Array(body.utf8)), endpoint: nil, cursor: nil,
                    now: testNow) == nil)
        }
        let empty = Answer(httpStatus: 200, body: Array(#"{"code":0,"data":[]}"#.utf8))
        #expect(
            provider.listPage(empty, endpoint: nil, cursor: nil, now: testNow)
                == ListPage(tasks: [], next: nil))
    }

    @Test(
        "a kind is found by name, path, or what the job is",
        arguments: [
            ("text2video", JobKind.video, ["text2video"]),
            ("GET /v1/videos/image2video/{id}", .video, ["image2video"]),
            ("GET /v1/videos/multi-image2video?pageNum=1", .video, ["multi-image2video"]),
            ("/v1/videos/avatar/image2video/123", .video, ["avatar"]),
            (nil, .image, ["generations"]), (nil, .video, ["image2video", "text2video"]),
            ("nonsense", .video, ["image2video", "text2video"]),
        ] as [(String?, JobKind, [String])])
    func endpoints(endpoint: String?, kind: JobKind, expected: [String]) throws {
        let provider = try #require(ProviderRegistry.reader("kling"))
        let task = TaskReference(taskID: "t", endpoint: endpoint, model: "kling-v2", kind: kind)
        #expect(provider.endpoints(for: task) == expected)
    }

    @Test("an id of dots would climb the path and is refused", arguments: ["", ".", "..", "..."])
    func dots(id: String) throws {
        let provider = try #require(
            try ProviderRegistry(environment: Self.configured).provider("kling"))
        #expect(throws: Failure.self) {
            try provider.pollRequest(taskID: id, endpoint: "image2video", now: testNow)
        }
    }
}
