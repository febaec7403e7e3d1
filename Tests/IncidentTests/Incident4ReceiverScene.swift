import Core
import Foundation
import Postgres
import TestSupport

/// The receiver's side of incident 4: a line, and a spool folder of its own.
final class ReceiverScene: Sendable {
    let line: RescueLine
    let spool = NSTemporaryDirectory() + "holdfast-spool-" + RunID.make()

    init(_ line: RescueLine) throws {
        self.line = line
        try FileManager.default.createDirectory(
            atPath: spool, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: spool) }

    /// A way to the database that nobody answers on.
    static let nobody = "postgres://nobody@127.0.0.1:1/nothing"

    /// What the receiver and the sweeper of this host have in their environment.
    ///
    /// - Parameter isAway: Whether the database is.
    func settings(isAway: Bool = false) -> [String: String?] {
        var all: [String: String?] = ["HOLDFAST_SPOOL_DIR": spool]
        if isAway { all["HOLDFAST_DATABASE_URL"] = Self.nobody }
        return all
    }

    /// Calls the receiver as a web server does.
    ///
    /// - Parameters:
    ///   - variables: Besides method, path and length; they win over those.
    ///   - body: What comes on standard input.
    func gateway(
        _ body: [UInt8] = [], path: String = "/kie", method: String = "POST",
        _ variables: [String: String?] = [:], arguments: [String] = [], isAway: Bool = false
    ) async throws -> Finished {
        let all = request(body.count, path, method, variables, isAway: isAway)
        return try await Executable.run(
            "callback-receiver", arguments: arguments, environment: all, input: body,
            timeout: .seconds(60))
    }

    func request(
        _ length: Int, _ path: String, _ method: String, _ variables: [String: String?],
        isAway: Bool
    ) -> [String: String] {
        var changes = settings(isAway: isAway)
        changes.merge([
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": method, "PATH_INFO": path,
            "CONTENT_LENGTH": "\(length)", "CONTENT_TYPE": "application/json",
            "SERVER_PROTOCOL": "HTTP/1.1",
        ]) { $1 }
        changes.merge(variables) { $1 }
        return line.environment(changes)
    }

    var files: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: spool).sorted()) ?? []
    }

    /// One line for each callback: provider, query, size and digest of the body.
    func kept() throws -> [String] {
        try line.sql(
            """
            SELECT concat_ws(' ', provider, nullif(query, ''), octet_length(body),
                left(encode(sha256(body), 'hex'), 8)) AS line
            FROM holdfast.callback ORDER BY callback_id
            """
        ).map { try $0.text("line") }
    }

    /// Runs the sweeper of this host.
    func sweep(_ changes: [String: String?] = [:]) async throws -> Finished {
        try await line.run(
            "stuck-sweeper", [], offset: nil, settings().merging(changes) { $1 })
    }
}

extension Finished {
    /// What every web server has to be told.
    var isAnsweredWith200: Bool { stdout.hasPrefix("Status: 200 OK\r\n") }
}
