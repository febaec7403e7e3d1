import Core
import HTTP
import Providers
import Testing

@Suite("fal")
struct FalTests {
    static let own = "https://queue.fal.run/fal-ai/flux/requests/t1"

    @Test(
        "the queue's word, which is never the last one",
        arguments: [
            ("IN_QUEUE", 202, TaskState.pending), (" in_progress ", 202, .running),
            ("COMPLETED", 200, .running), ("FAILED", 200, .failed), ("OK", 200, .unknown),
            ("ERROR", 200, .unknown), ("", 200, .unknown), ("COMPLETED", 500, .unknown),
        ])
    func states(word: String, status: Int, state: TaskState) {
        let body = #"{"request_id":"t1","status":"\#(word)","error":"why"}"#
        let verdict = read("fal", body, status: status)
        #expect(verdict.state == state)
        #expect(verdict.taskID == "t1")
        if state == .failed { #expect(verdict.errorMessage == "why") }
        let withFile =
            #"{"request_id":"t1","status":"\#(word)","video":{"url":"https://a.example/v"}}"#
        #expect(read("fal", withFile).resultURLs.isEmpty)
        #expect(read("fal", #"{"status":"\#(word)"}"#).state == .unknown)
    }

    @Test(
        "the path has the model's owner and name, and not what follows",
        arguments: [
            ("fal-ai/flux/dev", "fal-ai/flux"), ("fal-ai/flux", "fal-ai/flux"),
            ("/fal-ai/kling-video/v2.1/master/image-to-video", "fal-ai/kling-video"),
            ("POST https://queue.fal.run/fal-ai/flux/dev?fal_webhook=x", "fal-ai/flux"),
            ("workflows/acme/story/run", "workflows/acme/story"),
            ("a b/c?d", "a%20b/c"),
        ])
    func paths(endpoint: String, path: String) throws {
        let provider = try configured("fal")
        let request = try provider.pollRequest(taskID: "t1", endpoint: endpoint, now: testNow)
        #expect(request.url == "https://queue.fal.run/\(path)/requests/t1/status")
    }

    @Test(
        "a model without a path is a case for a person",
        arguments: ["", "flux", "fal-ai/..", "../..", "workflows/acme", "/"])
    func noPath(endpoint: String) throws {
        let provider = try configured("fal")
        let error = #expect(throws: Failure.self) {
            try provider.pollRequest(taskID: "t1", endpoint: endpoint, now: testNow)
        }
        #expect(error?.status == .needsPerson)
        #expect(error?.code == "unknown_endpoint")
    }

    @Test("the model is the family where nobody named one")
    func endpoints() throws {
        let provider = try configured("fal")
        let task = { TaskReference(taskID: "t", endpoint: $0, model: "fal-ai/m/x", kind: .video) }
        #expect(provider.endpoints(for: task(nil)) == ["fal-ai/m/x"])
        #expect(provider.endpoints(for: task(" ")) == ["fal-ai/m/x"])
        #expect(provider.endpoints(for: task("fal-ai/other")) == ["fal-ai/other"])
    }

    @Test(
        "the response is fetched where the answer says, when that is the provider's and this task's",
        arguments: [
            (own, own), (own + "?a=1", own + "?a=1"),
            (
                "https://queue.fal.run:443/fal-ai/flux/requests/t1",
                "https://queue.fal.run:443/fal-ai/flux/requests/t1"
            ),
            ("https://evil.example/fal-ai/flux/requests/t1", own),
            ("http://queue.fal.run/fal-ai/flux/requests/t1", own),
            ("https://queue.fal.run.evil.example/fal-ai/flux/requests/t1", own),
            ("https://queue.fal.run@evil.example/fal-ai/flux/requests/t1", own),
            ("https://user@queue.fal.run/fal-ai/flux/requests/t1", own),
            ("https://queue.fal.run:8443/fal-ai/flux/requests/t1", own),
            ("https://queue.fal.run/fal-ai/flux/requests/t2", own), ("/requests/t1", own),
            ("", own),
        ])
    func response(given: String, asked: String) throws {
        let provider = try configured("fal")
        let body = #"{"request_id":"t1","status":"COMPLETED","response_url":"\#(given)"}"#
        let request = try provider.resultRequest(
            after: Answer(httpStatus: 200, body: Array(body.utf8)), taskID: "t1",
            endpoint: "fal-ai/flux/dev", now: testNow)
        #expect(request?.url == asked)
        #expect(request?.headers.first(named: "Authorization") == "Key canary-key")
    }

