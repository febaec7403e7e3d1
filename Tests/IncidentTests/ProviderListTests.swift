import Core
import Postgres
import TestSupport
import Testing

/// Tasks that nobody recorded, at every provider that lists its tasks.
@Suite(.serialized) struct ProviderLists {
    private static let listing = PlayedProvider.all.filter(\.lists)

    /// A line whose only job at the provider is done, and whose list has been read once.
    private func scene(_ provider: PlayedProvider) async throws -> RescueLine {
        let line = try RescueLine(providers: [provider])
        try line.liftRates()
        _ = try line.open("first", at: provider)
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("first") == "delivered/captured")
        #expect(try line.text("SELECT walks FROM holdfast.task_list") == "1")
        return line
    }

    /// MiniMax lists the tasks of its newer interface only.
    private func order(
        _ line: RescueLine, _ provider: PlayedProvider, _ task: JSONValue = [:]
    ) throws -> String {
        var members = task.object?.members ?? []
        if provider.name == "minimax" { members.append(.init(key: "endpoint", value: "v2")) }
        return try line.orderTask(provider, .object(JSONObject(members)))
    }

    @Test(arguments: listing)
    func `I-5f tasks that no job knows are found on every page and told once`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try await scene(provider)
        _ = try line.simulator.post("/control/lists", json: ["page_limit": 2])
        let strays = try (1...5).map { _ in try order(line, provider) }.sorted()
        // fal lists what has ended only, and somebody has to have seen it end.
        let early = try await line.report("orphan-recoverer", offset: "+12m")
        #expect(early["outcomes"]?["stray_found"] == nil)
        #expect(
            try line.sql("SELECT task_id FROM holdfast.stray_task ORDER BY 1").map {
                try $0.text("task_id")
            } == strays)
        let late = try await line.report("orphan-recoverer", offset: "+28m")
        #expect(late["outcomes"]?["stray_found"]?.int == 5, "\(late)")
        #expect(late["exit_status"]?.int == 1)
        let again = try await line.report("orphan-recoverer", offset: "+34m")
        #expect(again["outcomes"]?["stray_found"] == nil)
        #expect(
            try line.text(
                "SELECT count(*) FROM holdfast.finding WHERE class IN ('stray-task', 'provider-billed-no-job')"
            ) == "5"
        )
        try line.checkKeys(of: provider)
        #expect(try line.violations() == [])
    }

    /// The answer to the create call was lost; the list has the task.
    @Test(arguments: listing)
    func `I-2a a lost task is adopted where the list tells its job, else a person is asked`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try await scene(provider)
        let secret = ["HOLDFAST_CALLBACK_SECRET": Optional(Incident2.secret)]
        try line.open(
            "job-1", provider: provider.name, endpoint: provider.endpoint, taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
        let callback = "https://app.example.com/hooks?job=job-1&tag=\(Incident2.tag)"
        var task: [JSONObject.Member] = [.init(key: "callback_url", value: .string(callback))]
        if provider.name == "kling" {
            task.append(.init(key: "external_task_id", value: "job-1"))
        }
        let taskID = try order(line, provider, .object(JSONObject(task)))
        for offset in ["+12m", "+18m", "+24m"] {
            try await line.minute(offset: offset, secret)
        }
        guard provider.tellsCallback || provider.name == "kling" else {
            #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
            #expect(try line.transfers("job-1") == ["hold 100"])
            // Nobody sent it again: that might have been paid twice.
            let triggers = try line.simulator.get("/control/counts")["triggers"]?["job-1"]
            #expect(triggers == nil)
            #expect(
                try line.text("SELECT task_id FROM holdfast.stray_task WHERE task_id = \(taskID)")
                    == taskID)
            return
        }
        try line.checkDelivered("job-1", task: taskID)
        #expect(try line.text("SELECT count(*) FROM holdfast.stray_task") == "0")
        #expect(try line.violations() == [])
    }
}
