import Foundation
import Glibc

/// Brings a callback to its receiver, which must be on the loopback.
struct Courier: Sendable {
    static let answerSeconds = 15
    static let answerLimitBytes = 65_536

    let host: String
    let port: UInt16
    let target: String

    /// Nil for an address that is none, or on another machine.
    init?(_ address: String) {
        guard let parts = URLComponents(string: address), parts.scheme == "http",
            let host = parts.host, host.hasPrefix("127."),
            let port = UInt16(exactly: parts.port ?? 80)
        else { return nil }
        let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        self.host = host
        self.port = port
        self.target = path + (parts.percentEncodedQuery.map { "?" + $0 } ?? "")
    }

    /// Posts the body and returns the answer's status; 0 when there was no answer.
    func post(_ body: [UInt8], headers: Webhook.Headers) -> Int {
        guard let descriptor = connected() else { return 0 }
        defer { close(descriptor) }
        var head = "POST \(target) HTTP/1.1\r\nHost: \(host):\(port)\r\nConnection: close\r\n"
        head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        guard transmit(Array((head + "\r\n").utf8) + body, to: descriptor) else { return 0 }
        return status(from: descriptor)
    }

    private func connected() -> Int32? {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { return nil }
        var limit = timeval(tv_sec: Self.answerSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        let isAddress = inet_pton(AF_INET, host, &address.sin_addr) == 1
        let code = withUnsafeBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) {
                connect(descriptor, $0.baseAddress, socklen_t(bytes.count))
            }
        }
        guard isAddress, code == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private func transmit(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent < 0 && errno == EINTR { continue }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// The status of an answer that is read to its end, so that its sender is not cut off.
    private func status(from descriptor: Int32) -> Int {
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while answer.count < Self.answerLimitBytes {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            answer += chunk[..<count]
        }
        let words = String(decoding: answer.prefix(64), as: UTF8.self).split(separator: " ")
        return words.count > 1 && words[0].hasPrefix("HTTP/") ? Int(words[1]) ?? 0 : 0
    }
}
