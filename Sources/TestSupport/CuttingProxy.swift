import Core
import Foundation

/// A port in front of the test server's PostgreSQL that cuts a connection at the n-th round trip;
/// `Tests/Peers/cutter.py`.
package final class CuttingProxy: Sendable {
    /// Whether the server gets to see what is cut.
    package enum When: String, Sendable, CaseIterable {
        case before, after
    }

    /// What has come by since the last `cut`.
    package struct Seen: Sendable {
        /// What each round trip began with.
        package var trips: [String]
        /// The one that was cut; nil when none was.
        package var cut: String?
    }

    private let port: Int

    /// - Parameter database: Whose server it stands before.
    package init(before database: ScratchDatabase) throws {
        let target = URLComponents(string: database.url)?.port ?? 5432
        let made = try Self.server.get().ask(
            "POST", "/control/cutters", ["target": .integer(target)])
        port = Int(made["port"]?.int ?? 0)
    }

    /// The address of a database through this port.
    package func url(of database: ScratchDatabase) throws -> String {
        var parts = URLComponents(string: database.url)
        parts?.port = port
        guard let url = parts?.string else { throw TestSupportError("no URL through the cutter") }
        return url
    }

    /// Counts anew and cuts at the `at`-th round trip; 0 cuts nothing.
    package func cut(at: Int, _ when: When) throws {
        try Self.server.get().ask(
            "POST", "/control/cuts",
            ["port": .integer(port), "at": .integer(at), "when": .string(when.rawValue)])
    }

    package func seen() throws -> Seen {
        let seen = try Self.server.get().ask("GET", "/control/trips?port=\(port)")
        let cut = seen["cut"]?.text ?? ""
        return Seen(
            trips: seen["trips"]?.array?.compactMap(\.text) ?? [], cut: cut.isEmpty ? nil : cut)
    }

    private static let server = Result { try Peers.start("cutter.py") }
}
