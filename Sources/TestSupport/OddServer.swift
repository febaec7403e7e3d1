import Foundation
import Glibc

/// A web server of a test's own that gives everybody the same bytes, whatever they ask for, or what a
/// test makes of a request.
package final class OddServer: Sendable {
    package let port: Int
    private let listener: Int32
    private let state: Guarded<State>

    private struct State {
        var answer: @Sendable (String) -> [UInt8]
        var requests = 0
    }

    /// How many requests have come in.
    package var requests: Int { state.withLock { $0.requests } }

    /// - Parameter answer: All of it, from the status line on.
    package convenience init(_ answer: [UInt8]) throws {
        try self.init(answering: { _ in answer })
    }

    /// - Parameter answer: Makes all of an answer of a request, which it gets from its first line on.
    package init(answering answer: @escaping @Sendable (String) -> [UInt8]) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw TestSupportError("no port for an odd server") }
        self.listener = listener
        port = Int(UInt16(bigEndian: name.sin_port))
        let state = Guarded(State(answer: answer))
        self.state = state
        Thread.detachNewThread { Self.serve(listener, state) }
    }

    /// A whole answer with a length and a declared type.
    package convenience init(type: String, _ body: [UInt8]) throws {
        try self.init(Self.answer(type: type, body))
    }

    /// From now on this is what everybody gets.
    package func change(status: String = "200 OK", type: String, _ body: [UInt8]) {
        let answer = Self.answer(status: status, type: type, body)
        state.withLock { $0.answer = { _ in answer } }
    }

    /// A whole answer with a length and a declared type.
    package static func answer(
        status: String = "200 OK", type: String, _ body: [UInt8]
    ) -> [UInt8] {
        let head =
            "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n"
            + "Connection: close\r\n\r\n"
        return Array(head.utf8) + body
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    package func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    private static func serve(_ listener: Int32, _ state: Guarded<State>) {
        while true {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { break }
            var request: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4096)
            while !isWhole(request) {
                let count = read(peer, &chunk, chunk.count)
                guard count > 0 else { break }
                request += chunk[..<count]
            }
            var rest = state.withLock { state in
                state.requests += 1
                return state.answer
            }(String(decoding: request, as: UTF8.self))[...]
            while !rest.isEmpty {
                let sent = rest.withUnsafeBytes {
                    send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard sent > 0 else { break }
                rest = rest.dropFirst(sent)
            }
            shutdown(peer, Int32(SHUT_WR))
            close(peer)
        }
        close(listener)
    }

    /// Whether the header block is there, and as much of a body as it announces.
    private static func isWhole(_ request: [UInt8]) -> Bool {
        let text = String(decoding: request, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return false }
        let lengths = text[..<end.lowerBound].lowercased().components(separatedBy: "\r\n")
            .filter { $0.hasPrefix("content-length:") }
            .compactMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
        return text[end.upperBound...].utf8.count >= lengths.first ?? 0
    }
}
