import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What was classified, kept and logged is one and the same body.
extension Incident1 {
    /// The body that the simulator gives for the task, read the way a provider's client does.
    private func body(_ line: RescueLine, _ task: String) throws -> [UInt8] {
        try Loopback.request(
            "GET", port: line.simulator.port, path: "/kie/api/v1/jobs/recordInfo?taskId=\(task)",
            headers: [
                ("Authorization", "Bearer simulator-kie-api-key"), ("User-Agent", "Mozilla/5.0"),
            ]
        ).body
    }

    private static let mark = "[redacted]"

    /// What may be kept of a body of KIE's market: without our input and signed queries.
    private static func redacted(_ body: String, _ shape: String) -> String {
        if shape == "cut_json" || shape == "duplicate_keys" {
            // What cannot be parsed cannot be taken apart: nothing after our input's name is kept.
            return body.components(separatedBy: "param\"")[0] + mark
        }
        return body.replacing(/"param":"(?:\\.|[^"\\])*"/, with: "\"param\":\"\(mark)\"")
            .replacing(/\?token=[^"\\]*/, with: "?" + mark)
    }

    @Test(arguments: [
        ("normal", "succeeded"), ("array", "succeeded"), ("data_string", "succeeded"),
        ("unknown_state", "unknown"), ("duplicate_keys", "unknown"), ("html", "unknown"),
        ("cut_json", "unknown"), ("other_task", "unknown"),
    ])
    func `I-1d the body that was classified is the one that is kept`(
        _ shape: String, _ state: String
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1",
            task: JSONObject([.init(key: "shape", value: .string(shape))])
        )
        let finished = try await line.run("stuck-sweeper", ["--verbose"], offset: "+6m")
        #expect(try line.polls("task-1") == 1)
        let body = try body(line, "task-1")
        let text = String(decoding: body, as: UTF8.self)
        let kept = try line.sql(
            """
            SELECT state, evidence, body_bytes, http_status,
                body_sha256 = encode(sha256(\(body)::bytea), 'hex') AS is_digest
            FROM holdfast.observation
            """)
        // One answer is one observation: nothing was read again.
        let row = try #require(kept.count == 1 ? kept.first : nil)
        #expect(try row.text("state") == state)
        #expect(try row.bool("is_digest"))
        #expect(try row.int("body_bytes") == body.count)
        #expect(try row.int("http_status") == 200)
        let evidence = try row.text("evidence")
        if shape == "data_string" {
            // A string of JSON within the body is taken apart too.
            #expect(try JSON.parse(evidence)["data"]?.text?.contains(Self.mark) == true)
        } else {
            #expect(evidence == Self.redacted(text, shape))
        }
        for place in [evidence, finished.stdout, finished.stderr] {
            #expect(!place.contains("a paper boat on a canal"))
            #expect(!place.contains("token="))
            #expect(!place.contains("simulator-kie-api-key"))
        }
    }

    @Test func `I-1d an empty answer is kept as what it was`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: JSONObject([.init(key: "shape", value: "empty")]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let row = try line.sql("SELECT * FROM holdfast.observation").single()
        #expect(try row.text("state") == "unknown")
        #expect(try row.optionalText("evidence") == nil)
        #expect(try row.int("body_bytes") == 0)
    }

    /// Each answer of a question that was asked three times is its own.
    @Test func `I-1d a retry keeps the answer that decided`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.fault(["provider": "kie", "unauthorized_rate": 1, "count": 2])
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(try line.polls("task-1") == 3)
        let body = try body(line, "task-1")
        #expect(
            try line.text(
                """
                SELECT string_agg(state || ' '
                    || (body_sha256 = encode(sha256(\(body)::bytea), 'hex')), ', ')
                FROM holdfast.observation
                """) == "succeeded true")
        #expect(try line.outcome("job-1") == "succeeded/held")
    }

    // MARK: I-1e

    /// Everything that can go wrong with a poll, one run after the other, past the deadline.
    @Test(arguments: ["kling", "kie"])
    func `I-1e a finished task is delivered although every earlier poll failed`(
        _ provider: String
    ) async throws {
        let line = try RescueLine()
        let endpoint = provider == "kie" ? "market" : "image2video"
        try line.open("job-1", provider: provider, endpoint: endpoint, taskID: "task-1")
        let troubles: [JSONValue] = [
            ["unauthorized_rate": 1], ["rate_limited_rate": 1, "retry_after_seconds": 30],
            ["server_error_rate": 1], ["cut_rate": 1], ["down": true],
        ]
        var minutes = 0
        for trouble in troubles + troubles {
            minutes += 15
            var order = JSONObject([.init(key: "provider", value: .string(provider))])
            for member in trouble.object?.members ?? [] { order[member.key] = member.value }
            try line.fault(.object(order))
            _ = try await line.run("stuck-sweeper", offset: "+\(minutes)m")
            #expect(try line.outcome("job-1") == "submitted/held", "\(JSON.write(trouble))")
            try line.heal(provider)
        }
        let asked = try line.polls("task-1", provider: provider)
        #expect(asked >= troubles.count * 2)
        minutes += 15
        try await line.minute(offset: "+\(minutes)m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(try line.balance("account-job-1") == "0/0/100")
        #expect(try line.violations() == [])
    }

    @Test func `I-1e a task that nobody waited for is delivered after failed polls`() async throws {
        let line = try RescueLine()
        try line.open("job-1", provider: "kling", endpoint: "image2video", taskID: "task-1")
        try line.sql("SELECT holdfast.mark_timed_out('job-1')")
        for (minutes, fault) in [
            (1, "unauthorized_rate"), (7, "server_error_rate"), (14, "cut_rate"),
        ] {
            try line.fault(["provider": "kling", fault: 1])
            try await line.minute(offset: "+\(minutes)m")
            #expect(try line.outcome("job-1") == "timed_out/held", "\(fault)")
        }
        try line.heal("kling")
        try await line.minute(offset: "+21m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
    }
}
