import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1)))
struct RedirectTests {
    @Test(arguments: [301, 302, 303, 307, 308], 0...7)
    func fiveRedirectsAreFollowedAndASixthIsNot(_ status: Int, _ hops: Int) throws {
        let server = try LoopbackServer { asked, peer in
            let left = Int(asked.target.split(separator: "/").last ?? "") ?? 0
            if left > 0 {
                peer.answer(status, ["Location: \(left - 1)"], "not the body")
            } else {
                peer.answer(200, [], "the body")
            }
        }
        var client = try Client()
        let sink = Collector()
        let result = client.fetch(Request(url: server.url("/folder/\(hops)")), into: sink)
        if hops <= 5 {
            #expect(result.status == 200)
            #expect(sink.bytes == Array("the body".utf8))
            #expect(sink.begins.map(\.status) == [200])
            #expect(server.asked.count == hops + 1)
        } else {
            #expect(result.code == .tooManyRedirects)
            #expect(result.message.contains("5 redirects"))
            #expect(sink.begins.isEmpty)
            #expect(server.asked.count == 6)
        }
    }

    @Test func aLoopEnds() throws {
        let server = try LoopbackServer { _, peer in peer.answer(302, ["Location: /again"]) }
        var client = try Client()
        let sink = Collector()
        let result = client.fetch(Request(url: server.url("/?sig=abc")), into: sink)
        #expect(result.code == .tooManyRedirects)
        #expect(!result.message.contains("abc"))
    }

    @Test(arguments: [
        ("/b?x=1", "/b?x=1"), ("b", "/folder/b"), ("../b", "/b"), ("?q=2", "/folder/a?q=2"),
        ("/with blank", "/with%20blank"), ("/é", "/%c3%a9"), ("/b#frag", "/b"),
    ])
    func relativeLocationsAreResolved(_ location: String, _ target: String) throws {
        let server = try LoopbackServer { asked, peer in
            if asked.target == "/folder/a?sig=1" {
                peer.answer(302, ["Location: \(location)"])
            } else {
                peer.answer(200)
            }
        }
        var client = try Client()
        let request = Request(url: server.url("/folder/a?sig=1"))
        #expect(client.fetch(request, into: Collector()).status == 200)
        #expect(server.asked.last?.target.lowercased() == target)
    }

    @Test(arguments: ["location", "LOCATION"])
    func aRedirectWhoseBodyStallsIsFollowed(_ name: String) throws {
        let server = try LoopbackServer { asked, peer in
            if asked.target == "/b" { return peer.answer(200, [], "found") }
            peer.send("HTTP/1.1 302 X\r\n\(name): /b\r\nContent-Length: 1000\r\n\r\npart")
            peer.waitUntilLeft()
        }
        var client = try Client()
        let sink = Collector()
        #expect(client.fetch(Request(url: server.url("/a")), into: sink).status == 200)
        #expect(sink.bytes == Array("found".utf8))
    }

    @Test func aRedirectWithoutLocationIsAnAnswer() throws {
        let server = try LoopbackServer { _, peer in peer.answer(302) }
        var client = try Client()
        let sink = Collector()
        #expect(client.fetch(Request(url: server.url("/")), into: sink).status == 302)
        #expect(sink.begins.map(\.status) == [302])
    }

    @Test func credentialsStayWithTheirOriginForGood() throws {
        let server = try LoopbackServer { asked, peer in
            let port = asked.headers.first(named: "host")?.split(separator: ":").last ?? ""
            switch asked.target {
            case "/1": peer.answer(302, ["Location: /2"])
            case "/2": peer.answer(302, ["Location: http://localhost:\(port)/3"])
            case "/3": peer.answer(302, ["Location: http://127.0.0.1:\(port)/4"])
            default: peer.answer(200)
            }
        }
        var client = try Client()
        let secrets = ["Authorization", "Cookie", "x-api-key", "x-internal-secret", "X-Other"]
        let request = Request(
            url: server.url("/1"),
            headers: secrets.map { Header($0, "s3cr3t") } + [
                Header("Accept", "video/*"), Header("User-Agent", "mine/1"),
            ])
        #expect(client.fetch(request, into: Collector()).status == 200)
        let kept = server.asked.map { asked in
            secrets.filter { asked.headers.first(named: $0) != nil }.count
        }
        #expect(kept == [5, 5, 0, 0])
        for asked in server.asked {
            #expect(asked.headers.first(named: "accept") == "video/*")
            #expect(asked.headers.first(named: "user-agent") == "mine/1")
        }
    }

    @Test func everyHopIsJudged() throws {
        let inner = try LoopbackServer(address: "127.0.0.2") { _, peer in peer.answer(200) }
        let target = inner.url("/latest/meta-data", host: "127.0.0.2")
        let server = try LoopbackServer { _, peer in peer.answer(302, ["Location: \(target)"]) }
        let allowed = try #require(CIDR("127.0.0.1/32"))
        var client = try Client()
        let request = Request(url: server.url("/"), egress: .publicOnly(allowing: [allowed]))
        let result = client.fetch(request, into: Collector())
        #expect(result.code == .blockedAddress)
        #expect(result.message.hasPrefix("127.0.0.2 leads to 127.0.0.2 (loopback (127.0.0.0/8))"))
        #expect(server.asked.count == 1)
        #expect(inner.asked.isEmpty)
    }

    @Test func theTimeoutCoversAllHopsTogether() throws {
        let server = try LoopbackServer { asked, peer in
            if asked.target == "/1" { return peer.answer(302, ["Location: /2"]) }
            peer.waitUntilLeft()
        }
        var client = try Client()
        let request = Request(url: server.url("/1"), timeout: .milliseconds(150))
        let result = client.fetch(request, into: Collector())
        #expect(result.code == .timeout)
        #expect(result.message == "127.0.0.1: not finished within 150ms")
    }

    @Test(arguments: [
        ("https://a.example/x", "http://a.example/y"), ("https://a.example/x", "ftp://b.example/"),
        ("http://a.example/x", "file:///etc/passwd"), ("http://a.example/x", "gopher://b/_"),
        ("http://a.example/x", "http://user@b.example/"), ("http://a.example/x", "//u:p@b/"),
        ("http://a.example/x", "http://"), ("http://a.example/x", "http://b:99999/"),
        ("http://a.example/x", "/a\u{1}b"), ("http://a.example/x", ""),
    ])
    func aRedirectThatMayNotBeFollowed(_ from: String, _ location: String) throws {
        let url = try #require(ParsedURL(from))
        #expect(throws: HTTPError.self) { try Transfer.target(of: location, from: url) }
    }

    @Test(arguments: [
        ("http://a.example/x", "https://a.example/y", "https://a.example/y"),
        ("https://a.example/x", "https://b.example:8443/y", "https://b.example:8443/y"),
        ("https://a.example/x", "//b.example/y", "https://b.example/y"),
    ])
    func aRedirectThatMayBeFollowed(_ from: String, _ location: String, _ to: String) throws {
        let url = try #require(ParsedURL(from))
        #expect(try Transfer.target(of: location, from: url).text == to)
    }
}
