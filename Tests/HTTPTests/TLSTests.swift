import Foundation
import HTTP
import TestSupport
import Testing

/// Real TLS servers at a public address, with certificates of every kind.
@Suite(.timeLimit(.minutes(1)))
final class TLSTests {
    private let folder: URL

    /// By the port of each server in `Tests/Peers/certificates.py`.
    static let refused: [(port: Int, reason: String)] = [
        (445, "TLS 1.1"), (446, "TLS 1.0"), (447, "another host"), (448, "expired"),
        (449, "not valid yet"), (450, "self-signed"), (451, "signed by a stranger"),
    ]

    init() async throws {
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("certificates-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let made = try await Executable.run(
            Peers.python(), arguments: [Peers.script("certificates.py"), folder.path])
        guard made.status == 0 else {
            throw TestSupportError("Tests/Peers/certificates.py failed: \(made.stderr)")
        }
        // As permissive as a machine's settings can be: what is refused below, we refuse.
        try """
        openssl_conf = settings
        [settings]
        ssl_conf = modules
        [modules]
        system_default = permissive
        [permissive]
        MinProtocol = TLSv1
        CipherString = DEFAULT@SECLEVEL=0
        VerifyMode = Request
        """.write(to: file("permissive.cnf"), atomically: true, encoding: .utf8)
        try "insecure\nssl-no-revoke\ntlsv1.0\n".write(
            to: file(".curlrc"), atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func file(_ name: String) -> URL { folder.appendingPathComponent(name) }

    private func world(_ environment: [String: String] = [:]) -> ClosedWorld {
        ClosedWorld(environment: environment, certificates: folder.path)
    }

    @Test(arguments: [443, 444])
    func `a good certificate over TLS 1.3 and 1.2 is accepted`(_ port: Int) async throws {
        let report = try await world().visit(["https://1-public.test:\(port)/"])
        #expect(report.visits.map(\.status) == [200], "\(report.visits)")
    }

    /// Whatever the environment says: none of these variables can switch anything off.
    @Test(arguments: [false, true])
    func `every other server is refused`(_ hostile: Bool) async throws {
        var environment: [String: String] = [:]
        if hostile {
            environment = [
                "OPENSSL_CONF": file("permissive.cnf").path, "HOME": folder.path,
                "CURL_HOME": folder.path, "CURL_CA_BUNDLE": file("stranger.crt").path,
                "CURL_SSL_BACKEND": "none", "SSL_NO_VERIFY": "1", "PYTHONHTTPSVERIFY": "0",
                "NODE_TLS_REJECT_UNAUTHORIZED": "0", "GIT_SSL_NO_VERIFY": "1",
            ]
        }
        let urls = Self.refused.map { "https://1-public.test:\($0.port)/x?sig=abc" }
        let report = try await world(environment).visit(urls)
        #expect(report.visits.map(\.url) == urls)
        for (visit, row) in zip(report.visits, Self.refused) {
            #expect(visit.code == .tls, "\(row.reason): \(visit)")
            #expect(!visit.message.contains("abc"))
        }
    }

    /// An operator's own store may take the place of the machine's; it is never no store.
    @Test(arguments: ["/dev/null", "/nonexistent", ""])
    func `a store without certificates trusts nobody new`(_ store: String) async throws {
        let environment = ["SSL_CERT_FILE": store, "SSL_CERT_DIR": store]
        let urls = Self.refused.map { "https://1-public.test:\($0.port)/" }
        for visit in try await world(environment).visit(urls).visits {
            #expect(visit.code == .tls, "\(visit)")
        }
    }

    @Test func `an address is no host of the certificate`() async throws {
        let report = try await world().visit(["https://198.41.0.4/"])
        #expect(report.visits.map(\.code) == [.tls], "\(report.visits)")
    }

    @Test func `a redirect from https to http is not followed, one the other way is`()
        async throws
    {
        let report = try await world().visit([
            "https://1-public.test/go/http://1-public.test/",
            "http://1-public.test/go/https://1-public.test/",
            "http://1-public.test/go/https://1-public.test:448/",
        ])
        #expect(report.visits.map(\.code) == [.badURL, nil, .tls], "\(report.visits)")
        #expect(report.visits[0].message.contains("from https to http"))
    }
}
