import Core
import Testing

@testable import Reception

/// What a web server says about a request, as variables.
@Suite struct CGIRequestTests {
    @Test(
        arguments: [
            ("/kie", nil, "kie"), ("/hooks/kling", nil, "kling"), ("/hooks/kie/", nil, "kie"),
            ("/KIE", nil, "kie"), ("", nil, ""), ("/", nil, ""), ("", "fal", "fal"),
            ("/kie", "fal", "kie"), ("/a/b/c/nobody-knows", nil, "nobody-knows"),
        ] as [(String, String?, String)])
    func `the provider is the last part of the path, else what the server was told to say`(
        _ path: String, _ given: String?, _ provider: String
    ) {
        #expect(CGIRequest([("PATH_INFO", path)], provider: given).provider == provider)
    }

    @Test func `a provider's name is cut where no name is that long`() {
        let request = CGIRequest([("PATH_INFO", "/" + String(repeating: "x", count: 100_000))])
        #expect(request.provider.utf8.count == 100)
    }

    @Test(
        arguments: [
            ("0", 0), ("12", 12), ("", nil), ("-1", nil), ("1e3", nil), (" 5", nil), ("+5", nil),
            ("99999999999999999999999", Int.max),
        ] as [(String, Int?)])
    func `a length is digits and nothing else`(_ text: String, _ length: Int?) {
        #expect(CGIRequest([("CONTENT_LENGTH", text)]).announcedBytes == length)
    }

    @Test func `headers get their names back`() {
        let request = CGIRequest([
            ("HTTP_WEBHOOK_ID", "msg_1"), ("CONTENT_TYPE", "application/json"),
            ("HTTP_X_FAL_WEBHOOK_USER_ID", "u"), ("HTTP_EMPTY", ""), ("PATH", "/bin"),
            ("HTTPS", "on"), ("REMOTE_ADDR", "192.0.2.1"),
        ])
        #expect(
            JSON.write(.object(request.headers))
                == #"{"webhook-id":"msg_1","content-type":"application/json","x-fal-webhook-user-id":"u"}"#
        )
    }

    @Test func `headers without end are cut`() {
        let many = (0..<1000).map { ("HTTP_H\($0)", String(repeating: "x", count: 100_000)) }
        let headers = CGIRequest(many).headers
        #expect(headers.members.count == 100)
        #expect(headers["h0"]?.text?.utf8.count == 8192)
    }

    /// A query without an equals sign may arrive as arguments.
    @Test(arguments: [("", true), ("a=b", true), ("--env-file+/etc/passwd", false), ("x", false)])
    func `arguments that a stranger may have sent are not ours`(_ query: String, _ ours: Bool) {
        #expect(CGIRequest([("QUERY_STRING", query)]).argumentsAreOurs == ours)
    }

    @Test(arguments: [
        ("GET", "", "", true), ("HEAD", "", "", true), ("OPTIONS", "", "", true),
        ("POST", "", "", false), ("GET", "taskId=1", "", false), ("GET", "", "x", false),
        ("PUT", "", "", false), ("", "", "", false),
    ])
    func `a probe brings nothing`(
        _ method: String, _ query: String, _ body: String, _ isProbe: Bool
    ) {
        let request = CGIRequest([("REQUEST_METHOD", method), ("QUERY_STRING", query)])
        #expect(request.isProbe(Array(body.utf8)) == isProbe)
        #expect(request.answer.hasPrefix("Status: 200 OK\r\n"))
        #expect(request.answer.hasSuffix(method == "HEAD" ? "\r\n\r\n" : "\r\n\r\nok\n"))
    }
}
