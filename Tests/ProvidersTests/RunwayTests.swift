import Core
import HTTP
import Providers
import Testing

@Suite("Runway")
struct RunwayTests {
    @Test(
        "the task's own word decides",
        arguments: [
            (#""status":"PENDING""#, TaskState.pending), (#""status":"throttled""#, .pending),
            (#""status":"RUNNING ""#, .running),
            (#""status":"SUCCEEDED","output":["https://a.example/1?_jwt=x.y"]"#, .succeeded),
            (#""status":"SUCCEEDED","failure":"old","output":["https://a.example/1"]"#, .succeeded),
            (#""status":"SUCCEEDED","output":[]"#, .unknown), (#""status":"SUCCEEDED""#, .unknown),
            (#""status":"FAILED","output":["https://a.example/1"]"#, .failed),
            (#""status":"CANCELLED""#, .cancelled), (#""status":"CANCELED""#, .unknown),
            (#""status":"odd""#, .unknown), (#""state":"FAILED""#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        let verdict = read("runway", #"{"id":"t1",\#(fields)}"#)
        #expect(verdict.state == state)
        #expect(verdict.taskID == "t1")
        #expect(read("runway", #"{\#(fields)}"#).state == .unknown)
    }

    @Test(
        "progress is a share of one",
        arguments: [
            ("0", 0), ("0.42", 42), ("0.29", 29), ("1", 100), ("1.0", 100), ("\"0.5\"", 50),
            ("1.2", nil), ("-0.5", nil), ("42", nil), ("null", nil), ("\"x\"", nil), ("1e-1", nil),
        ] as [(String, Int?)])
    func progress(json: String, percent: Int?) {
        let verdict = read("runway", #"{"id":"t1","status":"RUNNING","progress":\#(json)}"#)
        #expect(verdict.state == .running)
        #expect(verdict.progress == percent)
    }

    @Test("the version goes along, the reason has a text and a code, and URLs last a day")
    func extras() throws {
        let request = try configured("runway").pollRequest(
            taskID: "t1", endpoint: "tasks", now: testNow)
        #expect(request.headers.first(named: "X-Runway-Version") == "2024-11-06")
        let failed = { (fields: String) in
            read("runway", #"{"id":"t1","status":"FAILED",\#(fields)}"#).errorMessage
        }
        #expect(failed(#""failure":"Why.","failureCode":"A.B""#) == "Why.")
        #expect(
            failed(#""failure":"","failureCode":"INTERNAL.BAD_OUTPUT""#) == "INTERNAL.BAD_OUTPUT")
        #expect(failed(#""x":1"#) == "the provider gives no reason")
        let done = read(
            "runway", #"{"id":"t1","status":"SUCCEEDED","output":["https://a.example/1"]}"#)
        #expect(done.urlExpiresAt == testNow + .seconds(86_400))
        #expect(done.cost == nil)
    }
}
