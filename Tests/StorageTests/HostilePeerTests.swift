import Core
import TestSupport
import Testing

/// The sources and the proxy that downloads and uploads are tested against.
@Suite struct HostilePeers {
    struct Row: Sendable, CustomStringConvertible {
        var behaviour: HostileSource.Behaviour
        /// What the second request gets, which asks for the rest with the first answer's validator.
        var status: Int
        /// Of that answer; nil where there is none.
        var range: String?

        init(_ behaviour: HostileSource.Behaviour, _ status: Int, _ range: String? = nil) {
            self.behaviour = behaviour
            self.status = status
            self.range = range
        }

        var description: String { behaviour.rawValue }
    }

    static let rest = "bytes 600-999/1000"
    static let rows = [
        Row(.strongETag, 206, rest), Row(.weakETag, 200), Row(.dateOnly, 206, rest),
        Row(.noValidator, 206, rest), Row(.ignoresRange, 200), Row(.changes, 200),
        Row(.ignoresIfRange, 206, rest), Row(.liesAboutETag, 206, rest),
        Row(.overlapDiffers, 206, rest), Row(.wrongStart, 206, "bytes 599-999/1000"),
        Row(.wrongTotal, 206, "bytes 600-999/1001"), Row(.noContentRange, 206),
        Row(.unsatisfiable, 416, "bytes */1000"), Row(.multipart, 206), Row(.noLength, 200),
        Row(.chunked, 200), Row(.expires, 403), Row(.errorPage, 200), Row(.redirectLoop, 302),
        Row(.redirects, 302),
    ]

    @Test(arguments: rows)
    func `a source breaks its one rule when the rest is asked for`(_ row: Row) throws {
        let source = try HostileSource(row.behaviour, size: 1000)
        let first = try ask(source)
        let validator = first.headers.first { $0.name == "etag" || $0.name == "last-modified" }
        let condition = validator.map { [("If-Range", $0.value)] } ?? []
        let second = try ask(source, [("Range", "bytes=600-")] + condition)
        #expect(second.status == row.status)
        #expect(second.headers.first { $0.name == "content-range" }?.value == row.range)
        #expect(try source.log().count == 2)
    }

    @Test func `what continues under the same ETag is another file`() throws {
        let source = try HostileSource(.liesAboutETag, size: 1000)
        let first = try ask(source)
        let second = try ask(source, [("Range", "bytes=600-")])
        #expect(first.headers.first { $0.name == "etag" }?.value != nil)
        #expect(
            first.headers.first { $0.name == "etag" }?.value
                == second.headers.first { $0.name == "etag" }?.value)
        #expect(Array(first.body[600...]) != second.body)
    }

    @Test func `an answer ends where it was told to, as often as it was told to`() throws {
        let source = try HostileSource(.strongETag, size: 1000, after: 300, drops: 2)
        for _ in 0..<2 { #expect(throws: TestSupportError.self) { try ask(source) } }
        #expect(try ask(source).body.count == 1000)
        #expect(try source.log().map { $0["sent"]?.int } == [300, 300, 1000])
    }

    @Test func `a longer length is a lie and a shorter one is kept`() throws {
        #expect(throws: TestSupportError.self) { try ask(HostileSource(.longer, size: 1000)) }
        #expect(try ask(HostileSource(.shorter, size: 1000)).body.count == 999)
    }

    @Test func `an address that expired is another after a refresh`() throws {
        let source = try HostileSource(.expires, size: 1000, options: ["status": 410])
        let first = try ask(source)
        #expect(try ask(source).status == 410)
        let path = try #require(try source.refreshedURL().split(separator: ":").last)
        let again = try Loopback.request(
            "GET", port: HostileSource.port, path: String(path.drop { $0 != "/" }))
        #expect(again.body == first.body)
    }

    @Test func `one bit of a body changes on its way there and one on its way back`() throws {
        let peer = try S3Peer(.stub(.supabase))
        let proxy = try FlippingProxy(to: peer.port)
        try proxy.flip(.request, body: 1, offset: 2, bit: 0)
        try proxy.flip(.answer, body: 2, offset: 0, bit: 1)
        let key = [("Authorization", "Bearer \(peer.serviceKey)")]
        for name in ["a", "b"] {
            let answer = try Loopback.request(
                "POST", port: proxy.port, path: "/storage/v1/object/\(peer.bucket)/\(name)",
                headers: key, body: Array("text".utf8))
            #expect(answer.status == 200)
        }
        let read = try Loopback.request(
            "GET", port: proxy.port, path: "/storage/v1/object/\(peer.bucket)/b", headers: key)
        #expect(read.text == "veyt")
        #expect(try peer.object("a")?.size == 4)
        #expect(try proxy.log().filter { $0["flipped"]?.array?.count == 1 }.count == 2)
    }

    private func ask(
        _ source: HostileSource, _ headers: [(String, String)] = []
    ) throws -> Loopback.Answer {
        try Loopback.request(
            "GET", port: HostileSource.port, path: source.path, headers: headers,
            timeoutSeconds: 10)
    }
}
