import Foundation
import Glibc
import HTTP
import Synchronization

/// A tiny HTTP server on the loopback that does exactly what a test tells it, badly if need be.
///
/// Each connection has a thread of its own, so an answer may wait for whatever the test wants.
final class LoopbackServer: Sendable {
    /// A request as it came over the wire.
    struct Asked: Sendable {
        var method: String
        var target: String
        var headers: [Header]
        var body: [UInt8]
        /// Counts the connections of this server from 0.
        var connection: Int
    }

    typealias Answer = @Sendable (Asked, Peer) -> Void

    let port: Int
    private let listener: Int32
    private let log: Log

    /// Everything that the server's threads share with the test.
    final class Log: Sendable {
        let asked = Mutex<[Asked]>([])
        let peers = Mutex<[Peer]>([])
    }

    /// The greeting is sent to whoever connects, before a request has come.
    init(
        address: String = "127.0.0.1", greeting: String = "", _ answer: @escaping Answer
    ) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, address, &name.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutableBytes(of: &name) { raw -> Bool in
            guard let base = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self) else {
                return false
            }
            return bind(listener, base, length) == 0 && listen(listener, 512) == 0
                && getsockname(listener, base, &length) == 0
        }
        guard bound else { throw POSIXError(.EADDRNOTAVAIL) }
        let log = Log()
        self.listener = listener
        self.log = log
        port = Int(UInt16(bigEndian: name.sin_port))
        Thread.detachNewThread { Self.accept(on: listener, log, greeting, answer) }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        for peer in log.peers.withLock({ $0 }) { peer.close() }
    }

    var asked: [Asked] { log.asked.withLock { $0 } }

    /// How many connections were accepted, whether or not anything was asked on them.
    var connections: Int { log.peers.withLock { $0.count } }

    func url(_ path: String, host: String = "127.0.0.1") -> String {
        "http://\(host):\(port)\(path)"
    }

    private static func accept(
        on listener: Int32, _ log: Log, _ greeting: String, _ answer: @escaping Answer
    ) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { break }
            let peer = Peer(descriptor)
            let number = log.peers.withLock { peers in
                peers.append(peer)
                return peers.count - 1
            }
            Thread.detachNewThread {
                peer.send(greeting)
                while let asked = peer.readRequest(connection: number) {
                    log.asked.withLock { $0.append(asked) }
                    answer(asked, peer)
                }
                peer.close()
            }
        }
        Glibc.close(listener)
    }
}

/// The server's end of one connection.
final class Peer: Sendable {
    private let descriptor: Int32
    private let isOpen = Mutex(true)
    private let wasReset = Mutex(false)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    // Not earlier: while a thread still reads, the number must not become somebody else's.
    deinit { if !wasReset.withLock({ $0 }) { Glibc.close(descriptor) } }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// False when the other side has gone.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// A whole answer with its length, on a connection that stays open.
    func answer(_ status: Int, _ headers: [String] = [], _ body: String = "") {
        answer(status, headers, Array(body.utf8))
    }

    func answer(_ status: Int, _ headers: [String], _ body: [UInt8]) {
        let lines = ["HTTP/1.1 \(status) Word", "Content-Length: \(body.count)"] + headers
        send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
    }

    /// Returns when the other side has gone.
    func waitUntilLeft() {
        var byte = UInt8(0)
        while recv(descriptor, &byte, 1, 0) > 0 {}
    }

    /// Ends the connection, politely or with a reset.
    func close(reset: Bool = false) {
        isOpen.withLock { open in
            guard open else { return }
            open = false
            if reset {
                var option = linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    descriptor, SOL_SOCKET, SO_LINGER, &option,
                    socklen_t(MemoryLayout<linger>.size))
                Glibc.close(descriptor)
                wasReset.withLock { $0 = true }
            } else {
                shutdown(descriptor, Int32(SHUT_RDWR))
            }
        }
    }

    func readRequest(connection: Int) -> LoopbackServer.Asked? {
        var head: [UInt8] = []
        var byte = UInt8(0)
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard isOpen.withLock({ $0 }), recv(descriptor, &byte, 1, 0) == 1 else { return nil }
            head.append(byte)
        }
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
        let first = lines[0].components(separatedBy: " ")
        let headers = lines.dropFirst().compactMap { line -> Header? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return Header(
                String(line[..<colon]),
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        var body: [UInt8] = []
        let length = headers.first(named: "content-length").flatMap { Int($0) } ?? 0
        while body.count < length, recv(descriptor, &byte, 1, 0) == 1 { body.append(byte) }
        return LoopbackServer.Asked(
            method: first[0], target: first.count > 1 ? first[1] : "", headers: headers,
            body: body, connection: connection)
    }
}

/// Opens once; whoever waits goes on from then.
final class Gate: Sendable {
    private let condition = NSCondition()
    nonisolated(unsafe) private var remaining: Int

    init(after count: Int = 1) { remaining = count }

    func arrive() {
        condition.withLock {
            remaining -= 1
            condition.broadcast()
        }
    }

    func wait() {
        condition.withLock {
            while remaining > 0 { condition.wait() }
        }
    }
}

/// Lets one waiter go on for each post.
final class Mailbox: Sendable {
    private let count = DispatchSemaphore(value: 0)

    func post() { count.signal() }
    func wait() { count.wait() }
}
