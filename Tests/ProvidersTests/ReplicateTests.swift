import Core
import HTTP
import Providers
import Testing

@Suite("Replicate")
struct ReplicateTests {
    @Test(
        "the prediction's own word decides",
        arguments: [
            (#""status":"starting""#, TaskState.pending), (#""status":" Processing\n""#, .running),
            (#""status":"processing","output":["https://a.example/part"]"#, .running),
            (#""status":"succeeded","output":"https://a.example/1""#, .succeeded),
            (
                #""status":"succeeded","error":"old words","output":"https://a.example/1""#,
                .succeeded
            ),
            (#""status":"failed","output":["https://a.example/left-over"]"#, .failed),
            (#""status":"canceled""#, .cancelled), (#""status":"aborted""#, .cancelled),
            (#""status":"succeeded","output":null"#, .unknown),
            (#""status":"succeeded","output":"It is a cat.""#, .unknown),
            (#""status":"succeeded","data_removed":true,"output":null"#, .expired),
            (#""status":"failed","data_removed":true,"output":null"#, .expired),
            (#""status":"succeeded","data_removed":true"#, .expired),
            (
                #""status":"succeeded","data_removed":true,"output":"https://a.example/1""#,
                .succeeded
            ),
            (#""status":"odd","data_removed":true,"output":null"#, .unknown),
            (#""status":404"#, .unknown), (#""status":null"#, .unknown), (#""x":1"#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        let body = #"{"id":"t1",\#(fields)}"#
        for kind in [AnswerKind.poll, .callback] {
            let verdict = read("replicate", body, kind: kind)
            #expect(verdict.state == state)
            #expect(verdict.taskID == "t1")
        }
        #expect(read("replicate", #"{\#(fields)}"#).state == .unknown)
        #expect(read("replicate", #"{"id":"t2",\#(fields)}"#).state == .unknown)
    }

    @Test(
        "output is any JSON, and only whole texts are URLs",
        arguments: [
            (#"["https://a.example/1",null,"https://a.example/2"]"#, ["1", "2"]),
            (
                #"{"vocals":"https://a.example/1","drums":null,"x":{"y":["https://a.example/2"]}}"#,
                ["1", "2"]
            ),
            (#"["see https://a.example/1","https://a.example/1 "," https://a.example/1"]"#, []),
            (#"["data:image/png;base64,AAAA","//a.example/1",7,true,{},[]]"#, []),
            (#""[\"https://a.example/1\"]""#, []),
            (#"{"https://a.example/key":1}"#, []),
        ])
    func output(json: String, names: [String]) {
        let verdict = read("replicate", #"{"id":"t1","status":"succeeded","output":\#(json)}"#)
        #expect(verdict.resultURLs == names.map { "https://a.example/" + $0 })
        #expect(verdict.state == (names.isEmpty ? .unknown : .succeeded))
    }

    @Test("seconds are the cost, and files last an hour")
    func extras() {
        let body =
            #"{"id":"t1","status":"succeeded","output":"https://a.example/1","metrics":{"predict_time":66.50},"completed_at":"2026-03-01T10:01:10.123456Z"}"#
        let verdict = read("replicate", body)
        #expect(verdict.cost == Cost(amount: "66.50", unit: "seconds"))
        #expect(verdict.urlExpiresAt?.description == "2026-03-01T11:01:10Z")
        let failed = read(
            "replicate", #"{"id":"t1","status":"failed","metrics":{"predict_time":3}}"#)
        #expect(failed.cost == Cost(amount: "3", unit: "seconds"))
    }

    @Test(
        "the reason of a failure is the error, else the end of the log",
        arguments: [
            (#""error":"NSFW""#, "NSFW"),
            (#""error":null,"logs":"a\nValueError: b\r\n""#, "ValueError: b"),
            (#""error":{"detail":"bad input"}"#, "bad input"),
            (#""error":null,"logs":"""#, "the provider gives no reason"),
        ])
    func reasons(fields: String, reason: String) {
        let verdict = read("replicate", #"{"id":"t1","status":"failed",\#(fields)}"#)
        #expect(verdict.errorMessage == reason)
    }

    @Test("lists are walked by the cursor alone, never by the host that a page names")
    func lists() throws {
        let provider = try configured("replicate")
        let body =
            #"{"next":"https://evil.example/v1/predictions?x=1&cursor=cD0y%3D%26a","previous":null,"results":[{"id":"t2","status":"processing","webhook":"https://app.example/cb?job=j1&tag=ab","created_at":"2026-03-01T10:00:00Z"},{"id":"t1","status":"failed","error":"no"}]}"#
        let answer = Answer(httpStatus: 200, body: Array(body.utf8))
        let page = try #require(
            provider.listPage(answer, endpoint: "", cursor: nil, now: testNow))
        #expect(page.tasks.map(\.verdict.taskID) == ["t2", "t1"])
        #expect(page.tasks.map(\.verdict.state) == [.running, .failed])
        #expect(page.tasks[0].callbackURL == "https://app.example/cb?job=j1&tag=ab")
        #expect(page.tasks[0].createdAt?.description == "2026-03-01T10:00:00Z")
        #expect(page.tasks[1].callbackURL == nil)
        #expect(page.next == "cD0y=&a")
        let next = try provider.listRequest(endpoint: "", cursor: page.next, now: testNow)
        #expect(next?.url == "https://api.replicate.com/v1/predictions?cursor=cD0y%3D%26a")
        let first = try provider.listRequest(endpoint: "", cursor: nil, now: testNow)
        #expect(first?.url == "https://api.replicate.com/v1/predictions")
        // A page that names itself as the next one ends the walk.
        let again = provider.listPage(answer, endpoint: "", cursor: page.next, now: testNow)
        #expect(again?.next == nil)
        for last in ["null", "\"\"", "\"https://api.replicate.com/v1/predictions\"", "7"] {
            let body = #"{"next":\#(last),"results":[]}"#
            let answer = Answer(httpStatus: 200, body: Array(body.utf8))
            #expect(
                provider.listPage(answer, endpoint: "", cursor: nil, now: testNow)
                    == ListPage(tasks: [], next: nil))
        }
    }
}
