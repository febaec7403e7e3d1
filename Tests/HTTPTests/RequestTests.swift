import HTTP
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RequestTests {
    @Test func sendsMethodHeadersAndBody() throws {
        let server = try LoopbackServer { asked, peer in
            peer.answer(201, ["X-Echo: \(asked.method)"], asked.body)
        }
        var client = try Client()
        let request = Request(
            method: "POST", url: server.url("/v1/a%20b?x=1#part"),
            headers: [Header("X-One", "1"), Header("X-Empty", ""), Header("X-Tab", "a\tb")],
            body: Array("{\"a\":1}".utf8))
        let answer = try client.perform(request)
        #expect(answer.status == 201)
        #expect(answer.header("x-ECHO") == "POST")
        #expect(answer.body == Array("{\"a\":1}".utf8))
        let asked = try #require(server.asked.first)
        #expect(asked.target == "/v1/a%20b?x=1")
        #expect(asked.headers.first(named: "x-one") == "1")
        #expect(asked.headers.first(named: "x-empty")?.isEmpty == true)
        #expect(asked.headers.first(named: "x-tab") == "a\tb")
        #expect(asked.headers.first(named: "user-agent") == Request.browserUserAgent)
        for absent in ["expect", "content-type", "accept-encoding", "cookie", "authorization"] {
            #expect(asked.headers.first(named: absent) == nil, "\(absent)")
        }
    }

    @Test(arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    func usesTheMethod(_ method: String) throws {
        let server = try LoopbackServer { asked, peer in
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            if asked.method != "HEAD" { peer.send("ok") }
        }
        var client = try Client()
        let answer = try client.perform(Request(method: method, url: server.url("/")))
        #expect(server.asked.map(\.method) == [method])
        #expect(answer.body == (method == "HEAD" ? [] : Array("ok".utf8)))
        let hasLength = server.asked.first?.headers.first(named: "content-length") != nil
        #expect(hasLength == ["POST", "PUT", "PATCH"].contains(method))
    }

    @Test func sendsABodyOfZerosAndOfManyBytes() throws {
        let server = try LoopbackServer { asked, peer in peer.answer(200, [], asked.body) }
        var client = try Client()
        for body in [[0, 0, 13, 10, 0], [UInt8](repeating: 7, count: 70_000)] {
            let request = Request(method: "PUT", url: server.url("/"), body: body)
            #expect(try client.perform(request).body == body)
        }
    }

    @Test func aHeaderOverridesTheUserAgent() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        var client = try Client()
        let headers = [Header("user-agent", "mine/1")]
        _ = try client.perform(Request(url: server.url("/"), headers: headers))
        let sent = server.asked[0].headers.filter { $0.name.lowercased() == "user-agent" }
        #expect(sent.map(\.value) == ["mine/1"])
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func aRedirectIsAStatusForRequests(_ status: Int) throws {
        let server = try LoopbackServer { _, peer in
            peer.answer(status, ["Location: /elsewhere"], "moved")
        }
        var client = try Client()
        let answer = try client.perform(Request(url: server.url("/")))
        #expect(answer.status == status)
        #expect(answer.header("location") == "/elsewhere")
        #expect(answer.body == Array("moved".utf8))
        #expect(server.asked.count == 1)
    }

    @Test(arguments: [200, 204, 400, 401, 404, 429, 500, 503])
    func everyStatusIsAnAnswer(_ status: Int) throws {
        let server = try LoopbackServer { _, peer in peer.answer(status, ["Retry-After: 7"]) }
        var client = try Client()
        let answer = try client.perform(Request(url: server.url("/")))
        #expect(answer.status == status)
        #expect(answer.header("Retry-After") == "7")
    }

    @Test func interimAnswersAndTrailersAreNotTheAnswersHeaders() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n")
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Folded: a\r\n b\r\n\r\n")
            peer.send("2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n")
        }
        var client = try Client()
        let answer = try client.perform(Request(url: server.url("/")))
        #expect(answer.status == 200)
        #expect(answer.body == Array("ok".utf8))
        #expect(answer.header("x-early") == nil)
        #expect(answer.header("x-trailer") == nil)
        #expect(answer.header("x-folded") == "a b")
    }

    @Test func encodedBodiesStayAsTheyCame() throws {
        let squeezed: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0]
        let server = try LoopbackServer { _, peer in
            peer.answer(200, ["Content-Encoding: gzip"], squeezed)
        }
        var client = try Client()
        #expect(try client.perform(Request(url: server.url("/"))).body == squeezed)
    }

    @Test func aHundredRequestsAreInFlightAtOnce() throws {
        let everyoneIsHere = Gate(after: 100)
        let server = try LoopbackServer { asked, peer in
            everyoneIsHere.arrive()
            everyoneIsHere.wait()
            peer.answer(200, [], asked.target)
        }
        var client = try Client()
        for number in 0..<100 { client.start(Request(url: server.url("/\(number)")), tag: number) }
        #expect(client.inFlight == 100)
        let results = client.finish()
        #expect(client.inFlight == 0)
        for number in 0..<100 {
            #expect(try results[number]?.get().body == Array("/\(number)".utf8))
        }
    }

    @Test func performLeavesOtherTransfersTheirCompletions() throws {
        let server = try LoopbackServer { asked, peer in peer.answer(200, [], asked.target) }
        var client = try Client()
        client.start(Request(url: server.url("/a")), tag: 1)
        client.start(Request(url: "nonsense"), tag: 2)
        #expect(try client.perform(Request(url: server.url("/b"))).body == Array("/b".utf8))
        let rest = client.finish()
        #expect(rest[1]?.status == 200)
        #expect(rest[2]?.code == .badURL)
    }

    @Test func aCancelledTransferHasNoCompletion() throws {
        let server = try LoopbackServer { asked, peer in
            if asked.target == "/stuck" { peer.waitUntilLeft() } else { peer.answer(200) }
        }
        var client = try Client()
        client.start(Request(url: server.url("/stuck")), tag: 1)
        client.start(Request(url: server.url("/")), tag: 2)
        client.start(Request(url: ""), tag: 3)
        while client.step(wait: .seconds(1)).first(where: { $0.tag == 2 }) == nil {}
        client.cancel(tag: 1)
        client.cancel(tag: 3)
        #expect(client.inFlight == 0)
        #expect(client.step(wait: .seconds(30)).isEmpty)
    }

    @Test func aTagInUseIsRefused() throws {
        let server = try LoopbackServer { _, peer in peer.waitUntilLeft() }
        var client = try Client()
        client.start(Request(url: server.url("/")), tag: 1)
        client.start(Request(url: server.url("/")), tag: 1)
        let refused = client.step(wait: .seconds(1))
        #expect(refused.map(\.result.code) == [.other])
        #expect(client.inFlight == 1)
    }

    @Test func connectionsAreUsedAgainButNeverForAPost() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        var client = try Client()
        for method in ["GET", "GET", "POST", "GET"] {
            _ = try client.perform(Request(method: method, url: server.url("/")))
        }
        let connections = server.asked.map(\.connection)
        #expect(connections[0] == connections[1])
        #expect(connections[2] != connections[1])
    }

    @Test(arguments: [
        ("X-A", "1\r\nX-Evil: 1"), ("X-A", "1\nX-Evil: 1"), ("X-A", "1\r"), ("X-A", "a\0b"),
        ("X-A", "a\u{7f}"), ("X-A\r\nX-Evil", "1"), ("X A", "1"), ("X-A:", "1"), ("", "1"),
        ("X-Ä", "1"), ("X\n", "1"),
    ])
    func headerInjectionIsRefused(_ name: String, _ value: String) throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        var client = try Client()
        let request = Request(url: server.url("/"), headers: [Header(name, value)])
        let result = client.ask(request)
        #expect(result.code == .other)
        #expect(!result.message.contains("Evil"))
        #expect(server.asked.isEmpty)
    }

    @Test(arguments: ["", "GET / HTTP/1.1\r\nX: y", "GE T", "G\0T"])
    func methodInjectionIsRefused(_ method: String) throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        var client = try Client()
        #expect(client.ask(Request(method: method, url: server.url("/"))).code == .other)
        #expect(server.asked.isEmpty)
    }

    @Test(arguments: [
        "", " ", "example.com/x", "/x", "http://", "http:///", "ftp://example.com/",
        "file:///etc/passwd", "gopher://127.0.0.1/_x", "javascript:alert(1)",
        "http://127.0.0.1:1/\r\nX-Evil: 1", "http://127.0.0.1:1/a\nb", "http://127.0.0.1:1/a\0b",
        "http://127.0.0.1:1/\t", " http://127.0.0.1:1/", "http://127.0.0.1:1/ ",
        "http://127.0.0.1:99999/", "http://[::1/", "http://a b/",
        "http://127.0.0.1:1/" + String(repeating: "a", count: 16 << 10),
        "http://" + String(repeating: "a.", count: 128) + "invalid/",
    ])
    func badURLsAreRefused(_ url: String) throws {
        var client = try Client()
        #expect(client.ask(Request(url: url)).code == .badURL)
        #expect(client.fetch(Request(url: url), into: Collector()).code == .badURL)
    }
}
