import Core
import Postgres
import TestSupport
import Testing

/// Tasks that nobody recorded: found in the provider's own list, matched or reported.
@Suite(.serialized) struct Incident5Strays {
    /// A job at Kling that has its task and is delivered; what else the list holds comes after it.
    private func scene() async throws -> RescueLine {
        let line = try RescueLine()
        try line.liftRates()
        try line.open(
            "job-1", provider: "kling", endpoint: "image2video", taskID: "task-1",
            task: .init([.init(key: "cost", value: "2.5")]))
        return line
    }

    private func list(_ line: RescueLine, _ taskID: String, _ own: String? = nil) throws {
        try line.order(
            provider: "kling", endpoint: "image2video", taskID: taskID, externalID: own,
            .init([.init(key: "cost", value: "3.5")]))
    }

    private func breaks(_ line: RescueLine) throws -> [String] {
        try line.sql("SELECT class || ' ' || subject AS line FROM holdfast.finding ORDER BY 1")
            .map { try $0.text("line") }
    }

    @Test func `I-5f a task that no job knows is told once, with its cost, and listed at night`()
        async throws
    {
        let line = try await scene()
        try await line.minute(offset: "+1m")
        try list(line, "stray-1")
        try list(line, "stray-2", "job-of-somebody-else")
        // It may still be marked: nobody is told before a quarter of an hour has passed.
        let early = try await line.report("orphan-recoverer", offset: "+7m")
        #expect(early["outcomes"]?["stray_found"] == nil)
        #expect(early["exit_status"]?.int == 0)
        let late = try await line.report("orphan-recoverer", offset: "+23m")
        #expect(late["outcomes"]?["stray_found"]?.int == 2)
        #expect(late["exit_status"]?.int == 1)
        let message = late["errors"]?.array?.first?["message"]?.text ?? ""
        #expect(message.contains("stray-1") && message.contains("3.5 units"), "\(message)")
        let again = try await line.report("orphan-recoverer", offset: "+29m")
        #expect(again["outcomes"]?["stray_found"] == nil)
        #expect(
            try breaks(line) == [
                "provider-billed-no-job kling/stray-1", "provider-billed-no-job kling/stray-2",
            ])
        // A person finds the job it belongs to.
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'stray-1')")
        #expect(try breaks(line).contains("provider-billed-no-job kling/stray-1") == false)
        #expect(try line.violations() == [])
    }

    @Test func `I-5f what was there before our first job is no stray`() async throws {
        let line = try await scene()
        try list(line, "older")
        try line.sql(
            "UPDATE holdfast.offer SET first_used_at = first_used_at + interval '1 minute'")
        _ = try await line.run("orphan-recoverer", offset: "+6m")
        #expect(try line.text("SELECT walks FROM holdfast.task_list") == "1")
        #expect(try line.text("SELECT count(*) FROM holdfast.stray_task") == "0")
    }

    @Test func `I-5f what is marked in time is no stray`() async throws {
        let line = try await scene()
        try list(line, "marked")
        try await line.minute(offset: "+6m")
        #expect(try line.text("SELECT task_id FROM holdfast.stray_task") == "marked")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'marked')")
        for offset in ["+12m", "+30m", "+50m"] {
            let report = try await line.report("orphan-recoverer", offset: offset)
            #expect(report["outcomes"]?["stray_found"] == nil)
        }
        #expect(try line.text("SELECT count(*) FROM holdfast.stray_task") == "0")
    }

    @Test func `I-5f where others use the account, strays are not told`() async throws {
        let line = try await scene()
        try line.setPolicy("strays", "ignore", provider: "kling")
        try list(line, "stray-1")
        for offset in ["+6m", "+40m"] {
            let report = try await line.report("orphan-recoverer", offset: offset)
            #expect(report["outcomes"]?["stray_found"] == nil)
            #expect(report["exit_status"]?.int == 0)
        }
    }

    @Test func `I-5f a second task with our own id is adopted, asked about, and its cost is told`()
        async throws
    {
        let line = try await scene()
        try await line.minute(offset: "+6m")
        try line.checkDelivered("job-1", task: "task-1")
        try list(line, "task-2", "job-1")
        try await line.minute(offset: "+12m")
        #expect(
            try line.text(
                "SELECT job_id || ' ' || endpoint FROM holdfast.task WHERE task_id = 'task-2'")
                == "job-1 image2video")
        try await line.minute(offset: "+18m")
        #expect(
            try line.text("SELECT state FROM holdfast.task WHERE task_id = 'task-2'") == "succeeded"
        )
        #expect(
            try line.text(
                "SELECT detail FROM holdfast.finding WHERE class = 'duplicate-provider-tasks'")
                == "beside task task-1 the provider finished task-2 for 3.5 units as well")
        // The job, its file and its money are what they were, and nobody asks any more.
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        let polls = try line.polls("task-2", provider: "kling")
        try await line.minute(offset: "+24m")
        #expect(try line.polls("task-2", provider: "kling") == polls)
        #expect(try line.violations() == [])
    }

    /// A provider without a list: what the second task came to is learned by asking.
    @Test(arguments: ["succeed", "fail"])
    func `I-5f both tasks of a job are followed to their end, and the first to succeed wins`(
        _ outcome: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1", task: .init([.init(key: "cost", value: "10")]))
        try line.order(
            taskID: "task-2",
            .init([
                .init(key: "outcome", value: .string(outcome)), .init(key: "cost", value: "12"),
                .init(key: "polls_until_done", value: 2),
            ]))
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-2')")
        for offset in ["+6m", "+12m", "+18m", "+24m"] { try await line.minute(offset: offset) }
        try line.checkDelivered("job-1", task: "task-1")
        let findings = try line.sql("SELECT detail FROM holdfast.finding").map {
            try $0.text("detail")
        }
        #expect(
            findings
                == (outcome == "succeed"
                    ? ["beside task task-1 the provider finished task-2 for 12 credits as well"]
                    : []))
        #expect(
            try line.text("SELECT watch_until IS NULL FROM holdfast.job WHERE job_id = 'job-1'")
                == "t")
        #expect(try line.violations() == [])
    }

    @Test func `I-5f the task of a dismissed job that finishes is reported and never charged`()
        async throws
    {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1",
            task: .init([.init(key: "polls_until_done", value: 2), .init(key: "cost", value: "7")]))
        try line.sql("SELECT holdfast.dismiss_job('job-1', 'a phantom')")
        try await line.minute(offset: "+6m")
        #expect(try line.polls("task-1") == 0)
        for offset in ["+61m", "+67m", "+73m"] { try await line.minute(offset: offset) }
        #expect(try line.outcome("job-1") == "dismissed/voided")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(
            try line.text(
                "SELECT detail FROM holdfast.finding WHERE class = 'refunded-but-delivered'")
                == "the provider finished task task-1 for 7 credits, and the job is dismissed"
        )
    }

    @Test func `I-5f a long list is read page by page, and afterwards only where it is new`()
        async throws
    {
        let line = try await scene()
        let orders = (1...1200).map { n in
            JSONValue.object(
                JSONObject([
                    .init(key: "provider", value: "kling"),
                    .init(key: "endpoint", value: "image2video"),
                    .init(key: "task_id", value: .string("other-\(n)")),
                ]))
        }
        _ = try line.simulator.post("/control/tasks", json: .array(orders))
        _ = try await line.run("orphan-recoverer", offset: "+1m")
        #expect(try line.text("SELECT count(*) FROM holdfast.stray_task") == "1200")
        #expect(try line.count("lists", "kling:image2video") == 3)
        // Everything there is older than what the first walk covered, by hours.
        _ = try await line.run("orphan-recoverer", offset: "+3h")
        let after = try line.count("lists", "kling:image2video")
        _ = try await line.run("orphan-recoverer", offset: "+6h")
        #expect(try line.count("lists", "kling:image2video") == after + 1)
        // Between the walks an idle minute asks nothing.
        _ = try await line.run("orphan-recoverer", offset: "+361m")
        #expect(try line.count("lists", "kling:image2video") == after + 1)
    }

    @Test func `I-5f a list that cannot be read stops nothing, and is read on later`() async throws
    {
        let line = try await scene()
        try list(line, "stray-1")
        try line.fault(["provider": "kling", "server_error_rate": 1])
        let report = try await line.report("orphan-recoverer", offset: "+1m")
        #expect(report["exit_status"]?.int == 0)
        #expect(
            try line.text("SELECT problem FROM holdfast.task_list").wholeMatch(
                of: /HTTP 50\d, and no list that can be read/) != nil)
        try line.heal("kling")
        _ = try await line.run("orphan-recoverer", offset: "+7m")
        #expect(
            try line.text("SELECT coalesce(problem, 'none') || walks FROM holdfast.task_list")
                == "none1")
        #expect(try line.text("SELECT count(*) FROM holdfast.stray_task") == "1")
    }

    @Test func `I-5f two hosts read one list once`() async throws {
        let line = try await scene()
        try list(line, "stray-1")
        try line.fault(["provider": "kling", "delay_ms": 300])
        _ = try await line.atOnce(2, "orphan-recoverer", offset: "+1m")
        #expect(try line.count("lists", "kling:image2video") == 1)
        #expect(try line.text("SELECT walks FROM holdfast.task_list") == "1")
    }
}
