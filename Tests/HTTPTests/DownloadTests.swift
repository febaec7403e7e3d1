import HTTP
import Testing

@Suite(.timeLimit(.minutes(1)))
struct DownloadTests {
    static let pattern = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }

    // Made before a server needs it, lest the time it takes looks like a stall.
    init() { _ = Self.pattern }

    @Test func streamsABodyInPieces() throws {
        let server = try LoopbackServer { _, peer in
            peer.answer(200, ["Content-Type: video/mp4"], Self.pattern)
        }
        var client = try Client()
        let sink = Collector()
        let answer = try client.fetch(Request(url: server.url("/a.mp4")), into: sink).get()
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
        #expect(answer.header("content-type") == "video/mp4")
        #expect(sink.begins.map(\.status) == [200])
        #expect(sink.begins.first?.headers.first(named: "Content-Length") == "3000000")
        #expect(sink.bytes == Self.pattern)
        #expect(sink.offers > 20)
    }

    @Test func beginsForAnEmptyBodyToo() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        var client = try Client()
        let sink = Collector()
        #expect(client.fetch(Request(url: server.url("/")), into: sink).status == 200)
        #expect(sink.begins.count == 1)
        #expect(sink.offers == 0)
    }

    @Test(arguments: [200, 304, 401, 403, 404, 410, 500])
    func aSinkThatDeclinesGetsNoBodyAndTheStatusStands(_ status: Int) throws {
        let server = try LoopbackServer { _, peer in
            peer.send("HTTP/1.1 \(status) X\r\nContent-Length: 99999999\r\nX-A: b\r\n\r\npart")
            peer.waitUntilLeft()
        }
        var client = try Client()
        let sink = Collector()
        sink.wanted = false
        let answer = try client.fetch(Request(url: server.url("/")), into: sink).get()
        #expect(answer.status == status)
        #expect(answer.header("x-a") == "b")
        #expect(answer.body.isEmpty)
        #expect(sink.begins.count == 1)
        #expect(sink.offers == 0)
    }

    @Test func aSinkThatStopsGetsAnErrorOfItsOwn() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200, [], Self.pattern) }
        var client = try Client()
        let sink = Collector()
        sink.answer = { $0 == 3 ? .stop : .taken }
        let result = client.fetch(Request(url: server.url("/")), into: sink)
        #expect(result.code == .stopped)
        #expect(sink.offers == 4)
    }

    @Test func aPausedDownloadWaitsWhileOthersGoOn() throws {
        let server = try LoopbackServer { asked, peer in
            peer.answer(200, [], asked.target == "/long" ? Self.pattern : Array("short".utf8))
        }
        var client = try Client()
        let long = Collector()
        long.answer = { $0 == 0 ? .pause : .taken }
        client.download(Request(url: server.url("/long")), tag: 1, sink: long)
        let arrived = client.drive { long.offers > 0 }
        try #require(arrived)
        for tag in 2...20 {
            client.download(Request(url: server.url("/short")), tag: tag, sink: Collector())
        }
        var others = 0
        while others < 19, client.inFlight > 0 { others += client.step(wait: .seconds(1)).count }
        #expect(long.offers == 1)
        #expect(long.bytes.isEmpty)
        #expect(client.inFlight == 1)
        client.resume(tag: 1)
        #expect(client.finish()[1]?.status == 200)
        #expect(long.bytes == Self.pattern)
    }

    @Test func everyPieceMayBePausedAndNoneIsLostOrDoubled() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200, [], Self.pattern) }
        var client = try Client()
        let sink = Collector()
        sink.answer = { $0.isMultiple(of: 2) ? .pause : .taken }
        client.download(
            Request(url: server.url("/"), bodyLimitBytes: Self.pattern.count), tag: 1, sink: sink)
        var result: Result<Response, HTTPError>?
        while result == nil {
            result = client.step(wait: .milliseconds(1)).first?.result
            client.resume(tag: 1)
        }
        #expect(result?.status == 200)
        #expect(sink.bytes == Self.pattern)
    }

    @Test func aSmallBodyThatIsPausedIsDeliveredAfterTheServerHasGone() throws {
        let server = try LoopbackServer { _, peer in peer.answer(Array("whole".utf8), .untilClosed)
        }
        var client = try Client()
        let sink = Collector()
        sink.answer = { $0 < 2 ? .pause : .taken }
        client.download(Request(url: server.url("/")), tag: 1, sink: sink)
        let arrived = client.drive { sink.offers > 0 }
        try #require(arrived)
        client.resume(tag: 1)
        #expect(sink.offers == 2)
        #expect(client.step(wait: .milliseconds(20)).isEmpty)
        client.resume(tag: 1)
        #expect(client.finish()[1]?.status == 200)
        #expect(sink.bytes == Array("whole".utf8))
    }

    @Test func stoppingInsideResumeEndsTheTransfer() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200, [], Self.pattern) }
        var client = try Client()
        let sink = Collector()
        sink.answer = { $0 == 0 ? .pause : .stop }
        client.download(Request(url: server.url("/")), tag: 1, sink: sink)
        let arrived = client.drive { sink.offers > 0 }
        try #require(arrived)
        client.resume(tag: 1)
        #expect(client.inFlight == 1)
        #expect(client.step(wait: .seconds(30)).map(\.result.code) == [.stopped])
        #expect(client.inFlight == 0)
        #expect(sink.offers == 2)
    }

    @Test func aPauseLongerThanTheStallTimeoutIsNoStall() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200, [], Self.pattern) }
        var client = try Client()
        let sink = Collector()
        sink.answer = { $0 == 5 ? .pause : .taken }
        client.download(
            Request(url: server.url("/"), stallTimeout: .seconds(2)), tag: 1, sink: sink)
        let arrived = client.drive { sink.offers > 5 }
        try #require(arrived)
        #expect(client.step(wait: .milliseconds(3500)).isEmpty)
        client.resume(tag: 1)
        #expect(client.finish()[1]?.status == 200)
        #expect(sink.bytes == Self.pattern)
    }

    @Test func aPausedDownloadStillEndsAtItsTimeout() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200, [], Self.pattern) }
        var client = try Client()
        let sink = Collector()
        sink.answer = { _ in .pause }
        client.download(
            Request(url: server.url("/"), timeout: .milliseconds(300)), tag: 1, sink: sink)
        #expect(client.finish()[1]?.code == .timeout)
        #expect(sink.bytes.isEmpty)
    }

    @Test func resumeAndCancelOfUnknownTagsDoNothing() throws {
        var client = try Client()
        client.resume(tag: 4)
        client.cancel(tag: 4)
        #expect(client.step(wait: .seconds(60)).isEmpty)
    }
}
