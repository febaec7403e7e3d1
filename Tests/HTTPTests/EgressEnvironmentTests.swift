import Foundation
import HTTP
import TestSupport
import Testing

/// A process whose whole environment was written by somebody who wants its downloads.
@Suite(.timeLimit(.minutes(1)))
final class EgressEnvironmentTests {
    private let home: URL

    init() throws {
        home = FileManager.default.temporaryDirectory
            .appendingPathComponent("hostile-home-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: home) }

    private func write(_ name: String, _ text: String) throws {
        try text.write(to: home.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    private func environment(_ proxy: String, noProxy: String?) throws -> [String: String] {
        try write(".netrc", "machine 127.0.0.1 login u password p\ndefault login u password p\n")
        for name in [".curlrc", "curlrc", "_curlrc"] {
            try write(name, "proxy = \(proxy)\nuser = u:p\nheader = \"Authorization: x\"\nnetrc\n")
        }
        var all = ["HOME": home.path, "CURL_HOME": home.path, "XDG_CONFIG_HOME": home.path]
        all["NETRC"] = home.appendingPathComponent(".netrc").path
        all["HOLDFAST_EGRESS_ALLOW"] = "127.0.0.1/32"
        for name in ["http_proxy", "https_proxy", "all_proxy", "socks_proxy", "ws_proxy"] {
            all[name] = proxy
            all[name.uppercased()] = proxy
        }
        all["no_proxy"] = noProxy
        all["NO_PROXY"] = noProxy
        return all
    }

    @Test(arguments: ["http", "socks4a", "socks5h"], [nil, "", "example.com"])
    func `proxies and files of the environment are ignored`(_ scheme: String, _ noProxy: String?)
        async throws
    {
        let proxy = try LoopbackServer { _, peer in peer.answer(200) }
        let origin = try LoopbackServer { _, peer in peer.answer(200) }
        let secure = try LoopbackServer(greeting: "this is not TLS\r\n") { _, _ in }
        let finished = try await Executable.run(
            "EgressProbe",
            environment: environment("\(scheme)://u:p@127.0.0.1:\(proxy.port)", noProxy: noProxy),
            input: Array("\(origin.url("/a?b"))\nhttps://127.0.0.1:\(secure.port)/\n".utf8))
        let lines = finished.stdout.split(separator: "\n")
        try #require(lines.count == 2, "\(finished)")
        #expect(lines[0].contains("\"status\":200"), "\(finished)")
        // Nothing but the origin says this: the proxy would have been silent about TLS.
        #expect(lines[1].contains("\"code\":\"tls\""), "\(finished)")
        #expect(proxy.connections == 0)
        #expect(secure.connections == 1)
        #expect(origin.asked.map(\.target) == ["/a?b"])
        for header in origin.asked.flatMap(\.headers) {
            #expect(!header.name.lowercased().contains("auth"), "\(header)")
        }
    }
}
