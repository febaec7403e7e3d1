package import Core
import Foundation

/// A `provider-simulator` of one test's own; it ends with this object, or with the process.
package final class Simulator: Sendable {
    package let port: Int
    package let running: RunningProcess

    /// What providers' base URLs are set to.
    package var baseURL: String { "http://127.0.0.1:\(port)" }

    /// Starts it on a free port and waits until it listens.
    package init(arguments: [String] = [], environment: [String: String] = [:]) throws {
        running = try Executable.start(
            "provider-simulator", arguments: ["--port", "0", "--exit-with-stdin"] + arguments,
            environment: environment, keepsInputOpen: true, timeout: .seconds(600))
        // provider-simulator listening on http://127.0.0.1:PORT seed=N
        let line = running.firstLineBlocking() ?? ""
        let words = line.split(separator: " ")
        guard let address = words.first(where: { $0.hasPrefix("http://127.0.0.1:") }),
            let port = address.split(separator: ":").last.flatMap({ Int($0) })
        else { throw TestSupportError("the simulator does not say where it listens: \(line)") }
        self.port = port
    }

    deinit { running.closeInput() }

    /// Posts JSON and returns the answer's JSON, or null when it has none.
    /// - Throws: when the status is not 2xx.
    @discardableResult
    package func post(_ path: String, json: JSONValue) throws -> JSONValue {
        let answer = try Loopback.request(
            "POST", port: port, path: path, headers: [("Content-Type", "application/json")],
            body: Array(JSON.write(json).utf8))
        return try checked(answer, "POST", path)
    }

    /// Gets JSON.
    /// - Throws: when the status is not 2xx.
    package func get(_ path: String) throws -> JSONValue {
        try checked(try Loopback.request("GET", port: port, path: path), "GET", path)
    }

    /// A task as the simulator's control page describes it, with its files as they must arrive.
    package func task(_ id: String) throws -> JSONValue {
        let name = id.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? id
        return try get("/control/tasks/" + name)
    }

    private func checked(
        _ answer: Loopback.Answer, _ method: String, _ path: String
    ) throws -> JSONValue {
        guard (200..<300).contains(answer.status) else {
            throw TestSupportError("\(method) \(path) answered \(answer.status): \(answer.text)")
        }
        return answer.body.isEmpty ? .null : try answer.json()
    }
}
