import Core
import HTTP
import Providers
import Testing

@Suite("MiniMax")
struct MiniMaxTests {
    private func v1(_ fields: String, code: Int = 0, message: String = "success") -> String {
        #"{"task_id":"t1",\#(fields),"base_resp":{"status_code":\#(code),"status_msg":"\#(message)"}}"#
    }

    @Test(
        "the older family's words",
        arguments: [
            (#""status":"Preparing""#, TaskState.pending), (#""status":"Queueing""#, .pending),
            (#""status":"processing""#, .running),
            (#""status":"Success","file_id":"306796200112233""#, .running),
            (#""status":"Success","file_id":306796200112233"#, .running),
            (#""status":"Success","file_id":"""#, .unknown), (#""status":"Success""#, .unknown),
            (#""status":"Success","file_id":{}"#, .unknown),
            (#""status":"Fail""#, .failed), (#""status":"Failed","file_id":"1""#, .failed),
            (#""status":"odd""#, .unknown), (#""status":7"#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        for endpoint in ["v1", "GET /v1/query/video_generation?task_id=", nil] {
            let verdict = read("minimax", v1(fields), endpoint: endpoint)
            #expect(verdict.state == state)
            #expect(verdict.taskID == "t1")
            #expect(verdict.resultURLs.isEmpty)
        }
        // Without its envelope it is nobody's.
        #expect(read("minimax", #"{"task_id":"t1",\#(fields)}"#).state == .unknown)
        #expect(read("minimax", v1(fields).replacing("t1", with: "t2")).state == .unknown)
    }

    @Test(
        "codes inside HTTP 200",
        arguments: [
            (1000, ErrorClass.transient, false), (1001, .transient, false),
            (1002, .transient, false), (1024, .transient, false), (1008, .transient, false),
            (1004, .transient, true), (1026, .final, false), (1027, .final, false),
            (2013, .transient, false),
        ])
    func codes(code: Int, errorClass: ErrorClass, refused: Bool) {
        for status in [#""x":1"#, #""status":"Success","file_id":"1""#, #""status":"Processing""#] {
            let verdict = read("minimax", v1(status, code: code, message: "Canary words"))
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == errorClass)
            #expect(verdict.credentialsRefused == refused)
            #expect(verdict.errorMessage?.contains("Canary words") == true)
            #expect(verdict.errorMessage?.contains("code \(code)") == true)
        }
        let failed = read("minimax", v1(#""status":"Fail""#, code: code, message: "Canary words"))
        #expect(failed.state == (errorClass == .final ? .failed : .unknown))
        #expect(failed.errorMessage?.contains("Canary words") == true)
    }

    @Test("the words under the good code are about the query, not about the failure")
    func reasonOfFailure() {
        #expect(
            read("minimax", v1(#""status":"Fail""#)).errorMessage == "the provider gives no reason")
    }

    @Test("the newer family names its file at once, in a wrapper of its own")
    func v2() {
        let body = { (fields: String) in #"{"task":{"id":"t1",\#(fields)}}"# }
        for (fields, state) in [
            (#""status":"queued""#, TaskState.pending), (#""status":"running""#, .running),
            (#""status":"succeeded","content":{"url":"https://a.example/v"}"#, .succeeded),
            (#""status":"succeeded","content":{"video_url":"https://a.example/v"}"#, .unknown),
            (#""status":"succeeded""#, .unknown),
            (#""status":"failed","error":{"code":"x","message":"why"}"#, .failed),
            (#""status":"cancelled""#, .cancelled), (#""status":"expired""#, .expired),
            (#""status":"Processing""#, .unknown),
        ] {
            for endpoint in ["v2", "/v2/query/video_generation/t1", nil] {
                let verdict = read("minimax", body(fields), endpoint: endpoint)
                #expect(verdict.state == state)
                #expect(verdict.taskID == "t1")
                #expect(verdict.urlExpiresAt == nil)
                if state == .failed { #expect(verdict.errorMessage == "why") }
            }
        }
        let refused =
            #"{"task":{"id":"t1","status":"failed"},"base_resp":{"status_code":1002,"status_msg":"slow"}}"#
        #expect(read("minimax", refused).state == .unknown)
        #expect(read("minimax", #"{"id":"t1","status":"failed"}"#).state == .unknown)
    }

    @Test("templates name the URL at once, for nine hours")
    func templates() {
        let body = v1(#""status":"Success","video_url":"https://a.example/v""#)
        let verdict = read("minimax", body, endpoint: "/v1/query/video_template_generation")
        #expect(verdict.resultURLs == ["https://a.example/v"])
        #expect(verdict.urlExpiresAt == testNow + .seconds(9 * 3600))
        #expect(read("minimax", body, endpoint: "v1").state == .unknown)
    }

    @Test(
        "the file's id goes into the second request digit for digit",
        arguments: [
            (#""status":"Success","file_id":"306796200112233009""#, "306796200112233009"),
            (#""status":"success","file_id":306796200112233009"#, "306796200112233009"),
            (#""status":"Success","file_id":"a/b""#, "a%2Fb"),
            (#""status":"Success","file_id":"""#, nil), (#""status":"Success","file_id":1e5"#, nil),
            (#""status":"Processing","file_id":"1""#, nil),
            (#""status":"Fail","file_id":"1""#, nil),
        ] as [(String, String?)])
    func followUp(fields: String, file: String?) throws {
        let provider = try configured("minimax")
        let request = { (body: String, status: Int) in
            try provider.resultRequest(
                after: Answer(httpStatus: status, body: Array(body.utf8)), taskID: "t1",
                endpoint: "v1", now: testNow)
        }
        #expect(
            try request(v1(fields), 200)?.url
                == file.map { "https://api.minimax.io/v1/files/retrieve?file_id=\($0)" })
        #expect(try request(v1(fields, code: 1002), 200) == nil)
        #expect(try request(v1(fields), 500) == nil)
        #expect(try request(v1(fields).replacing("t1", with: "t2"), 200) == nil)
    }

    @Test(
        "the second answer tells where the file is",
        arguments: [
            (#""file":{"file_id":1,"download_url":"https://a.example/v"}"#, 0, true),
            (#""file":{"file_id":1,"download_url":"www.a.example/v"}"#, 0, false),
            (#""file":{"file_id":1}"#, 0, false), (#""file":null"#, 0, false),
            (#""download_url":"https://a.example/v""#, 0, false),
            (#""file":{"download_url":"https://a.example/v"}"#, 1002, false),
        ])
    func results(fields: String, code: Int, isThere: Bool) {
        let body = #"{\#(fields),"base_resp":{"status_code":\#(code),"status_msg":"m"}}"#
        let verdict = read("minimax", body, kind: .result)
        #expect(verdict.state == (isThere ? .succeeded : .unknown))
        #expect(verdict.resultURLs == (isThere ? ["https://a.example/v"] : []))
        #expect(verdict.urlExpiresAt == nil || !isThere)
        #expect(read("minimax", #"{\#(fields)}"#, kind: .result).state == .unknown)
    }

    @Test(
        "a family is found by name, path or model",
        arguments: [
            ("v2", "x", ["v2"]), ("GET /v2/query/video_generation/{task_id}", "x", ["v2"]),
            ("/v1/query/video_generation?task_id=7", "x", ["v1"]), ("TEMPLATE", "x", ["template"]),
            (nil, "MiniMax-H3", ["v2"]), (nil, "MiniMax-Hailuo-03", ["v2"]),
            (nil, "MiniMax-Hailuo-02", ["v1", "v2"]), ("odd", "T2V-01", ["v1", "v2"]),
        ] as [(String?, String, [String])])
    func endpoints(endpoint: String?, model: String, expected: [String]) throws {
        let provider = try configured("minimax")
        let task = TaskReference(taskID: "t", endpoint: endpoint, model: model, kind: .video)
        #expect(provider.endpoints(for: task) == expected)
    }

    @Test("each family asks at its own address, and only one has a list")
    func requests() throws {
        let provider = try configured("minimax")
        for (endpoint, target) in [
            ("v2", "/v2/query/video_generation/t1"),
            ("template", "/v1/query/video_template_generation?task_id=t1"),
        ] {
            let request = try provider.pollRequest(taskID: "t1", endpoint: endpoint, now: testNow)
            #expect(request.url == "https://api.minimax.io" + target)
        }
        #expect(throws: Failure.self) {
            try provider.pollRequest(taskID: "t1", endpoint: "odd", now: testNow)
        }
        #expect(provider.listEndpoints(inUse: ["v1", "template"]) == [])
        #expect(provider.listEndpoints(inUse: ["v1", "v2"]) == ["v2"])
        #expect(provider.listEndpoints(inUse: [""]) == ["v2"])
        let request = try provider.listRequest(endpoint: "v2", cursor: "3", now: testNow)
        #expect(
            request?.url
                == "https://api.minimax.io/v2/query/video_generation?page_num=3&page_size=20")
    }
}
