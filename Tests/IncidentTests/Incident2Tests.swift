import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// The trigger that never arrived: stuck at the first step.
@Suite(.serialized) struct Incident2 {
    static let secret = "callback-secret"
    /// Made with another program: HMAC-SHA256 of `job-1` under that secret.
    static let tag = "f21f49de3fa403a91899dc5037303bfbac3a07855d3bc00dc19696fa4ee812b0"

    /// A job that was about to be sent, and of which nothing was heard since.
    func openSubmitting(_ line: RescueLine, provider: String, endpoint: String? = nil) throws {
        try line.open("job-1", provider: provider, endpoint: endpoint, taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
    }

    func expectTriggers(_ line: RescueLine, _ number: Int) throws {
        let triggers = try line.simulator.get("/control/counts")["triggers"]
        #expect(Int(triggers?["job-1"]?["count"]?.int ?? 0) == number)
    }

    // MARK: I-2a

    /// With the family named, and with all of them to look through.
    @Test(arguments: ["text2video", nil])
    func `I-2a a task that Kling has under our own id is adopted`(
        _ endpoint: String?
    ) async throws {
        let line = try RescueLine()
        try openSubmitting(line, provider: "kling", endpoint: endpoint)
        try line.order(
            provider: "kling", endpoint: "text2video", taskID: "task-1", externalID: "job-1",
            JSONObject([.init(key: "polls_until_done", value: 1)]))
        // Not before its threshold.
        _ = try await line.run("stuck-sweeper", offset: "+1m")
        #expect(try line.count("lookups", "kling:job-1") == 0)
        let report = try await line.report("stuck-sweeper", offset: "+3m")
        #expect(report["outcomes"] == ["adopted": 1])
        #expect(try line.status("job-1").text("task_id") == "task-1")
        try await line.minute(offset: "+9m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(try line.count("creates", "kling") == 0)
        try expectTriggers(line, 0)
        #expect(try line.violations() == [])
    }

    /// Two hosts look at once, and one of them dies in the middle.
    @Test func `I-2a it is adopted once by two hosts and after a crash`() async throws {
        let line = try RescueLine()
        try openSubmitting(line, provider: "kling", endpoint: "image2video")
        try line.order(
            provider: "kling", endpoint: "image2video", taskID: "task-1", externalID: "job-1")
        try line.bePatient()
        try line.fault(["provider": "kling", "delay_ms": 100_000])
        let victim = try line.begin("stuck-sweeper", offset: "+3m")
        try await line.waitUntil("the provider is asked") {
            try line.count("lookups", "kling:job-1") == 1
        }
        victim.kill(SIGKILL)
        _ = await victim.wait()
        try line.heal("kling")
        async let one = line.run("stuck-sweeper", offset: "+6m")
        async let other = line.run("stuck-sweeper", offset: "+6m")
        let statuses = try await [one.status, other.status]
        #expect(statuses == [0, 0])
        #expect(try line.count("lookups", "kling:job-1") == 2)
        try await line.minute(offset: "+7m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.text("SELECT count(*) FROM holdfast.task") == "1")
        try expectTriggers(line, 0)
    }

    @Test func `I-2a a lookup that fails says nothing, one that finds nothing waits for a person`()
        async throws
    {
        let line = try RescueLine()
        try openSubmitting(line, provider: "kling", endpoint: "image2video")
        var minutes = 3
        for fault in ["unauthorized_rate", "server_error_rate", "cut_rate", "unauthorized_rate"] {
            try line.fault(["provider": "kling", fault: 1])
            let report = try await line.report("stuck-sweeper", offset: "+\(minutes)m")
            #expect(report["outcomes"] == ["unknown": 1], "\(fault)")
            #expect(try line.outcome("job-1") == "created/held")
            minutes += 6
        }
        try line.heal("kling")
        var last = JSONValue.null
        for _ in 0..<3 {
            last = try await line.report("stuck-sweeper", offset: "+\(minutes)m")
            minutes += 6
        }
        #expect(last["outcomes"] == ["submission_unknown": 1])
        #expect(last["exit_status"]?.int == 1)
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        try await staysAside(line, from: minutes)
    }

    /// A blocked job is neither asked about, nor sent again, nor given up, however long it lies.
    private func staysAside(_ line: RescueLine, from minutes: Int) async throws {
        // Reading the provider's list goes on: that is where its task may turn up.
        func asked() throws -> [JSONValue?] {
            let counts = try line.simulator.get("/control/counts")
            return [counts["polls"], counts["lookups"], counts["creates"], counts["triggers"]]
        }
        let before = try asked()
        for later in ["+\(minutes)m", "+5h", "+49h"] {
            for finished in try await line.minute(offset: later) {
                #expect(finished.status == 0)
                #expect(finished.stdout + finished.stderr == "")
            }
        }
        #expect(try asked() == before)
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        #expect(try line.balance("account-job-1") == "0/100/0")
        #expect(try line.transfers("job-1") == ["hold 100"])
        try expectTriggers(line, 0)
        #expect(try line.violations() == [])
    }

    /// The mark before the call, or a sign of life after the job's creation, is enough.
    @Test(arguments: ["mark_submitting('job-1')", "heartbeat('job-1', 'generate:create')"])
    func `I-2a where the provider cannot be asked the job is set aside, not sent and not voided`(
        _ word: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.sql("SELECT holdfast.\(raw: word)")
        let report = try await line.report("stuck-sweeper", offset: "+3m")
        #expect(report["outcomes"] == ["submission_unknown": 1])
        #expect(report["exit_status"]?.int == 1)
        #expect(report["errors"]?.array?.first?["job_id"]?.text == "job-1")
        try await staysAside(line, from: 4)
    }

    @Test func `I-2a a task id that arrives later frees it`() async throws {
        let line = try RescueLine()
        try openSubmitting(line, provider: "kie")
        #expect(try await line.run("stuck-sweeper", offset: "+3m").status == 1)
        try line.order(taskID: "task-1")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        #expect(try line.outcome("job-1") == "submitted/held")
        try await line.minute(offset: "+9m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
    }

    @Test func `I-2a a callback with our own tag frees it and tells the task id`() async throws {
        let line = try RescueLine()
        try openSubmitting(line, provider: "kie")
        let secret: [String: String?] = ["HOLDFAST_CALLBACK_SECRET": Self.secret]
        #expect(try await line.run("stuck-sweeper", offset: "+3m", secret).status == 1)
        try line.order(taskID: "task-1")
        let body = #"{"code":200,"data":{"taskId":"task-1","state":"success"}}"#
        // Somebody else's idea of a tag frees nothing.
        for (tag, outcome) in [
            ("00" + Self.tag.dropFirst(2), "created/held/blocked=submission_unknown"),
            (Self.tag, "succeeded/held"),
        ] {
            try line.sql(
                """
                SELECT holdfast.record_callback('kie', '{}', \("job=job-1&tag=\(tag)"),
                    \(Array(body.utf8))::bytea)
                """)
            #expect(try await line.run("stuck-sweeper", offset: "+4m", secret).status == 0)
            #expect(try line.outcome("job-1") == outcome)
        }
        try await line.minute(offset: "+4m", secret)
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.status("job-1").text("task_id") == "task-1")
        #expect(try line.polls("task-1") == 1)
        try expectTriggers(line, 0)
        #expect(try line.violations() == [])
    }
}
