import Core
import Postgres
import TestSupport
import Testing

/// Signed callbacks through the built executables: kept, marked, and believed only when right.
extension Incident4Receiver {
    /// KIE's headers for a task, made by another library for this very moment.
    private func signed(_ line: RescueLine, taskID: String, key: String) async throws
        -> [String: String?]
    {
        let now = try line.text("SELECT extract(epoch FROM clock_timestamp())::bigint")
        let code = try await Peers.ask([
            [
                "kind": "kie", "key": .string(key), "task_id": .string(taskID),
                "timestamp": .string(now),
            ]
        ])[0].text
        return ["HTTP_X_WEBHOOK_TIMESTAMP": now, "HTTP_X_WEBHOOK_SIGNATURE": code]
    }

    @Test(
        arguments: [
            ("task-1", "the-key", "", "matched right job-1", 1),
            ("task-2", "the-key", "", "refused wrong", 0),
            ("task-1", "another", "", "refused wrong", 0),
            ("task-1", nil, "", "refused missing", 0),
            // One wrong proof spoils the others.
            ("task-1", "the-key", "secret=wrong", "refused wrong", 0),
            ("task-1", "the-key", "job=job-1&tag=00", "refused wrong", 0),
            ("task-1", "another", "secret=callback-secret", "refused wrong", 0),
            ("task-1", nil, "secret=callback-secret", "matched right job-1", 1),
        ] as [(String, String?, String, String, Int)], [false, true])
    func `I-4b a signature counts like a secret, whichever way the callback came`(
        _ row: (String, String?, String, String, Int), _ isAway: Bool
    ) async throws {
        let (taskID, key, query, inbox, polls) = row
        let line = try RescueLine()
        let scene = try ReceiverScene(line)
        try line.open("job-1", taskID: "task-1")
        var variables = [:] as [String: String?]
        if let key { variables = try await signed(line, taskID: taskID, key: key) }
        variables["QUERY_STRING"] = query
        let body = Array(#"{"code":200,"data":{"task_id":"task-1","state":"success"}}"#.utf8)
        #expect(try await scene.gateway(body, variables, isAway: isAway).isAnsweredWith200)
        var settings: [String: String?] = ["HOLDFAST_KIE_WEBHOOK_KEY": "the-key"]
        if !query.isEmpty { settings.merge(Incident4.configured) { $1 } }
        let sweep = try await scene.sweep(settings)
        #expect(sweep.status == 0, "\(sweep.stderr)")
        #expect(try Incident4().inbox(line) == [inbox])
        #expect(try line.polls("task-1") == polls)
    }

    @Test func `a webhook secret that is none stops the run and names its variable`() async throws {
        let line = try RescueLine()
        let finished = try await line.run(
            "stuck-sweeper", [], offset: nil,
            ["HOLDFAST_REPLICATE_WEBHOOK_SECRET": "whsec_%%%%%%"])
        #expect(finished.status == 78)
        #expect(finished.stderr.contains("HOLDFAST_REPLICATE_WEBHOOK_SECRET"))
        #expect(!finished.stderr.contains("%%%"))
    }
}
