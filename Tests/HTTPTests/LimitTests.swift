import HTTP
import Testing

/// How an answer says where it ends.
enum Framing: CaseIterable { case length, chunked, untilClosed }

extension Peer {
    func answer(_ body: [UInt8], _ framing: Framing, _ headers: [String] = []) {
        let lines = headers.map { $0 + "\r\n" }.joined()
        switch framing {
        case .length: answer(200, headers, body)
        case .chunked:
            send("HTTP/1.1 200 OK\r\n\(lines)Transfer-Encoding: chunked\r\n\r\n")
            let size = Array((String(body.count, radix: 16) + "\r\n").utf8)
            // A chunk of no bytes would be the last one.
            if !body.isEmpty { send(size + body + Array("\r\n".utf8)) }
            send("0\r\n\r\n")
        case .untilClosed:
            send("HTTP/1.1 200 OK\r\n\(lines)Connection: close\r\n\r\n")
            send(body)
            close()
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct LimitTests {
    @Test(arguments: Framing.allCases, [1, 1000, 50_000])
    func theBodyLimitIsExact(_ framing: Framing, _ limit: Int) throws {
        let server = try LoopbackServer { asked, peer in
            let count = Int(asked.target.dropFirst()) ?? 0
            peer.answer([UInt8](repeating: 0x61, count: count), framing)
        }
        for count in [limit - 1, limit, limit + 1, limit * 3] {
            var client = try Client()
            let request = Request(url: server.url("/\(count)"), bodyLimitBytes: limit)
            let asked = client.ask(request)
            let sink = Collector()
            let fetched = client.fetch(request, into: sink)
            if count <= limit {
                #expect(try asked.get().body.count == count)
                #expect(fetched.status == 200)
                #expect(sink.bytes.count == count)
            } else {
                #expect(asked.code == .tooLarge)
                #expect(asked.message.contains("\(limit) bytes"))
                #expect(fetched.code == .tooLarge)
                #expect(sink.bytes.count <= limit)
            }
        }
    }

    @Test func aDeclaredLengthOverTheLimitIsNotWaitedFor() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n")
            peer.waitUntilLeft()
        }
        var client = try Client()
        #expect(client.ask(Request(url: server.url("/"))).code == .tooLarge)
        #expect(client.fetch(Request(url: server.url("/")), into: Collector()).code == .tooLarge)
    }

    @Test func aLimitOfZeroTakesAnEmptyBodyOnly() throws {
        let server = try LoopbackServer { asked, peer in
            peer.answer(200, [], asked.target == "/empty" ? "" : "x")
        }
        var client = try Client()
        let empty = Request(url: server.url("/empty"), bodyLimitBytes: 0)
        #expect(client.ask(empty).status == 200)
        #expect(client.ask(Request(url: server.url("/x"), bodyLimitBytes: 0)).code == .tooLarge)
    }

    @Test func endlessHeadersAreCutOff() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 200 OK\r\n")
            let line = Array("X-Pad: \(String(repeating: "a", count: 4000))\r\n".utf8)
            for _ in 0..<200 { peer.send(line) }
            peer.waitUntilLeft()
        }
        var client = try Client()
        let code = client.ask(Request(url: server.url("/"))).code
        // Newer versions of libcurl have a limit of their own on top of ours.
        #expect(code == .tooLarge || code == .cutOff)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly a part",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ])
    func anAnswerThatEndsEarlyIsCutOff(_ sent: String) throws {
        let server = try LoopbackServer { _, peer in
            peer.send(sent)
            peer.close()
        }
        var client = try Client()
        let result = client.ask(Request(url: server.url("/secret?token=abc")))
        #expect(result.code == .cutOff, "\(result)")
        #expect(!result.message.contains("abc"))
        let sink = Collector()
        #expect(client.fetch(Request(url: server.url("/")), into: sink).code == .cutOff)
    }

