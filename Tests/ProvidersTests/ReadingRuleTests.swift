import Core
import HTTP
import Providers
import Testing

let testNow = Instant(unixSeconds: 1_795_257_756)

/// The verdict of an adapter on a body given as text.
func read(
    _ provider: String, _ body: String, asked: String? = "t1", endpoint: String? = nil,
    kind: AnswerKind = .poll, status: Int = 200, headers: [Header] = []
) -> Verdict {
    guard let reader = ProviderRegistry.reader(provider) else {
        Issue.record("no provider \(provider)")
        return Verdict(state: .unknown, errorClass: .transient)
    }
    return reader.verdict(
        Answer(httpStatus: status, headers: headers, body: Array(body.utf8)), askedTaskID: asked,
        endpoint: endpoint, kind: kind, now: testNow)
}

/// A finished market task whose `data` holds `fields` besides its id.
func market(_ fields: String, code: String = "200") -> String {
    #"{"code":\#(code),"msg":"success","data":{"taskId":"t1",\#(fields)}}"#
}

func kling(_ fields: String, code: String = "0") -> String {
    #"{"code":\#(code),"message":"SUCCEED","data":{"task_id":"t1",\#(fields)}}"#
}

/// Market result of one URL text, exactly as the body will hold it.
func result(_ urls: String) -> String {
    let inner = JSON.write(["resultUrls": .string("@")]).replacing("\"@\"", with: urls)
    return market(#""state":"success","resultJson":"# + JSON.quoted(inner))
}

@Suite("Rules that every adapter keeps")
struct ReadingRuleTests {
    static let unreadableBodies = [
        "", "  \n", "<html><title>502 Bad Gateway</title></html>", "error code: 1010", "null",
        "true", "[]", "{}", "\"success\"", "{\"code\":200,\"data\":{\"taskId\":\"t1\",\"state\":",
        market(#""state":"fail","failMsg":"x""#) + market(#""state":"fail","failMsg":"x""#),
        market(#""state":"fail","state":"success""#), kling(#""task_status":"failed""#) + "}",
        kling(#""task_status":"failed","task_status":"succeed""#), "\u{0}\u{1}", "[[[[", "-",
        #"{"data":{"data":{"data":{"data":{"data":{"data":{"data":{"data":{}}}}}}}}}"#,
    ]

    @Test(
        "what cannot be read changes nothing and is asked again",
        arguments: ProviderRegistry.names, unreadableBodies)
    func unreadable(provider: String, body: String) {
        for kind in AnswerKind.allCases {
            for status in [200, 202, 301, 401, 403, 429, 500, 502, 599] {
                let verdict = read(provider, body, kind: kind, status: status)
                #expect(verdict.state == .unknown)
                #expect(verdict.errorClass == .transient)
                #expect(verdict.resultURLs.isEmpty)
                #expect(verdict.errorMessage?.isEmpty == false)
                #expect(!verdict.taskIsUnknownHere)
            }
        }
    }

    @Test(
        "only absolute http and https URLs with a host are files",
        arguments: [
            (#"["https://a.example/x.mp4"]"#, ["https://a.example/x.mp4"]),
            (
                #"["HTTP://a.example:8080/x?s=%2B+a&b=ü#f"]"#,
                ["HTTP://a.example:8080/x?s=%2B+a&b=ü#f"]
            ),
            (#"["\n https://a.example/x \t"]"#, ["https://a.example/x"]),
            (
                #"[null,""," ","https://a.example/2",7,{"url":"https://a.example/3"}]"#,
                ["https://a.example/2"]
            ),
            (
                #"["https://[2001:db8::1]/x","https://user:pw@a.example/x"]"#,
                ["https://[2001:db8::1]/x", "https://user:pw@a.example/x"]
            ),
            (#""https://a.example/bare""#, ["https://a.example/bare"]),
            (#""[\"https://a.example/text\"]""#, ["https://a.example/text"]),
            (#"["data:video/mp4;base64,AAAA"]"#, []),
            (#"["gs://bucket/x.mp4","ftp://a.example/x","file:///etc/passwd"]"#, []),
            (#"["//a.example/x","/x.mp4","x.mp4","a.example/x.mp4"]"#, []),
            (#"["javascript:alert(1)","https:/a.example/x","https:a.example"]"#, []),
            (#"["https://","https:///x","https://?x=1","https://:80/x","https://./x"]"#, []),
            (#"["https://a.example/your file","see https://a.example/x"]"#, []),
            (#"["https://a.example\\@evil.example/x","https://a.example/\u0000x"]"#, []),
            (#"["https://a.exa\ufffdple/x","https://a|b.example/x"]"#, []),
            (#"["https://bücher.example/x"]"#, ["https://bücher.example/x"]),
            (#"["https://a.example:port/x"]"#, []),
            ("[]", []), ("null", []), ("{}", []), ("7", []), (#""""#, []),
        ] as [(String, [String])])
    func urls(json: String, expected: [String]) {
        let verdict = read("kie", result(json))
        #expect(verdict.resultURLs == expected)
        #expect(verdict.state == (expected.isEmpty ? .unknown : .succeeded))
        #expect(verdict.errorClass == (expected.isEmpty ? .transient : .none))
        #expect(verdict.taskID == "t1")
    }

    @Test(
        "ids are compared digit for digit",
        arguments: [
            ("901122334455667788", "901122334455667788", true),
            ("901122334455667789", "901122334455667788", false),
            ("\"901122334455667788\"", "901122334455667788", true),
            ("\" 901122334455667788 \"", "901122334455667788", true),
            ("9.01122334455667788e17", "901122334455667788", false),
            ("901122334455667788.0", "901122334455667788", false),
            ("\"\u{212A}1\"", "K1", false), ("\"T1\"", "t1", false),
            ("true", "true", false), ("[\"t1\"]", "t1", false), ("{}", "t1", false),
        ] as [(String, String, Bool)])
    func ids(json: String, asked: String, agrees: Bool) {
        for (provider, body) in [
            ("kie", #"{"code":200,"data":{"taskId":\#(json),"state":"generating"}}"#),
            ("kling", #"{"code":0,"data":{"task_id":\#(json),"task_status":"processing"}}"#),
        ] {
            let verdict = read(provider, body, asked: asked)
            #expect(verdict.state == (agrees ? .running : .unknown))
            #expect(verdict.taskID == (agrees ? asked : nil))
        }
    }

    @Test(
        "a list is searched for the id, never read by position",
        arguments: [
            (
                #"[{"task_id":"t0","task_status":"failed"},{"task_id":"t1","task_status":"processing"}]"#,
                TaskState.running
            ),
            (#"[{"task_id":"t1","task_status":"processing"}]"#, .running),
            (#"[{"task_id":"t0","task_status":"failed"}]"#, .unknown),
            (#"[{"task_status":"failed"}]"#, .unknown),
            ("[]", .unknown), ("[null]", .unknown), ("[[]]", .unknown), ("[7,\"t1\"]", .unknown),
            (
                #"[{"task_id":"t1","task_status":"failed"},{"task_id":"t1","task_status":"succeed"}]"#,
                .unknown
            ),
            (
                #"[{"task_id":"t1","task_status":"submitted"},{"task_id":"t1","task_status":"submitted"}]"#,
                .pending
            ),
            (#""[{\"task_id\":\"t1\",\"task_status\":\"submitted\"}]""#, .pending),
            (#"{"task_id":"t1","task_status":"processing"}"#, .running),
        ])
    func lists(data: String, state: TaskState) {
        #expect(read("kling", #"{"code":0,"data":\#(data)}"#).state == state)
        let kie = data.replacing("task_status", with: "state")
            .replacing("failed", with: "fail").replacing("succeed", with: "success")
            .replacing("processing", with: "generating").replacing("submitted", with: "waiting")
        #expect(read("kie", #"{"code":200,"data":\#(kie)}"#).state == state)
        #expect(read("kie", #"[{"code":200,"data":\#(kie)}]"#).state == state)
    }

    @Test("an answer that decides nothing still names the task that it is about")
    func namedTask() {
        for asked in ["t1", nil] {
            #expect(read("kie", market(#""state":"odd""#), asked: asked).taskID == "t1")
            #expect(
                read("kie", market(#""state":"fail""#, code: "500"), asked: asked).taskID == "t1")
            #expect(
                read("kie", market(#""state":"fail""#), asked: asked, status: 502).taskID == "t1")
            #expect(read("kling", kling(#""task_status":"odd""#), asked: asked).taskID == "t1")
            #expect(read("kling", kling("\"x\":1", code: "5000"), asked: asked).taskID == "t1")
        }
    }

    @Test(
        "the wait that the provider asks for is read",
        arguments: [
            ("30", 30), (" 0 ", 0), ("-5", 0), ("99999999999", 86_400), ("soon", nil), ("", nil),
            ("1.5", nil),
            ("Sat, 21 Nov 2026 10:43:06 GMT", 30), ("Saturday, 21-Nov-26 10:43:06 GMT", 30),
            ("Sat Nov 21 10:43:06 2026", 30), ("Sat, 21 Nov 2026 10:00:00 GMT", 0),
            ("Sat, 31 Nov", nil),
        ] as [(String, Int64?)])
    func retryAfter(value: String, seconds: Int64?) {
        for provider in ProviderRegistry.names {
            let verdict = read(
                provider, "{}", status: 429, headers: [Header("retry-after", value)])
            #expect(verdict.retryAfter == seconds.map { .seconds($0) })
        }
    }

    @Test("a date to wait for is measured by the server's own clock")
    func retryAfterByServerClock() {
        let headers = [
            Header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Header("Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT"),
        ]
        #expect(read("kling", "{}", status: 503, headers: headers).retryAfter == .seconds(10))
    }

    @Test("refused credentials are told apart from refused front ends")
    func credentials() {
        #expect(read("kie", "{}", status: 401).credentialsRefused)
        #expect(read("kie", "{}", status: 403).credentialsRefused)
        #expect(read("kie", #"{"code":401,"msg":"no"}"#).credentialsRefused)
        #expect(!read("kie", "error code: 1010", status: 403).credentialsRefused)
        #expect(!read("kie", "{}", status: 429).credentialsRefused)
        #expect(read("kling", #"{"code":1002,"message":"no"}"#, status: 401).credentialsRefused)
        #expect(!read("kling", #"{"code":1103,"message":"no"}"#, status: 403).credentialsRefused)
        #expect(!read("kling", #"{"code":1303,"message":"no"}"#, status: 429).credentialsRefused)
    }

    @Test("messages are one bounded line without queries and tokens")
    func messages() {
        let secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlMTIzNDU2"
        let text =
            "cannot fetch\\nhttps://u:p@a.example/in.png?sig=canary1 with Bearer canary2 or \(secret)"
            + String(repeating: " long", count: 500)
        let verdict = read(
            "kie", market(#""state":"fail","failMsg":"\#(text)""#), endpoint: "market")
        let message = verdict.errorMessage ?? ""
        #expect(verdict.state == .failed)
        #expect(message.hasPrefix("cannot fetch https://[redacted]@a.example/in.png?[redacted]"))
        #expect(!message.contains("canary"))
        #expect(!message.contains("eyJ"))
        #expect(message.unicodeScalars.count <= 500)
    }
}
