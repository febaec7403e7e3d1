import Foundation
import HTTP
import Testing

/// Sources of files that lie, never end or never begin.
@Suite(.timeLimit(.minutes(1)))
struct HostileSourceTests {
    private static let head = "HTTP/1.1 200 OK\r\n"
    private static let headLimitBytes = 256 << 10

    @Test(arguments: Framing.allCases, [-1, 0, 1])
    func `an encoded body is counted and kept as it was sent`(_ framing: Framing, _ spare: Int)
        throws
    {
        // A mebibyte of zeros, squeezed: decoding it would be a thousand times what was sent.
        let bomb = try Self.squeezed([UInt8](repeating: 0, count: 1 << 20))
        let server = try LoopbackServer { _, peer in
            peer.answer(bomb, framing, ["Content-Encoding: gzip"])
        }
        var client = try Client()
        let sink = Collector()
        let request = Request(
            url: server.url("/"), headers: [Header("Accept-Encoding", "gzip")],
            bodyLimitBytes: bomb.count + spare)
        let result = client.fetch(request, into: sink)
        if spare < 0 {
            #expect(result.code == .tooLarge)
            #expect(result.message.hasSuffix("larger than \(bomb.count - 1) bytes"))
            #expect(sink.bytes.count < bomb.count)
        } else {
            #expect(result.status == 200)
            #expect(sink.bytes == bomb)
        }
    }

    @Test(arguments: ["Connection: close", "Transfer-Encoding: chunked"])
    func `a body without end is cut at its limit`(_ framing: String) throws {
        let chunked = framing.contains("chunked")
        let piece = (chunked ? "400\r\n" : "") + String(repeating: "a", count: 1024)
        let server = try LoopbackServer { _, peer in
            peer.send("\(Self.head)\(framing)\r\n\r\n")
            while peer.send(Array((piece + (chunked ? "\r\n" : "")).utf8)) {}
        }
        var client = try Client()
        let sink = Collector()
        let request = Request(url: server.url("/"), bodyLimitBytes: 1_000_000)
        let result = client.fetch(request, into: sink)
        #expect(result.code == .tooLarge)
        #expect(result.message == "127.0.0.1: the body is larger than 1000000 bytes")
        // Not a byte more is ever offered, and what was missing is less than one read.
        #expect(sink.bytes.count <= 1_000_000)
        #expect(sink.bytes.count > 1_000_000 - (128 << 10))
    }

    @Test(arguments: [
        "-1", "-9223372036854775808", "99999999999999999999999", "0x10", "abc", "4, 4", "4;4", "",
        "1e3", " 4 4",
    ])
    func `a length that is no number does not open the limit`(_ length: String) throws {
        let server = try LoopbackServer { _, peer in
            peer.send("\(Self.head)Content-Length: \(length)\r\n\r\n")
            peer.send([UInt8](repeating: 0x61, count: 2000))
            peer.close()
        }
        var client = try Client()
        let sink = Collector()
        let result = client.fetch(
            Request(url: server.url("/"), bodyLimitBytes: 1000), into: sink)
        // Refused, or read as a number that is smaller: versions of libcurl differ.
        #expect(result.code != nil || sink.bytes.count <= 4)
        #expect(sink.bytes.count <= 1000)
    }

    @Test func `more bytes than declared do not reach the sink`() throws {
        let server = try LoopbackServer { _, peer in
            peer.send("\(Self.head)Content-Length: 4\r\n\r\nbodyand more")
            peer.close()
        }
        var client = try Client()
        let sink = Collector()
        #expect(client.fetch(Request(url: server.url("/")), into: sink).status == 200)
        #expect(sink.bytes == Array("body".utf8))
    }

    @Test(arguments: [-1, 0, 1])
    func `the limit of header lines is exact`(_ extra: Int) throws {
        let rest = "Content-Length: 0\r\n\r\n"
        var lines = Self.head
        let line = "X-Pad: \(String(repeating: "a", count: 4000))\r\n"
        let wanted = Self.headLimitBytes + extra - rest.utf8.count
        while lines.utf8.count + 2 * line.utf8.count < wanted { lines += line }
        let gap = wanted - lines.utf8.count - "X-End: \r\n".utf8.count
        lines += "X-End: \(String(repeating: "b", count: gap))\r\n"
        let sent = Array((lines + rest).utf8)
        #expect(sent.count == Self.headLimitBytes + extra)
        let server = try LoopbackServer { _, peer in peer.send(sent) }
        var client = try Client()
        let result = client.fetch(Request(url: server.url("/")), into: Collector())
        if extra <= 0 {
            #expect(result.status == 200, "\(result)")
        } else {
            #expect(result.code == .tooLarge, "\(result)")
            #expect(result.message == "127.0.0.1: more than 262144 bytes of header lines")
        }
    }

