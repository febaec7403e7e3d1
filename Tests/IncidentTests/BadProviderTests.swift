import Core
import Postgres
import TestSupport
import Testing

/// A provider that answers everything but what was asked: the job stays as it is, and a person is
/// told which provider, what it said and what to do.
@Suite(.serialized) struct BadProvider {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        /// Status line, headers and body; nil for a server that is not there.
        var answer: String?
        /// In the evidence of the job.
        var says: String
        /// In the message of the open breaker.
        var advises: String
        var address: @Sendable (Int) -> String = { "http://127.0.0.1:\($0)" }

        var testDescription: String { name }
    }

    private static func answer(
        _ status: String, _ body: String, _ headers: [String] = [], type: String = "text/html"
    ) -> String {
        (["HTTP/1.1 \(status)", "Content-Type: \(type)", "Content-Length: \(body.utf8.count)"]
            + headers + ["Connection: close", "", body]).joined(separator: "\r\n")
    }

    static let cases = [
        Case(
            name: "a wrong key",
            answer: answer(
                "401 Unauthorized", #"{"code":401,"msg":"You do not have access permissions"}"#),
            says: "You do not have access permissions", advises: "check the key"),
        Case(
            name: "no balance",
            answer: answer("402 Payment Required", #"{"code":402,"msg":"Insufficient credits"}"#),
            says: "Insufficient credits", advises: "top up the account"),
        Case(
            name: "too fast",
            answer: answer("429 Too Many Requests", #"{"code":429,"msg":"slow down"}"#),
            says: "slow down", advises: "policy set rate"),
        Case(
            name: "a content network's refusal",
            answer: answer("403 Forbidden", "error code: 1010", type: "text/plain"),
            says: "error code: 1010", advises: "may read tasks"),
        Case(
            name: "a maintenance page",
            answer: answer("503 Service Unavailable", "<html>We will be right back</html>"),
            says: "HTML", advises: "status page"),
        Case(
            name: "a redirect",
            answer: answer(
                "302 Found", "", ["Location: http://127.0.0.1:1/elsewhere"]),
            says: "302", advises: "redirects are not followed"),
        Case(
            name: "three hundred megabytes",
            answer: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                + "Content-Length: 314572800\r\nConnection: close\r\n\r\n{\"data\":\""
                + String(repeating: "x", count: 9 << 20),
            says: "8388608", advises: ""),
        Case(
            name: "no encryption where it is asked for", answer: answer("200 OK", "{}"),
            says: "127.0.0.1", advises: "certificate", address: { "https://127.0.0.1:\($0)" }),
        Case(
            name: "nobody there", answer: nil, says: "127.0.0.1",
            advises: "see that this host reaches", address: { _ in "http://127.0.0.1:1" }),
        Case(
            name: "no such name", answer: nil, says: "no-such-host.invalid",
            advises: "name", address: { _ in "http://no-such-host.invalid" }),
    ]

    @Test(arguments: cases)
    func `the job stays as it is, and a person is told`(_ one: Case) async throws {
        let line = try RescueLine()
        try line.setPolicy("breaker_failures", "3")
        for n in 1...3 { try line.open("job-\(n)", taskID: "task-\(n)") }
        let server = try one.answer.map { try OddServer(Array($0.utf8)) }
        let changes = ["HOLDFAST_KIE_BASE_URL": one.address(server?.port ?? 0)]
        let report = try await line.report("stuck-sweeper", offset: "+6m", changes)
        for n in 1...3 { try line.checkUndecided("job-\(n)", "submitted/held") }
        let errors = report["errors"]?.array ?? []
        let breaker = errors.first { $0["code"] == "breaker_open" }?["message"]?.text ?? ""
        #expect(breaker.hasPrefix("kie is left alone for 15s"), "\(JSON.write(report))")
        #expect(breaker.contains(one.says) && breaker.contains(one.advises), "\(breaker)")
        #expect(!JSON.write(report).contains("simulator-kie-api-key"))
        let evidence = try line.text("SELECT min(error_message) FROM holdfast.observation")
        #expect(evidence.contains(one.says), "\(evidence)")
        // The provider comes back, the breaker lets go by itself, and nothing was lost.
        try await line.minute(offset: "+12m")
        try await line.minute(offset: "+13m")
        for n in 1...3 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
        #expect(try line.violations() == [])
    }

    /// Where a provider sends us on to another host, that host never hears of us.
    @Test(arguments: ["kie", "kling"])
    func `keys never follow a redirect`(_ provider: String) async throws {
        let line = try RescueLine()
        let endpoint = provider == "kling" ? "image2video" : "market"
        try line.open("job-1", provider: provider, endpoint: endpoint, taskID: "task-1")
        let elsewhere = line.simulator.baseURL + "/\(provider)/v1/videos/image2video/task-1"
        let server = try OddServer(
            Array(Self.answer("307 Temporary Redirect", "", ["Location: \(elsewhere)"]).utf8))
        let variable = "HOLDFAST_\(provider.uppercased())_BASE_URL"
        _ = try await line.run("stuck-sweeper", offset: "+6m", [variable: server.url("")])
        #expect(try line.count("requests", provider) == 0)
        try line.checkUndecided("job-1", "submitted/held")
    }
}
