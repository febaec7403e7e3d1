import Core
import HTTP
import Providers
import Testing

@Suite("Seedance")
struct SeedanceTests {
    @Test(
        "the task's own word decides",
        arguments: [
            (#""status":"queued""#, TaskState.pending), (#""status":" Running""#, .running),
            (
                #""status":"succeeded","content":{"video_url":"https://a.example/1?s=%2B"}"#,
                .succeeded
            ),
            (
                #""status":"succeeded","content":{"last_frame_url":"https://a.example/f"}"#,
                .unknown
            ),
            (#""status":"succeeded","content":{}"#, .unknown),
            (#""status":"failed","content":{"video_url":"https://a.example/1"}"#, .failed),
            (#""status":"cancelled""#, .cancelled), (#""status":"expired""#, .expired),
            (#""status":"odd""#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        for kind in [AnswerKind.poll, .callback] {
            let verdict = read("seedance", #"{"id":"t1",\#(fields)}"#, kind: kind)
            #expect(verdict.state == state)
            #expect(verdict.taskID == "t1")
        }
        #expect(read("seedance", #"{\#(fields)}"#).state == .unknown)
    }

    @Test("tokens are the cost, the reason is in the error, and URLs last a day from the end")
    func extras() {
        let body = { (fields: String) in #"{"id":"t1",\#(fields),"updated_at":1773190080}"# }
        let done = read(
            "seedance",
            body(
                #""status":"succeeded","content":{"video_url":"https://a.example/1"},"usage":{"completion_tokens":108900,"total_tokens":1}"#
            ))
        #expect(done.cost == Cost(amount: "108900", unit: "tokens"))
        #expect(done.urlExpiresAt == Instant(unixSeconds: 1_773_190_080 + 86_400))
        let failed = read(
            "seedance",
            body(
                #""status":"failed","error":{"code":"Sensitive","message":"why"},"usage":{"total_tokens":7}"#
            ))
        #expect(failed.errorMessage == "why")
        #expect(failed.cost == Cost(amount: "7", unit: "tokens"))
        #expect(read("seedance", body(#""status":"expired""#)).errorMessage?.isEmpty == false)
    }

    @Test("a page of the list, and a task found in it by its id")
    func lists() throws {
        let provider = try configured("seedance")
        let request = try provider.listRequest(endpoint: "", cursor: "2", now: testNow)
        #expect(
            request?.url
                == "https://ark.ap-southeast.bytepluses.com/api/v3/contents/generations/tasks?page_num=2&page_size=100"
        )
        let body =
            #"{"total":2,"items":[{"id":"t0","status":"failed"},{"id":"t1","status":"running","created_at":1773190000,"callback_url":"https://app.example/cb?job=j"}]}"#
        #expect(read("seedance", body, kind: .list).state == .running)
        #expect(read("seedance", body, asked: "t2", kind: .list).state == .unknown)
        let page = try #require(
            provider.listPage(
                Answer(httpStatus: 200, body: Array(body.utf8)), endpoint: nil, cursor: nil,
                now: testNow))
        #expect(page.tasks.map(\.verdict.state) == [.failed, .running])
        #expect(page.tasks[1].callbackURL == "https://app.example/cb?job=j")
        #expect(page.tasks[1].createdAt == Instant(unixSeconds: 1_773_190_000))
        #expect(page.next == nil)
    }
}
