import Foundation
import Glibc

/// One accepted connection: requests in, answers out, on a thread of its own.
///
/// Blocking calls on one thread per connection keep a hang, a stall or a slow file from touching
/// anybody else, and let a hang notice that its client has gone.
struct Connection: ~Copyable {
    static let headLimitBytes = 65_536
    static let bodyLimitBytes = 268_435_456

    private let descriptor: Int32
    private var received: [UInt8] = []

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Serves until the client leaves or an answer demands that the connection be closed.
    mutating func serve(_ simulator: Simulator) {
        while true {
            switch readRequest() {
            case .gone:
                return
            case .refused(let status):
                let body = JSONText.object([("error", .text("malformed request"))])
                _ = send(.json(body, status: status), to: nil, keepAlive: false) {}
                return
            case .request(let request):
                var flight = simulator.enter(request)
                defer { simulator.leave(&flight) }
                let response = simulator.answer(request, flight: flight)
                let stays = send(response, to: request, keepAlive: request.keepAlive) {
                    simulator.leave(&flight)
                }
                guard stays else { return }
            }
        }
    }

    // MARK: - Reading

    private enum Arrival {
        case request(Request)
        case refused(Int)
        case gone
    }

    private struct Head {
        var method: String
        var target: String
        var version: String
        var headers: [String: String]
    }

    private mutating func readRequest() -> Arrival {
        var end = headEnd()
        while end == nil {
            guard received.count < Self.headLimitBytes else { return .refused(431) }
            guard receive(atMost: 16_384) else { return .gone }
            end = headEnd()
        }
        guard let end, let head = Self.parse(received[..<end]) else { return .refused(400) }
        received.removeFirst(end)
        guard head.headers["transfer-encoding"] == nil else { return .refused(411) }
        let length = head.headers["content-length"].map { Int($0) ?? -1 } ?? 0
        guard length >= 0 else { return .refused(400) }
        guard length <= Self.bodyLimitBytes else { return .refused(413) }
        if head.headers["expect"]?.lowercased() == "100-continue", received.count < length {
            guard transmit(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) else { return .gone }
        }
        while received.count < length {
            guard receive(atMost: min(length - received.count, 1_048_576)) else { return .gone }
        }
        let body = Array(received[..<length])
        received.removeFirst(length)
        let token = head.headers["connection"]?.lowercased() ?? ""
        let keepAlive = head.version == "HTTP/1.1" ? token != "close" : token == "keep-alive"
        return .request(
            Request(
                method: head.method, target: head.target, headers: head.headers, body: body,
                keepAlive: keepAlive))
    }

    /// The offset just past the empty line, when it has arrived.
    private func headEnd() -> Int? {
        received.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return nil }
            var from = 0
            while let found = memchr(start + from, 10, bytes.count - from) {
                let end = UnsafeRawPointer(found) - start + 1
                if end >= 4, bytes[end - 2] == 13, bytes[end - 3] == 10, bytes[end - 4] == 13 {
                    return end
                }
                from = end
            }
            return nil
        }
    }

    private static func parse(_ bytes: ArraySlice<UInt8>) -> Head? {
        let lines = bytes.split(separator: 10)
        guard let first = lines.first else { return nil }
        let words = first.split(separator: 32).map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 3 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            headers[name] = trimmed(line[(colon + 1)...])
        }
        return Head(
            method: words[0], target: words[1], version: trimmed(Array(words[2].utf8)[...]),
            headers: headers)
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        let blank: (UInt8) -> Bool = { $0 == 32 || $0 == 9 || $0 == 13 }
        var rest = bytes.drop(while: blank)
        while let last = rest.last, blank(last) { rest = rest.dropLast() }
        return String(decoding: rest, as: UTF8.self)
    }

    private mutating func receive(atMost limit: Int) -> Bool {
        let descriptor = descriptor
        let chunk = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            repeat {
                count = max(recv(descriptor, buffer.baseAddress, limit, 0), -1)
            } while count == -1 && errno == EINTR
            count = max(count, 0)
        }
        received += chunk
        return !chunk.isEmpty
    }

    // MARK: - Writing

    /// Sends an answer; false when the connection must be closed.
    ///
    /// - Parameter beforeLast: called before the last bytes leave, because a client that has got
    ///   them may be back with its next request before this thread runs again.
    private func send(
        _ response: Response, to request: Request?, keepAlive: Bool, beforeLast: () -> Void
    ) -> Bool {
        guard wait(milliseconds: response.delayMilliseconds) else { return false }
        var limit = response.body.count
        var pause = 0
        switch response.manner {
        case .refuse:
            return false
        case .hang(let milliseconds):
            _ = wait(milliseconds: milliseconds)
            return false
        case .cut, .stall:
            limit /= 2
        case .slow(let milliseconds):
            pause = milliseconds / Self.slowSteps
        case .whole:
            break
        }
        var head = "HTTP/1.1 \(response.status) \(Response.reasons[response.status] ?? "Status")"
        for (name, value) in response.headers { head += "\r\n\(name): \(value)" }
        head += "\r\nContent-Length: \(response.body.count)"
        head += keepAlive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n"
        if request?.method == "HEAD" { limit = 0 }
        let sent: Bool
        switch response.body {
        case .file(let content) where limit > 0:
            sent =
                transmit(Array(head.utf8))
                && stream(content, upTo: limit, pause: pause, beforeLast: beforeLast)
        case .file:
            beforeLast()
            sent = transmit(Array(head.utf8))
        case .bytes(let bytes):
            beforeLast()
            sent = transmit(Array(head.utf8) + bytes[..<limit])
        }
        guard sent else { return false }
        switch response.manner {
        case .cut:
            return false
        case .stall(let milliseconds):
            _ = wait(milliseconds: milliseconds)
            return false
        case .whole, .slow, .hang, .refuse:
            return keepAlive
        }
    }

    private static let slowSteps = 20

    private func stream(
        _ content: FileContent, upTo limit: Int, pause: Int, beforeLast: () -> Void
    ) -> Bool {
        // Blocks of a small file are larger than a step of a slow one, so they are cut up here.
        let step = pause > 0 ? max(limit / Self.slowSteps, 1) : limit
        var nextPause = step
        return content.forEachBlock(upTo: limit) { offset, block in
            var from = 0
            while from < block.count {
                let to = min(block.count, nextPause - offset)
                if offset + to == nextPause {
                    nextPause += step
                    guard wait(milliseconds: pause) else { return false }
                }
                if offset + to == content.count { beforeLast() }
                guard transmit(UnsafeRawBufferPointer(rebasing: block[from..<to])) else {
                    return false
                }
                from = to
            }
            return true
        }
    }

    private func transmit(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { transmit($0) }
    }

    private func transmit(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while let start = rest.baseAddress, !rest.isEmpty {
            let sent = Glibc.send(descriptor, start, rest.count, Int32(MSG_NOSIGNAL))
            if sent < 0 && errno == EINTR { continue }
            guard sent > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
        }
        return true
    }

    /// POLLRDHUP, which the header gives to GNU sources only.
    private static let peerClosed: Int16 = 0x2000

    /// Waits, or returns false at once when the client closes the connection meanwhile.
    private func wait(milliseconds: Int) -> Bool {
        guard milliseconds > 0 else { return true }
        let end = Clock.milliseconds() + Int64(milliseconds)
        while true {
            let left = end - Clock.milliseconds()
            guard left > 0 else { return true }
            var entry = pollfd(fd: descriptor, events: Self.peerClosed, revents: 0)
            let found = poll(&entry, 1, Int32(clamping: left))
            if found > 0 { return false }
        }
    }
}
