import Core
import HTTP
import Providers
import Testing

@Suite("Luma")
struct LumaTests {
    @Test(
        "the generation's own word decides",
        arguments: [
            (#""state":"queued""#, TaskState.pending), (#""state":"DREAMING ""#, .running),
            (#""state":"completed","assets":{"video":"https://a.example/v"}"#, .succeeded),
            (
                #""state":"completed","failure_reason":"old","assets":{"video":"https://a.example/v"}"#,
                .succeeded
            ),
            (#""state":"failed","assets":{"video":"https://a.example/v"}"#, .failed),
            (#""state":"completed","assets":null"#, .unknown), (#""state":"completed""#, .unknown),
            (#""state":"odd""#, .unknown), (#""status":"failed""#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        for kind in [AnswerKind.poll, .callback] {
            #expect(read("luma", #"{"id":"t1",\#(fields)}"#, kind: kind).state == state)
        }
        #expect(read("luma", #"{\#(fields)}"#).state == .unknown)
    }

    @Test(
        "the video is the product, or the image where an image was asked for",
        arguments: [
            (#""generation_type":"video","assets":{"image":"https://a.example/i"}"#, nil),
            (#""assets":{"image":"https://a.example/i"}"#, nil),
            (
                #""generation_type":"image","assets":{"image":"https://a.example/i","video":null}"#,
                "https://a.example/i"
            ),
            (
                #""request":{"generation_type":"image"},"assets":{"image":"https://a.example/i"}"#,
                "https://a.example/i"
            ),
            (
                #""generation_type":"upscale_video","assets":{"video":"https://a.example/v","image":"https://a.example/i"}"#,
                "https://a.example/v"
            ),
            (#""assets":{"progress_video":"https://a.example/p"}"#, nil),
            (
                #""request":{"keyframes":{"frame0":{"url":"https://a.example/k"}}},"assets":{}"#,
                nil
            ),
        ] as [(String, String?)])
    func files(fields: String, url: String?) {
        let verdict = read("luma", #"{"id":"t1","state":"completed",\#(fields)}"#)
        #expect(verdict.resultURLs == [url].compactMap { $0 })
        // Not established how long it lasts.
        #expect(verdict.urlExpiresAt == nil)
    }

    @Test(
        "the reason has two names",
        arguments: [
            (#""failure_reason":"moderation""#, "moderation"),
            (#""failure_reason":null,"state_reason":"older""#, "older"),
            (#""failure_reason":" ""#, "the provider gives no reason"),
        ])
    func reasons(fields: String, reason: String) {
        let verdict = read("luma", #"{"id":"t1","state":"failed",\#(fields)}"#)
        #expect(verdict.errorMessage == reason)
    }

    @Test("lists are walked by offset, and tell where the provider calls back")
    func lists() throws {
        let provider = try configured("luma")
        let page = { (body: String, cursor: String?) in
            provider.listPage(
                Answer(httpStatus: 200, body: Array(body.utf8)), endpoint: "", cursor: cursor,
                now: testNow)
        }
        let one =
            #"{"id":"t1","state":"queued","created_at":"2026-02-01T12:00:00Z","request":{"callback_url":"https://app.example/cb?job=j"}}"#
        let first = try #require(page(#"{"has_more":true,"generations":[\#(one)]}"#, nil))
        #expect(first.next == "1")
        #expect(first.tasks.map(\.callbackURL) == ["https://app.example/cb?job=j"])
        #expect(first.tasks[0].createdAt?.description == "2026-02-01T12:00:00Z")
        #expect(page(#"{"has_more":true,"generations":[\#(one)]}"#, "100")?.next == "101")
        #expect(page(#"{"has_more":false,"generations":[\#(one)]}"#, nil)?.next == nil)
        #expect(page(#"{"has_more":true,"generations":[]}"#, "5")?.next == nil)
        #expect(page(#"{"detail":"no"}"#, nil) == nil)
        #expect(page(one, nil) == nil)
        let request = try provider.listRequest(endpoint: "", cursor: "101", now: testNow)
        #expect(
            request?.url
                == "https://api.lumalabs.ai/dream-machine/v1/generations?limit=100&offset=101")
    }
}
