import Core
import HTTP
import Jobs
import Postgres
import Providers
import Recovery
import TestSupport
import Testing

/// A provider that signs with keys which it publishes, and one that sends its secret in clear.
private struct SigningProvider: Provider {
    static let name = "fal"
    static let credentialVariables = ["KEY"]
    static let baseURLVariable = "BASE"
    static let defaultBaseURL = "http://127.0.0.1:9"

    let settings: ProviderSettings

    var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 1, rateBurst: 1, rateSource: "a test", urlLife: .seconds(60),
            webhook: .publishedKeys(url: "http://127.0.0.1:9/keys", urlVariable: "KEYS_URL"))
    }

    func endpoints(for task: TaskReference) -> [String] { [""] }

    func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request { Request(url: settings.baseURL) }

    func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict { Verdict(state: .unknown, errorClass: .transient) }
}

/// Signatures that only a key set on the network can tell about, from the inbox on.
@Suite struct CallbackCheckTests {
    let database: ScratchDatabase
    let server: OddServer

    init() throws {
        database = try ScratchDatabase(RescueLine.template)
        server = try OddServer(type: "application/json", [])
    }

    private func wiring(_ settings: [String: String] = [:], isConfigured: Bool = true) throws
        -> Wiring
    {
        let registry = ProviderRegistry([
            SigningProvider(
                settings: ProviderSettings(
                    baseURL: "http://127.0.0.1:9", credentials: isConfigured ? ["KEY": "k"] : [:]))
        ])
        var values = settings
        values["KEYS_URL"] = values["KEYS_URL"] ?? server.url("/keys")
        let all = values
        return Wiring(
            run: Run(runID: RunID.make(), command: "stuck-sweeper"), providers: registry,
            proof: try CallbackProof(secret: nil, registry) { all[$0] },
            wallClock: { Instant(unixSeconds: 0) }, shouldStop: { false })
    }

    /// Puts callbacks that a key has signed just now into the inbox.
    private func receive(seed: Int, _ bodies: [String] = ["{}"]) async throws -> JSONValue {
        let connection = try database.connect()
        let now = try connection.query(
            "SELECT extract(epoch FROM clock_timestamp())::bigint AS now"
        ).single().int64("now")
        var jwk: JSONValue = .null
        for body in bodies {
            let answer = try await Peers.ask([
                [
                    "kind": "fal", "library": "nacl",
                    "seed": .string(String(repeating: "0\(seed)", count: 32)),
                    "request_id": "req-1", "user_id": "user-1", "timestamp": .string("\(now)"),
                    "body": .string(body),
                ]
            ])[0]
            jwk = ["kty": "OKP", "crv": "Ed25519", "x": answer["x"] ?? .null]
            let headers: JSONValue = [
                "x-fal-webhook-request-id": "req-1", "x-fal-webhook-user-id": "user-1",
                "x-fal-webhook-timestamp": .string("\(now)"),
                "x-fal-webhook-signature": answer["signature"] ?? .null,
            ]
            try connection.execute(
                """
                SELECT holdfast.record_callback('fal', \(JSON.write(headers))::jsonb, '',
                    \(Array(body.utf8))::bytea)
                """)
        }
        return jwk
    }

    private func publish(_ keys: [JSONValue]) {
        server.change(
            type: "application/json", Array(JSON.write(["keys": .array(keys)]).utf8))
    }

    @discardableResult
    private func sweep(_ wiring: Wiring) throws -> RunReport {
        try StuckSweep.run(database.connect(), wiring, Selection(limit: 10))
    }

    private func inbox() throws -> [String] {
        try database.connect().query(
            """
            SELECT concat_ws(' ', coalesce(result, 'waiting'), secret_check, checks ->> 'signature')
                AS line FROM holdfast.callback ORDER BY callback_id
            """
        ).map { try $0.text("line") }
    }

    @Test func `keys are fetched when a signature needs them, and kept for the next runs`()
        async throws
    {
        try database.connect().execute(
            "SELECT holdfast.record_callback('fal', '{}', '', 'without a signature')")
        try sweep(wiring())
        #expect(try inbox() == ["refused missing missing"])
        #expect(server.requests == 0)
        publish([try await receive(seed: 1, ["{}", "{\"a\":1}"])])
        #expect(try sweep(wiring()).status == .done)
        #expect(try inbox().dropFirst() == ["unmatched right right", "unmatched right right"])
        #expect(server.requests == 1)
        _ = try await receive(seed: 1)
        try sweep(wiring())
        #expect(try inbox().last == "unmatched right right")
        #expect(server.requests == 1)
    }

    @Test func `a key that nobody has seen is asked for once a run`() async throws {
        let old = try await receive(seed: 1)
        publish([old])
        try sweep(wiring())
        let new = try await receive(seed: 2, ["{}", "[]"])
        publish([new, old])
        try sweep(wiring())
        #expect(server.requests == 2)
        #expect(try inbox() == Array(repeating: "unmatched right right", count: 3))
        // A stranger's key is not worth a second question in one run.
        _ = try await receive(seed: 3, ["{}", "[]", "1"])
        try sweep(wiring())
        #expect(server.requests == 3)
        #expect(try inbox().suffix(3) == Array(repeating: "refused wrong wrong", count: 3))
    }

    @Test func `keys older than a day are fetched anew`() async throws {
        publish([try await receive(seed: 1)])
        try sweep(wiring())
        for (age, requests) in [("23 hours", 1), ("25 hours", 2), ("-1 hour", 3)] {
            try database.connect().execute(
                """
                UPDATE holdfast.webhook_keys
                SET fetched_at = clock_timestamp() - \(age)::interval
                """)
            _ = try await receive(seed: 1)
            try sweep(wiring())
            #expect(server.requests == requests, "\(age)")
        }
    }

    @Test(arguments: ["500 Internal Server Error", "404 Not Found", "200 OK"])
    func `without keys nothing is called right or wrong, and the run says so`(
        _ status: String
    ) async throws {
        server.change(status: status, type: "text/html", Array("<html>".utf8))
        _ = try await receive(seed: 1, ["{}", "[]"])
        let report = try sweep(wiring())
        #expect(report.status == .unavailable)
        #expect(report.problems.map(\.code) == ["webhook_keys_unavailable"])
        #expect(server.requests == 1)
        let unchecked = "unmatched not_checked not_checked"
        #expect(try inbox() == [unchecked, unchecked])
    }

    @Test func `a provider that is off is not asked for its keys`() async throws {
        _ = try await receive(seed: 1)
        try sweep(wiring(isConfigured: false))
        #expect(server.requests == 0)
        #expect(try inbox() == ["unmatched not_checked not_checked"])
    }

    @Test(arguments: ["ftp://x.example", "x", "https://", "http:///keys"])
    func `an address of keys that is none is refused`(_ url: String) throws {
        let failure = #expect(throws: Failure.self) { try wiring(["KEYS_URL": url]) }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("KEYS_URL") == true)
    }
}
