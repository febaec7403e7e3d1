import Core
import HTTP
import Providers
import Testing

@Suite("OpenAI Videos")
struct OpenAIVideosTests {
    static let content = "https://api.openai.com/v1/videos/t1/content"

    private func body(_ fields: String) -> String {
        #"{"id":"t1","object":"video",\#(fields)}"#
    }

    @Test(
        "the video's own word decides, and the clock about its file",
        arguments: [
            (#""status":"queued","progress":0"#, TaskState.pending),
            (#""status":"in_progress","progress":33"#, .running),
            (#""status":"processing""#, .running),
            (#""status":"completed","expires_at":null"#, .succeeded),
            (#""status":"completed""#, .succeeded),
            (#""status":"completed","expires_at":1795257757"#, .succeeded),
            (#""status":"completed","expires_at":1795257756"#, .expired),
            (#""status":"completed","expires_at":1795257755"#, .expired),
            (#""status":"completed","error":{"code":"old"}"#, .succeeded),
            (#""status":"failed","expires_at":1"#, .failed),
            (#""status":"cancelled""#, .unknown), (#""status":"odd""#, .unknown),
            (#""type":"video.failed""#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        let verdict = read("openai-videos", body(fields))
        #expect(verdict.state == state)
        #expect(verdict.taskID == "t1")
        #expect(verdict.resultURLs == (state == .succeeded ? [Self.content] : []))
        for other in [#""object":"response""#, #""object":null"#, #""x":1"#] {
            let strange = body(fields).replacing(#""object":"video""#, with: other)
            #expect(read("openai-videos", strange).state == .unknown)
        }
        #expect(
            read("openai-videos", body(fields).replacing(#""id":"t1","#, with: "")).state
                == .unknown)
    }

    @Test("the file's address is made of base address and id, and never taken from a body")
    func files() throws {
        let moved = try configured(
            "openai-videos", ["HOLDFAST_OPENAI_VIDEOS_BASE_URL": "http://127.0.0.1:8080/play/"])
        let verdict = moved.verdict(
            Answer(
                httpStatus: 200,
                body: Array(
                    #"{"id":"a/b?","object":"video","status":"completed","url":"https://evil.example/1","video_url":"https://evil.example/2"}"#
                        .utf8)), askedTaskID: "a/b?", endpoint: nil, kind: .poll, now: testNow)
        #expect(verdict.resultURLs == ["http://127.0.0.1:8080/play/v1/videos/a%2Fb%3F/content"])
        let dots = body(#""status":"completed""#).replacing("\"t1\"", with: "\"..\"")
        #expect(read("openai-videos", dots, asked: "..").state == .unknown)
    }

    @Test("progress, reasons, and an hour where nothing is said")
    func extras() {
        #expect(
            read("openai-videos", body(#""status":"in_progress","progress":33"#)).progress == 33)
        #expect(
            read("openai-videos", body(#""status":"in_progress","progress":101"#)).progress == nil)
        let failed = { (error: String) in
            read("openai-videos", body(#""status":"failed","error":\#(error)"#)).errorMessage
        }
        #expect(failed(#"{"code":"moderation_blocked","message":"Blocked."}"#) == "Blocked.")
        #expect(failed(#"{"code":"moderation_blocked","message":null}"#) == "moderation_blocked")
        #expect(failed("null") == "the provider gives no reason")
        let done = { (fields: String) in
            read("openai-videos", body(#""status":"completed",\#(fields)"#)).urlExpiresAt
        }
        #expect(done(#""expires_at":1795257800"#) == Instant(unixSeconds: 1_795_257_800))
        #expect(done(#""completed_at":1795257000"#) == Instant(unixSeconds: 1_795_260_600))
        #expect(done(#""x":1"#) == testNow + .seconds(3600))
    }

    @Test(
        "an event's own id is not the video's, and other events share the address",
        arguments: [
            (#""type":"video.completed","data":{"id":"t1"}"#, TaskState.succeeded, "t1"),
            (#""type":"video.failed","data":{"id":"t1"}"#, .failed, "t1"),
            (#""type":"video.deleted","data":{"id":"t1"}"#, .unknown, "t1"),
            (#""type":"video.completed","data":{}"#, .unknown, nil),
            (#""type":"video.completed""#, .unknown, nil),
            (#""type":"response.completed","data":{"id":"t1"}"#, .unknown, nil),
            (#""data":{"id":"t1"}"#, .unknown, nil),
        ] as [(String, TaskState, String?)])
    func events(fields: String, state: TaskState, taskID: String?) {
        let event = #"{"id":"evt_1","object":"event","created_at":1795257000,\#(fields)}"#
        for asked in ["t1", nil] {
            let verdict = read("openai-videos", event, asked: asked, kind: .callback)
            #expect(verdict.state == state)
            #expect(verdict.taskID == taskID)
            #expect(verdict.resultURLs == (state == .succeeded ? [Self.content] : []))
        }
        #expect(read("openai-videos", event, asked: "evt_1", kind: .callback).state == .unknown)
        #expect(read("openai-videos", event).state == .unknown)
        // A gateway that posts the video itself.
        let video = body(#""status":"completed""#)
        #expect(read("openai-videos", video, kind: .callback).state == .succeeded)
    }

    @Test("lists are walked by the last id")
    func lists() throws {
        let provider = try configured("openai-videos")
        let page = { (rest: String, cursor: String?) in
            let body =
                #"{"object":"list","data":[{"id":"t1","object":"video","status":"queued","created_at":1772359000000}]\#(rest)}"#
            return provider.listPage(
                Answer(httpStatus: 200, body: Array(body.utf8)), endpoint: nil, cursor: cursor,
                now: testNow)
        }
        let first = try #require(page(#","last_id":"t9","has_more":true"#, nil))
        #expect(first.next == "t9")
        #expect(first.tasks[0].createdAt == Instant(unixSeconds: 1_772_359_000))
        #expect(page(#","has_more":true"#, nil)?.next == "t1")
        #expect(page(#","last_id":"t9","has_more":false"#, nil)?.next == nil)
        #expect(page(#","last_id":"t9","has_more":true"#, "t9")?.next == nil)
        let request = try provider.listRequest(endpoint: "", cursor: "a&b", now: testNow)
        #expect(
            request?.url == "https://api.openai.com/v1/videos?limit=100&order=desc&after=a%26b")
    }
}