    @Test(
        "nothing is fetched before the end, or for another task",
        arguments: [
            (#"{"request_id":"t1","status":"IN_PROGRESS","response_url":"\#(own)"}"#, 202),
            (#"{"request_id":"t2","status":"COMPLETED","response_url":"\#(own)"}"#, 200),
            (#"{"status":"COMPLETED"}"#, 200),
            (#"{"request_id":"t1","status":"COMPLETED"}"#, 500), ("<html>", 200), ("[]", 200),
        ])
    func noResponse(body: String, status: Int) throws {
        let provider = try configured("fal")
        let request = try provider.resultRequest(
            after: Answer(httpStatus: status, body: Array(body.utf8)), taskID: "t1",
            endpoint: "fal-ai/flux/dev", now: testNow)
        #expect(request == nil)
    }

    @Test(
        "the status of the response tells how it ended",
        arguments: [
            (
                200, #"{"video":{"url":"https://a.example/v"}}"#, TaskState.succeeded,
                ErrorClass.none
            ),
            (200, #"{"video":null,"prompt":"https://a.example/v"}"#, .unknown, .transient),
            (200, #"{"images":[{"url":"data:image/png;base64,AA"}]}"#, .unknown, .transient),
            (200, #"{"detail":"Request is still in progress"}"#, .unknown, .transient),
            (400, #"{"detail":"Request is still in progress"}"#, .unknown, .transient),
            (422, #"{"detail":"Request is still in progress."}"#, .unknown, .transient),
            (404, #"{"detail":"Request is still in progress"}"#, .unknown, .transient),
            (422, #"{"detail":"bad input"}"#, .failed, .final),
            (422, #"{"detail":[{"msg":"field required"},{"msg":"too long"}]}"#, .failed, .final),
            (422, #"{"error":"x"}"#, .unknown, .transient), (422, "<html>", .unknown, .transient),
            (422, #"{"detail":null}"#, .unknown, .transient),
            (500, #"{"detail":"oops"}"#, .unknown, .transient),
            (504, #"{"detail":"oops"}"#, .unknown, .transient),
            (400, #"{"detail":"other"}"#, .unknown, .final),
            (202, #"{"video":{"url":"https://a.example/v"}}"#, .unknown, .transient),
            (401, #"{"detail":"no"}"#, .unknown, .transient),
            (
                200, #"{"request_id":"t2","video":{"url":"https://a.example/v"}}"#, .unknown,
                .transient
            ),
            (200, #"{"request_id":"t1","status":"IN_PROGRESS"}"#, .unknown, .transient),
        ] as [(Int, String, TaskState, ErrorClass)])
    func results(status: Int, body: String, state: TaskState, errorClass: ErrorClass) {
        let verdict = read("fal", body, kind: .result, status: status)
        #expect(verdict.state == state)
        #expect(verdict.errorClass == errorClass)
        let saysSo = verdict.errorMessage?.contains("still in progress") ?? false
        #expect(saysSo == body.contains("still in"))
    }

    @Test(
        "files of every model, in body order, each once",
        arguments: [
            (#""images":[{"url":"https://a.example/1"},{"url":"https://a.example/2"}]"#, "12"),
            (#""image":{"url":"https://a.example/1"}"#, "1"),
            (
                #""videos":[{"url":"https://a.example/1"}],"audio":{"url":"https://a.example/2"}"#,
                "12"
            ),
            (
                #""audio_file":{"url":"https://a.example/1"},"video":{"url":"https://a.example/1"}"#,
                "1"
            ),
            (#""image":null,"video":{"url":" https://a.example/1 "}"#, "1"),
            (
                #""mask":{"url":"https://a.example/1"},"input":{"video":{"url":"https://a.example/2"}}"#,
                ""
            ),
            (#""video":"https://a.example/1""#, ""),
        ])
    func files(fields: String, names: String) {
        let verdict = read("fal", #"{\#(fields),"seed":196619188014358660}"#, kind: .result)
        #expect(verdict.resultURLs == names.map { "https://a.example/\($0)" })
    }

    @Test("our own start deadline closes the task, any other 504 says nothing")
    func startDeadline() {
        for kind in [AnswerKind.poll, .result] {
            let own = read(
                "fal", #"{"detail":"timeout"}"#, kind: kind, status: 504,
                headers: [Header("x-fal-request-timeout-type", "user")])
            #expect(own.state == .expired)
            #expect(own.errorClass == .final)
            let other = read(
                "fal", #"{"detail":"timeout"}"#, kind: kind, status: 504,
                headers: [Header("x-fal-request-timeout-type", "infra")])
            #expect(other.state == .unknown)
        }
        let early = read(
            "fal", "{}", status: 500, headers: [Header("x-fal-request-timeout-type", "user")])
        #expect(early.state == .unknown)
    }

    @Test(
        "callbacks name our own id beside the gateway's",
        arguments: [
            (
                #""status":"OK","payload":{"video":{"url":"https://a.example/v"}}"#,
                TaskState.succeeded
            ),
            (#""status":"OK","payload":null,"payload_error":"too big""#, .running),
            (#""status":"OK","payload":null"#, .unknown),
            (#""status":"OK","payload":{}"#, .unknown),
            (#""status":"ERROR","error":"Invalid status code: 422""#, .failed),
            (#""status":"IN_PROGRESS""#, .unknown), (#""x":1"#, .unknown),
        ])
    func callbacks(fields: String, state: TaskState) {
        let body = #"{"request_id":"t1","gateway_request_id":"t9",\#(fields)}"#
        for asked in ["t1", nil] {
            let verdict = read("fal", body, asked: asked, kind: .callback)
            #expect(verdict.state == state)
            #expect(verdict.taskID == "t1")
        }
        #expect(read("fal", body, asked: "t9", kind: .callback).state == .unknown)
    }

    @Test("each model in use has a list, on the platform's host")
    func lists() throws {
        let provider = try configured("fal")
        let models = provider.listEndpoints(inUse: ["fal-ai/flux/dev", "", "/fal-ai/flux/dev", "x"])
        #expect(models == ["fal-ai/flux/dev"])
        let first = try provider.listRequest(endpoint: models[0], cursor: nil, now: testNow)
        #expect(
            first?.url
                == "https://api.fal.ai/v1/models/requests/by-endpoint?endpoint_id=fal-ai%2Fflux%2Fdev&limit=100"
        )
        #expect(first?.headers.first(named: "Authorization") == "Key canary-key")
        let next = try provider.listRequest(endpoint: models[0], cursor: "Mg==", now: testNow)
        #expect(next?.url.hasSuffix("&limit=100&cursor=Mg%3D%3D") == true)
        let moved = try configured(
            "fal",
            [
                "HOLDFAST_FAL_API_KEY": "k",
                "HOLDFAST_FAL_PLATFORM_BASE_URL": "http://localhost:1/p/",
            ])
        let there = try moved.listRequest(endpoint: models[0], cursor: nil, now: testNow)
        #expect(there?.url.hasPrefix("http://localhost:1/p/v1/models/requests/") == true)
        #expect(throws: Failure.self) {
            try configured("fal", ["HOLDFAST_FAL_PLATFORM_BASE_URL": "ftp://x"])
        }
    }

    @Test("a page of the list")
    func page() throws {
        let provider = try configured("fal")
        let page = { (rest: String) in
            provider.listPage(
                Answer(
                    httpStatus: 200,
                    body: Array(
                        #"{"items":[{"request_id":"t1","endpoint_id":"fal-ai/flux/dev","sent_at":"2025-01-01T00:00:01Z","status_code":200}]\#(rest)}"#
                            .utf8)), endpoint: nil, cursor: "Mg==", now: testNow)
        }
        let first = try #require(page(#","next_cursor":"Mw==","has_more":true"#))
        #expect(first.tasks.map(\.verdict.state) == [.running])
        #expect(first.tasks.map(\.verdict.taskID) == ["t1"])
        #expect(first.tasks[0].createdAt?.description == "2025-01-01T00:00:01Z")
        #expect(first.next == "Mw==")
        #expect(page(#","next_cursor":"Mw==","has_more":false"#)?.next == nil)
        #expect(page(#","next_cursor":"Mg==","has_more":true"#)?.next == nil)
        #expect(page("")?.next == nil)
    }
}