    @Test func aResetIsCutOff() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part")
            peer.close(reset: true)
        }
        var client = try Client()
        #expect(client.ask(Request(url: server.url("/"))).code == .cutOff)
    }

    @Test func moreBytesThanDeclaredAreNotTheBody() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyand more")
            peer.close()
        }
        var client = try Client()
        #expect(try client.perform(Request(url: server.url("/"))).body == Array("body".utf8))
    }

    @Test(arguments: ["SSH-2.0-OpenSSH\r\n", "hello\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"])
    func whatIsNotHTTPIsNoAnswer(_ sent: String) throws {
        let server = try LoopbackServer { _, peer in
            peer.send(sent)
            peer.close()
        }
        var client = try Client()
        #expect(client.ask(Request(url: server.url("/"))).code != nil)
    }

    @Test func silenceEndsWithTheRequestsTimeout() throws {
        let server = try LoopbackServer { _, peer in peer.waitUntilLeft() }
        var client = try Client()
        let result = client.ask(Request(url: server.url("/"), timeout: .milliseconds(80)))
        #expect(result.code == .timeout)
        #expect(result.message == "127.0.0.1: not finished within 80ms")
    }

    @Test func aStalledDownloadIsCutBeforeItsTimeout() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
            peer.waitUntilLeft()
        }
        var client = try Client()
        let sink = Collector()
        let request = Request(
            url: server.url("/"), timeout: .seconds(1000), stallTimeout: .seconds(1))
        let result = client.fetch(request, into: sink)
        #expect(result.code == .timeout)
        #expect(result.message.contains("stalled; less than 1 byte a second for 1s"))
        #expect(sink.bytes == Array("part".utf8))
    }

    @Test func aSlowDripArrivesWhole() throws {
        let mayGoOn = Mailbox()
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
            for number in 0..<300 {
                peer.send([UInt8(number % 251)])
                mayGoOn.wait()
            }
        }
        var client = try Client()
        let sink = Collector()
        sink.taken = { mayGoOn.post() }
        #expect(client.fetch(Request(url: server.url("/")), into: sink).status == 200)
        #expect(sink.bytes == (0..<300).map { UInt8($0 % 251) })
        #expect(sink.offers == 300)
    }

    @Test func nobodyListeningIsAConnectError() throws {
        var port = 0
        do { port = try LoopbackServer { _, _ in }.port }
        var client = try Client()
        // The listener is closed by its own thread; until then the connection ends unanswered.
        var code = client.ask(Request(url: "http://127.0.0.1:\(port)/?key=abc")).code
        while code == .cutOff { code = client.ask(Request(url: "http://127.0.0.1:\(port)/")).code }
        #expect(code == .connect)
    }

    @Test func aServerWithoutTLSIsATLSError() throws {
        let server = try LoopbackServer(greeting: "HTTP/1.1 400 Bad Request\r\n\r\n") { _, _ in }
        var client = try Client()
        let result = client.ask(Request(url: "https://127.0.0.1:\(server.port)/x?token=abc"))
        #expect(result.code == .tls)
        #expect(!result.message.contains("abc"))
    }

    @Test func aHandshakeThatHangsIsAConnectTimeout() throws {
        let server = try LoopbackServer { _, peer in peer.waitUntilLeft() }
        var client = try Client()
        let result = client.ask(
            Request(
                url: "https://127.0.0.1:\(server.port)/", connectTimeout: .milliseconds(100)))
        #expect(result.code == .timeout)
        #expect(result.message == "127.0.0.1: no connection within 100ms")
    }

    @Test func aNameThatDoesNotExistCannotBeResolved() throws {
        var client = try Client()
        // A label of more than 63 bytes is refused by the resolver itself: nobody is asked.
        let name = String(repeating: "a", count: 64) + ".invalid"
        let result = client.ask(Request(url: "http://\(name)/x?token=abc"))
        #expect(result.code == .resolve)
        #expect(result.message == "\(name): the name cannot be resolved")
    }
}
