import Core
import Postgres
import TestSupport
import Testing

/// Callbacks as every provider sends them, from the wire to the job.
@Suite(.serialized) struct ProviderCallbacks {
    private static let calling = PlayedProvider.all(but: "runway", "google-veo")
    private static let signing = PlayedProvider.named(
        "kie", "replicate", "fal", "openai-videos", "wavespeed", "piapi")

    /// Lets the receiver have what the provider would send about a task now.
    private func receive(
        _ line: RescueLine, _ provider: PlayedProvider, _ taskID: String,
        signature: String = "right", age: Int = 0
    ) async throws {
        let sent = try line.simulator.post(
            "/control/callbacks",
            json: [
                "task_id": .string(taskID), "signature": .string(signature),
                "age_seconds": .integer(age),
            ])
        var arguments = ["--provider", provider.name]
        for header in sent["headers"]?.object?.members ?? [] {
            arguments += ["--header", "\(header.key): \(header.value.text ?? "")"]
        }
        let received = try await line.run(
            "callback-receiver", arguments, input: Array((sent["body"]?.text ?? "").utf8))
        #expect(received.status == 0, "\(received.stderr)")
    }

    private func inbox(_ line: RescueLine) throws -> [String] {
        try line.sql(
            """
            SELECT concat_ws(' ', coalesce(result, 'waiting'), secret_check) AS line
            FROM holdfast.callback ORDER BY callback_id
            """
        ).map { try $0.text("line") }
    }

    private func secrets(_ provider: PlayedProvider) -> [String: String?] {
        provider.webhookEnvironment.mapValues { Optional($0) }
    }

    @Test(arguments: calling)
    func `I-4b a callback finds its job and has it asked about at once`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider)
        let other = try line.open("job-2", at: provider)
        try await receive(line, provider, task)
        // Long before the threshold; the poll decides, and the signature is believed.
        _ = try await line.run("stuck-sweeper", [], secrets(provider))
        let isSigned = Self.signing.contains { $0.name == provider.name }
        #expect(try inbox(line) == ["matched " + (isSigned ? "right" : "not_checked")])
        #expect(try line.outcome("job-1") == "succeeded/held")
        #expect(try line.polls(task, provider: provider.name) == 1)
        #expect(try line.outcome("job-2") == "submitted/held")
        #expect(try line.polls(other, provider: provider.name) == 0)
        _ = try await line.run("storage-mirrorer")
        try line.checkDelivered("job-1", task: task)
    }

    @Test(arguments: signing)
    func `I-4a a callback that is signed wrongly or too old wakes nobody`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider)
        try await receive(line, provider, task, signature: "wrong")
        try await receive(line, provider, task, signature: "missing")
        // A secret in clear has no age.
        if provider.name != "piapi" { try await receive(line, provider, task, age: 3600) }
        _ = try await line.run("stuck-sweeper", [], secrets(provider))
        let kept = try inbox(line)
        #expect(kept.allSatisfy { $0.hasPrefix("refused ") }, "\(kept)")
        #expect(try line.outcome("job-1") == "submitted/held")
        #expect(try line.polls(task, provider: provider.name) == 0)
    }
}
