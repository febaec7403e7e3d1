package import Core
import Foundation

/// Programs that are not ours, for tests to talk to; `scripts/test` installs what they use.
package enum Peers {
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The Python that has the libraries of `Tests/Peers/requirements.txt`.
    package static func python() throws -> String {
        let python = root + "/.build/peers/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw TestSupportError("\(python) is not there; scripts/test installs it")
        }
        return python
    }

    /// The path of a script below `Tests/Peers`.
    package static func script(_ name: String) -> String { root + "/Tests/Peers/" + name }

    /// Puts questions to `Tests/Peers/sign.py`, which makes and checks signatures; one answer each.
    package static func ask(_ questions: [JSONValue]) async throws -> [JSONValue] {
        let finished = try await Executable.run(
            python(), arguments: [script("sign.py")],
            input: Array(JSON.write(.array(questions)).utf8))
        guard finished.status == 0, let answers = try JSON.parse(finished.stdoutBytes).array else {
            throw TestSupportError("Tests/Peers/sign.py failed: \(finished.stderr)")
        }
        return answers
    }

    /// Lets `Tests/Peers/strictness.py` say what a peer does not do as tests rely on it to.
    package static func weaknesses(of peer: S3Peer) async throws -> [String] {
        let said: JSONValue = [
            "kind": .string(peer.kind.description), "endpoint": .string(peer.endpoint),
            "access_key": .string(peer.accessKeyID), "secret_key": .string(peer.secretAccessKey),
            "region": .string(peer.region), "bucket": .string(peer.bucket),
            "service_key": .string(peer.serviceKey),
        ]
        let finished = try await Executable.run(
            python(), arguments: ["-B", script("strictness.py")],
            input: Array(JSON.write(said).utf8))
        guard finished.status == 0, let found = try JSON.parse(finished.stdoutBytes).array else {
            throw TestSupportError("Tests/Peers/strictness.py failed: \(finished.stderr)")
        }
        return found.compactMap(\.text)
    }

    /// Starts a server of `Tests/Peers`.
    static func start(_ name: String, _ arguments: [String] = []) throws -> PeerServer {
        try PeerServer(name, python: python(), arguments: [script(name)] + arguments)
    }
}

/// A server of `Tests/Peers`, which ends with this object or with the process.
final class PeerServer: Sendable {
    let port: Int
    /// What it says after its address: the credentials that it takes, if it has any.
    let words: [String]
    private let running: RunningProcess

    var origin: String { "http://127.0.0.1:\(port)" }

    init(_ name: String, python: String, arguments: [String]) throws {
        running = try Executable.start(
            python, arguments: ["-B"] + arguments, keepsInputOpen: true, timeout: .seconds(7200))
        // listening on http://127.0.0.1:PORT
        guard let line = running.firstLineBlocking() else {
            throw TestSupportError("\(name) ended: \(running.waitBlocking().stderr)")
        }
        let words = line.split(separator: " ").map { String($0) }
        guard words.count > 2, let port = words[2].split(separator: ":").last.flatMap({ Int($0) })
        else { throw TestSupportError("\(name) does not say where it listens: \(line)") }
        self.port = port
        self.words = Array(words.dropFirst(3))
    }

    deinit { running.closeInput() }

    /// Sends JSON, or nothing, and returns the JSON of the answer.
    /// - Throws: when the status is not 2xx.
    @discardableResult
    func ask(_ method: String, _ path: String, _ json: JSONValue? = nil) throws -> JSONValue {
        let answer = try Loopback.request(
            method, port: port, path: path, body: json.map { Array(JSON.write($0).utf8) } ?? [],
            timeoutSeconds: 120)
        guard (200..<300).contains(answer.status) else {
            throw TestSupportError("\(method) \(path) answered \(answer.status): \(answer.text)")
        }
        return try JSON.parse(answer.body, limits: JSONLimits(bytes: 256 * 1024 * 1024))
    }
}