    @Test(arguments: [
        ("", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"), ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        (head, "X-Pad: aaaa\r\n"), (head + "X: y\r\n", " folded\r\n"),
        (head + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "X-Trailer: aaaa\r\n"),
    ])
    func `header lines without end are cut off`(_ first: String, _ repeated: String) throws {
        let piece = Array(String(repeating: repeated, count: 1000).utf8)
        let server = try LoopbackServer { _, peer in
            peer.send(first)
            while peer.send(piece) {}
        }
        var client = try Client()
        let sink = Collector()
        let result = client.fetch(Request(url: server.url("/")), into: sink)
        // Newer versions of libcurl have limits of their own below ours.
        #expect([.tooLarge, .cutOff, .other].contains(result.code), "\(result)")
        #expect(sink.bytes.count <= 1)
    }

    @Test(arguments: ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX-Pad: ", ""])
    func `a line without end is cut off`(_ first: String) throws {
        let piece = [UInt8](repeating: 0x61, count: 1 << 16)
        let server = try LoopbackServer { _, peer in
            peer.send(first)
            while peer.send(piece) {}
        }
        var client = try Client()
        let sink = Collector()
        #expect(client.fetch(Request(url: server.url("/")), into: sink).code != nil)
        #expect(sink.offers == 0)
    }

    @Test func `a source that never stops sending ends with the transfer's timeout`() throws {
        let piece = [UInt8](repeating: 0x61, count: 1 << 10)
        let server = try LoopbackServer { _, peer in
            peer.send("\(Self.head)Connection: close\r\n\r\n")
            while peer.send(piece) {}
        }
        var client = try Client()
        let request = Request(
            url: server.url("/"), timeout: .milliseconds(200), bodyLimitBytes: .max)
        let result = client.fetch(request, into: Discarding())
        #expect(result.code == .timeout)
        #expect(result.message == "127.0.0.1: not finished within 200ms")
    }

    /// A chunk's extension is neither body nor header line, and may be of any length.
    @Test func `bytes that are no part of the file do not count as progress`() throws {
        let piece = [UInt8](repeating: 0x61, count: 1 << 10)
        let server = try LoopbackServer { _, peer in
            peer.send("\(Self.head)Transfer-Encoding: chunked\r\n\r\n1;")
            while peer.send(piece) {}
        }
        var client = try Client()
        let request = Request(
            url: server.url("/"), timeout: .seconds(1000), stallTimeout: .seconds(1))
        let result = client.fetch(request, into: Collector())
        #expect([.timeout, .cutOff, .other].contains(result.code), "\(result)")
    }

    @Test func `a source that takes the request and says nothing has stalled`() throws {
        let server = try LoopbackServer { _, peer in peer.waitUntilLeft() }
        var client = try Client()
        let request = Request(
            url: server.url("/"), timeout: .seconds(1000), stallTimeout: .seconds(1))
        let result = client.fetch(request, into: Collector())
        #expect(result.code == .timeout)
        #expect(
            result.message
                == "127.0.0.1: stalled; less than 1 byte a second for 1s, after 0 bytes of the body"
        )
    }

    @Test func `a port that never accepts is a connect timeout`() throws {
        let port = try BusyPort()
        var client = try Client()
        let request = Request(
            url: "http://127.0.0.1:\(port.number)/", connectTimeout: .milliseconds(100))
        let result = client.fetch(request, into: Collector())
        #expect(result.code == .timeout)
        #expect(result.message == "127.0.0.1: no connection within 100ms")
    }

    private static func squeezed(_ bytes: [UInt8]) throws -> [UInt8] {
        let gzip = Process()
        gzip.executableURL = URL(fileURLWithPath: "/bin/gzip")
        gzip.arguments = ["--stdout", "--no-name"]
        let input = Pipe()
        let output = Pipe()
        gzip.standardInput = input
        gzip.standardOutput = output
        try gzip.run()
        // What comes out fits into the pipe many times over, so one may follow the other.
        input.fileHandleForWriting.write(Data(bytes))
        try input.fileHandleForWriting.close()
        return Array(output.fileHandleForReading.readDataToEndOfFile())
    }
}

/// Takes everything and keeps nothing.
private final class Discarding: DownloadSink {
    func began(status: Int, headers: [Header]) -> Bool { true }
    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer { .taken }
}

/// A listening port whose queue is full, so that the system drops every further attempt.
private final class BusyPort {
    let number: Int
    private var descriptors: [Int32]

    init() throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var descriptors = [listener]
        let isFull = withUnsafeMutableBytes(of: &address) { raw -> Bool in
            guard let name = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                bind(listener, name, length) == 0, listen(listener, 0) == 0,
                getsockname(listener, name, &length) == 0
            else { return false }
            for _ in 0..<8 {
                let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
                descriptors.append(socket(AF_INET, kind, 0))
                _ = connect(descriptors[descriptors.count - 1], name, length)
            }
            return true
        }
        self.descriptors = descriptors
        number = Int(UInt16(bigEndian: address.sin_port))
        guard isFull else { throw POSIXError(.EADDRNOTAVAIL) }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
