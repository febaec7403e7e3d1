import Core
import Foundation
import Glibc
import HTTP
import TestSupport

/// A network namespace in which every address is ours, so that a wrong connection would succeed.
///
/// `Tests/Peers/closed_world.py` says what is in it. The downloads are made by `EgressProbe`, because
/// a process cannot change its own network once it has threads.
struct ClosedWorld {
    /// What the name server hands out, of both families.
    var publicAddresses = ["198.41.0.4", "2001:503:ba3e::2:30"]
    var deniedAddresses = ["10.9.9.9", "fd00::1"]
    var flags: [String] = []
    var environment: [String: String] = [:]
    /// Where `Tests/Peers/certificates.py` left what the TLS servers need.
    var certificates: String?

    /// How one download ended.
    struct Visit: Sendable, CustomStringConvertible {
        var url: String
        var status: Int?
        var code: HTTPError.Code?
        var message: String

        var description: String {
            "\(url): \(status.map(String.init) ?? "\(code?.rawValue ?? "?"), \(message)")"
        }
    }

    struct Report: Sendable {
        var visits: [Visit]
        /// Connections by the address at which they were accepted.
        var accepted: [String: Int]
        /// Questions that the name server was asked, and its answers with a denied address in them.
        var queries: Int
        var deniedAnswers: Int

        func connections(outside expected: [String]) -> [String: Int] {
            accepted.filter { !expected.contains($0.key) }
        }
    }

    func visit(_ urls: [String]) async throws -> Report {
        var arguments = ["--mount", "--net"]
        if geteuid() != 0 { arguments = ["--user", "--map-root-user"] + arguments }
        arguments += [
            try Peers.python(), Peers.script("closed_world.py"),
            "--public", publicAddresses.joined(separator: ","),
            "--denied", deniedAddresses.joined(separator: ","),
        ]
        if let certificates { arguments += ["--certificates", certificates] }
        arguments += [try Executable.path("EgressProbe")] + flags
        var environment = environment
        environment["LC_ALL"] = "C.UTF-8"
        let finished = try await Executable.run(
            "/usr/bin/unshare", arguments: arguments, environment: environment,
            input: Array(urls.map { $0 + "\n" }.joined().utf8))
        let lines = finished.stdout.split(separator: "\n")
        guard finished.status == 0, let last = lines.last else {
            throw TestSupportError(
                "no network of its own for the downloads; this needs root, or a kernel that lets"
                    + " everybody make user and network namespaces:"
                    + " unshare \(arguments.joined(separator: " ")): \(finished.stderr)")
        }
        return try Self.report(try lines.dropLast().map(Self.visit), last)
    }

    private static func visit(_ line: Substring) throws -> Visit {
        let value = try JSON.parse(Array(line.utf8))
        return Visit(
            url: value["url"]?.text ?? "", status: value["status"]?.int.map { Int($0) },
            code: value["code"]?.text.flatMap(HTTPError.Code.init),
            message: value["message"]?.text ?? "")
    }

    private static func report(_ visits: [Visit], _ line: Substring) throws -> Report {
        let value = try JSON.parse(Array(line.utf8))
        guard case .object(let accepted)? = value["accepted"] else {
            throw TestSupportError("the closed world says nothing of its connections: \(line)")
        }
        return Report(
            visits: visits,
            accepted: Dictionary(
                uniqueKeysWithValues: accepted.members.map { ($0.key, Int($0.value.int ?? 0)) }),
            queries: Int(value["queries"]?.int ?? 0),
            deniedAnswers: Int(value["denied_answers"]?.int ?? 0))
    }
}
