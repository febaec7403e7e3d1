package import Core
import Foundation
import Glibc

/// One HTTP request to a port of this machine, on a socket of its own.
package enum Loopback {
    package struct Answer: Sendable {
        package var status: Int
        /// Names in small letters.
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]

        package var text: String { String(decoding: body, as: UTF8.self) }

        package func json() throws -> JSONValue { try JSON.parse(body) }
    }

    /// Sends the request and reads the whole answer; every wait ends after `timeoutSeconds`.
    package static func request(
        _ method: String, port: Int, path: String, headers: [(String, String)] = [],
        body: [UInt8] = [], timeoutSeconds: Int = 30
    ) throws -> Answer {
        let descriptor = try connect(port, timeoutSeconds)
        defer { close(descriptor) }
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        let saysLength = headers.contains { $0.0.lowercased() == "content-length" }
        if !saysLength, !body.isEmpty || method != "GET" {
            head += "Content-Length: \(body.count)\r\n"
        }
        try send(Array((head + "\r\n").utf8) + body, to: descriptor)
        return try receive(from: descriptor, hasBody: method != "HEAD")
    }

    private static func connect(_ port: Int, _ timeoutSeconds: Int) throws -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { throw problem("socket") }
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(
                descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            let failed = problem("connect to 127.0.0.1:\(port)")
            close(descriptor)
            throw failed
        }
        return descriptor
    }

    private static func send(_ bytes: [UInt8], to descriptor: Int32) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw problem("send") }
            rest = rest.dropFirst(count)
        }
    }

    private static func receive(from descriptor: Int32, hasBody: Bool) throws -> Answer {
        var stream = Stream(descriptor: descriptor)
        let status = try stream.line().split(separator: " ").dropFirst().first.flatMap { Int($0) }
        guard let status else { throw TestSupportError("not an HTTP answer") }
        var headers: [(name: String, value: String)] = []
        while case let line = try stream.line(), !line.isEmpty {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers.append((line[..<colon].lowercased(), value))
        }
        func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        var body: [UInt8] = []
        if !hasBody || status == 204 || status == 304 {
        } else if header("transfer-encoding")?.lowercased() == "chunked" {
            while let size = try Int(stream.line().prefix { $0 != ";" }, radix: 16), size > 0 {
                body += try stream.take(size)
                _ = try stream.line()
            }
        } else if let length = header("content-length").flatMap({ Int($0) }) {
            body = try stream.take(length)
        } else {
            body = try stream.rest()
        }
        return Answer(status: status, headers: headers, body: body)
    }

    private struct Stream {
        let descriptor: Int32
        private var buffer: [UInt8] = []

        init(descriptor: Int32) { self.descriptor = descriptor }

        mutating func line() throws -> String {
            while true {
                if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                    var line = buffer[..<end]
                    if line.last == UInt8(ascii: "\r") { line.removeLast() }
                    let text = String(decoding: line, as: UTF8.self)
                    buffer.removeSubrange(...end)
                    return text
                }
                guard try fill() else { throw TestSupportError("the answer was cut off") }
            }
        }

        mutating func take(_ count: Int) throws -> [UInt8] {
            while buffer.count < count {
                guard try fill() else { throw TestSupportError("the answer was cut off") }
            }
            defer { buffer.removeFirst(count) }
            return Array(buffer.prefix(count))
        }

        mutating func rest() throws -> [UInt8] {
            while try fill() {}
            return buffer
        }

        private mutating func fill() throws -> Bool {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &chunk, chunk.count)
                if count < 0 && errno == EINTR { continue }
                guard count >= 0 else { throw problem("receive") }
                buffer += chunk[..<count]
                return count > 0
            }
        }
    }

    private static func problem(_ step: String) -> TestSupportError {
        TestSupportError("\(step): " + String(cString: strerror(errno)))
    }
}
