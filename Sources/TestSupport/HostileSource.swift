package import Core
import Foundation

/// A file at a host that keeps the rules of HTTP, or breaks one of them.
///
/// One server plays all of them in this process; each object is a file with a path of its own.
package final class HostileSource: Sendable {
    /// What it does; `Tests/Peers/source.py` has a line about each.
    package enum Behaviour: String, Sendable, CaseIterable {
        case strongETag = "strong-etag"
        case weakETag = "weak-etag"
        case dateOnly = "date-only"
        case noValidator = "no-validator"
        case ignoresRange = "ignores-range"
        case changes
        case ignoresIfRange = "ignores-if-range"
        case liesAboutETag = "lies-about-etag"
        case overlapDiffers = "overlap-differs"
        case wrongStart = "wrong-start"
        case wrongTotal = "wrong-total"
        case noContentRange = "no-content-range"
        case unsatisfiable
        case multipart
        case shorter
        case longer
        case noLength = "no-length"
        case chunked
        case chunkedWithLength = "chunked-with-length"
        case stalls
        case trickles
        case expires
        case errorPage = "error-page"
        case gzip
        case redirectLoop = "redirect-loop"
        case redirects
    }

    package let behaviour: Behaviour
    package let path: String
    package let size: Int
    /// Of the file, in hexadecimal.
    package let sha256: String
    /// Of the other file of the same length that a source which changes goes over to.
    package let otherSHA256: String

    /// - Parameters:
    ///   - size: How many bytes of seeded chance, unless `body` is given.
    ///   - head: What these begin with, such as the signature of a media type.
    ///   - after: Bytes of an answer after which it drops the connection, or stalls.
    ///   - drops: How many answers it drops; below zero, each.
    ///   - options: More fields of `File` in `Tests/Peers/source.py`: status, seconds, shift, reset.
    package init(
        _ behaviour: Behaviour, size: Int = 0, seed: Int = 1, head: [UInt8] = [],
        body: [UInt8]? = nil, contentType: String = "application/octet-stream", after: Int? = nil,
        drops: Int = 0, options: JSONValue = [:]
    ) throws {
        var fields: [JSONObject.Member] = [
            .init(key: "behaviour", value: .string(behaviour.rawValue)),
            .init(key: "content_type", value: .string(contentType)),
            .init(key: "drops", value: .integer(drops)),
        ]
        if let after { fields.append(.init(key: "after", value: .integer(after))) }
        if let body {
            let text = Data(body).base64EncodedString()
            fields.append(.init(key: "body", value: .string(text)))
        } else {
            let text = Data(head).base64EncodedString()
            fields.append(.init(key: "head", value: .string(text)))
            fields.append(.init(key: "size", value: .integer(size)))
            fields.append(.init(key: "seed", value: .integer(seed)))
        }
        let all = JSONObject(fields + (options.object?.members ?? []))
        let made = try Self.server.get().ask("POST", "/control/files", .object(all))
        self.behaviour = behaviour
        path = made["path"]?.text ?? ""
        self.size = Int(made["size"]?.int ?? -1)
        sha256 = made["sha256"]?.text ?? ""
        otherSHA256 = made["other_sha256"]?.text ?? ""
    }

    package static var port: Int { get throws { try server.get().port } }
    package var url: String { get throws { try Self.server.get().origin + path } }

    /// An address that works again: the same file at a host that keeps every rule.
    package func refreshedURL() throws -> String {
        let server = try Self.server.get()
        let made = try server.ask("POST", "/control/refresh", ["path": .string(path)])
        return server.origin + (made["path"]?.text ?? "")
    }

    /// From now on it is the other file.
    package func change() throws {
        try Self.server.get().ask("POST", "/control/change", ["path": .string(path)])
    }

    /// Every request for it, in order: method, headers, status, bytes sent, whether it was dropped.
    package func log() throws -> [JSONValue] {
        try Self.server.get().ask("GET", "/control/log?path=\(path)").array ?? []
    }

    private static let server = Result { try Peers.start("source.py") }
}

/// A proxy of a test's own in front of a server, which changes single bits of what passes.
package final class FlippingProxy: Sendable {
    package enum Direction: String, Sendable { case request, answer }

    package let port: Int

    package init(to target: Int) throws {
        let made = try Self.server.get().ask(
            "POST", "/control/proxies", ["target": .integer(target)])
        port = Int(made["port"]?.int ?? -1)
    }

    /// Orders a change of one bit of the n-th body, from 0, that is not empty.
    package func flip(
        _ direction: Direction, body: Int = 0, offset: Int = 0, bit: Int = 0
    ) throws {
        try Self.server.get().ask(
            "POST", "/control/flips",
            [
                "port": .integer(port), "direction": .string(direction.rawValue),
                "body": .integer(body), "offset": .integer(offset), "bit": .integer(bit),
            ])
    }

    /// What passed: direction, first line, length of the body, and where bits were changed.
    package func log() throws -> [JSONValue] {
        try Self.server.get().ask("GET", "/control/log?port=\(port)").array ?? []
    }

    private static let server = Result { try Peers.start("flip.py") }
}
