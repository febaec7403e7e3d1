import Core
import HTTP
import Providers
import Testing

@Suite("WaveSpeed")
struct WaveSpeedTests {
    private func body(_ fields: String, code: String = "200") -> String {
        #"{"code":\#(code),"message":"success","data":{"id":"t1",\#(fields)}}"#
    }

    @Test(
        "only the word of the data counts: the envelope says success of all",
        arguments: [
            (#""status":"created""#, TaskState.pending), (#""status":"PROCESSING""#, .running),
            (#""status":"completed","outputs":["https://a.example/1"]"#, .succeeded),
            (#""status":"completed","error":"old","outputs":["https://a.example/1"]"#, .succeeded),
            (#""status":"completed","outputs":[]"#, .unknown),
            (#""status":"completed","urls":{"get":"https://a.example/1"}"#, .unknown),
            (#""status":"failed","error":"","outputs":["https://a.example/1"]"#, .failed),
            (#""status":"odd""#, .unknown), (#""status":200"#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        let verdict = read("wavespeed", body(fields))
        #expect(verdict.state == state)
        #expect(verdict.taskID == "t1")
        for code in ["\"odd\"", "500", "404", "null"] {
            #expect(read("wavespeed", body(fields, code: code)).state == .unknown)
        }
        // A poll without an envelope is nobody's; what a callback looks like is not established.
        let bare = #"{"id":"t1",\#(fields)}"#
        #expect(read("wavespeed", bare).state == .unknown)
        #expect(read("wavespeed", bare, kind: .callback).state == state)
        #expect(read("wavespeed", body(fields), kind: .callback).state == state)
    }

    @Test(
        "codes of the envelope are those of HTTP",
        arguments: [
            (400, ErrorClass.final, false, false), (401, .transient, true, false),
            (404, .final, false, true), (429, .transient, false, false),
            (500, .transient, false, false),
        ])
    func codes(code: Int, errorClass: ErrorClass, refused: Bool, unknownHere: Bool) {
        for provider in ["wavespeed", "piapi"] {
            let verdict = read(provider, #"{"code":\#(code),"message":"Canary","data":null}"#)
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == errorClass)
            #expect(verdict.credentialsRefused == refused)
            #expect(verdict.taskIsUnknownHere == unknownHere)
            #expect(verdict.errorMessage == "Canary (code \(code))")
        }
    }

    @Test("records and files last seven days from the start")
    func extras() {
        let done = read(
            "wavespeed",
            body(
                #""status":"completed","outputs":["https://a.example/1"],"created_at":"2026-03-01T12:00:00.123456789Z""#
            ))
        #expect(done.urlExpiresAt?.description == "2026-03-08T12:00:00Z")
        #expect(read("wavespeed", body(#""status":"failed","error":"why""#)).errorMessage == "why")
    }

    @Test("a page of the list")
    func lists() throws {
        let provider = try configured("wavespeed")
        let request = try provider.listRequest(endpoint: "", cursor: nil, now: testNow)
        #expect(
            request?.url == "https://api.wavespeed.ai/api/v3/predictions?page=1&page_size=100")
        for data in [
            #"{"page":1,"items":[{"id":"t1","status":"completed","outputs":["https://a.example/1"]}]}"#,
            #"[{"id":"t1","status":"completed","outputs":["https://a.example/1"]}]"#,
        ] {
            let answer = Answer(httpStatus: 200, body: Array(#"{"code":200,"data":\#(data)}"#.utf8))
            let page = try #require(
                provider.listPage(answer, endpoint: nil, cursor: nil, now: testNow))
            #expect(page.tasks.map(\.verdict.resultURLs) == [["https://a.example/1"]])
        }
    }
}
