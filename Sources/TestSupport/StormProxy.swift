import Core
import Foundation

/// A port in front of a bucket where a share of all requests is answered with 503, some of them
/// after the server did what was asked; `Tests/Peers/storm.py`.
package final class StormProxy: Sendable {
    package let port: Int

    /// What has come by.
    package struct Seen: Sendable {
        package var requests: Int
        /// Answered with 503.
        package var refused: Int
        /// Keys that somebody wrote without a single byte.
        package var emptied: [String]
    }

    /// - Parameters:
    ///   - rate: The share of requests that is answered with 503.
    ///   - after: The share of those that has its effect all the same.
    package init(before peer: S3Peer, seed: UInt64, rate: String = "0.5", after: String = "0.25")
        throws
    {
        let made = try Self.server.get().ask(
            "POST", "/control/storms",
            [
                "target": .integer(peer.port), "seed": .integer(Int(seed >> 16)),
                "rate": .number(rate), "after": .number(after),
            ])
        port = Int(made["port"]?.int ?? 0)
    }

    /// From now on everything goes through.
    package func calm() throws {
        try Self.server.get().ask("POST", "/control/calm", ["port": .integer(port)])
    }

    package func seen() throws -> Seen {
        let seen = try Self.server.get().ask("GET", "/control/seen?port=\(port)")
        return Seen(
            requests: Int(seen["requests"]?.int ?? 0), refused: Int(seen["refused"]?.int ?? 0),
            emptied: seen["emptied"]?.array?.compactMap(\.text) ?? [])
    }

    private static let server = Result { try Peers.start("storm.py") }
}
