import Core
import Postgres
import TestSupport
import Testing

/// Policy on_submission_unknown: what becomes of a lost create answer that nobody tells about.
@Suite(.serialized) struct UnknownSubmissions {
    /// One job whose create call was lost, and which has been set aside.
    private func scene(_ provider: String = "kie", jobs: Int = 1) async throws -> RescueLine {
        let line = try RescueLine()
        for number in 1...jobs {
            try line.open(
                "job-\(number)", account: "anna", provider: provider,
                endpoint: provider == "kling" ? "text2video" : "market", taskID: nil)
            try line.sql("SELECT holdfast.mark_submitting(\("job-\(number)"))")
        }
        for minute in [3, 9, 15] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minute)m")
        }
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        return line
    }

    private func choose(_ line: RescueLine, _ value: String) async throws {
        let set = try await line.run(
            "holdfast", ["policy", "set", "on_submission_unknown", value])
        #expect(set.status == 0, "\(set.stderr)")
    }

    @Test func `the hold stands for ever unless the policy is void`() async throws {
        let line = try await scene()
        try await choose(line, "keep")
        let report = try await line.report("orphan-recoverer", offset: "+99h")
        #expect(report["outcomes"] == [:])
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
    }

    @Test func `void gives the credits back at the end of the watch window, and waives what comes`()
        async throws
    {
        let line = try await scene()
        try await choose(line, "void")
        // A deadline of an hour and a window of a day.
        let early = try await line.report("orphan-recoverer", offset: "+24h30m")
        #expect(early["outcomes"] == [:])
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        let dry = try await line.report("orphan-recoverer", ["--dry-run"], offset: "+26h")
        #expect(dry["outcomes"] == ["abandoned": 1])
        let done = try await line.report("orphan-recoverer", offset: "+26h")
        #expect(done["outcomes"] == ["abandoned": 1, "voided": 1])
        #expect(done["credits"] == ["voided": 100])
        #expect(try line.outcome("job-1") == "abandoned/voided")
        #expect(try line.balance("anna") == "100/0/0")

        let night = try await line.report("ledger-reconciler", offset: "+27h")
        #expect(night["unknown_submissions_voided"]?["jobs"]?.int == 1)
        #expect(night["unknown_submissions_voided"]?["credits"]?.int == 100)
        let told = try await line.run("ledger-reconciler", offset: "+27h")
        #expect(told.stdout.contains("on_submission_unknown"), "\(told.stdout)")
        #expect(told.stdout.contains("job-1"))

        // It had been sent after all: the customer gets the video, and keeps the credits.
        try line.order(taskID: "task-1")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        try await line.minute(offset: "+28h")
        #expect(try line.outcome("job-1") == "delivered/waived")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.violations() == [])
    }

    @Test func `it counts for the brakes, and a released brake voids`() async throws {
        let line = try await scene(jobs: 2)
        try await choose(line, "void")
        try line.sql(
            "UPDATE holdfast.policy SET value = 'account=1' WHERE key = 'brake_jobs'")
        let report = try await line.report("orphan-recoverer", offset: "+26h")
        #expect(report["outcomes"] == ["abandoned": 1, "braked": 1, "voided": 1])
        #expect(report["exit_status"]?.int == 1)
        #expect(try line.outcome("job-2") == "timed_out/held/blocked=brake")
        let freed = try await line.run(
            "holdfast", ["policy", "release-brake", "--job", "job-2"])
        #expect(freed.status == 0)
        _ = try await line.run("orphan-recoverer", offset: "+26h")
        #expect(try line.outcome("job-2") == "abandoned/voided")
        #expect(
            try line.text("SELECT count(*) FROM holdfast.job WHERE waives_late") == "2")
        #expect(try line.violations() == [])
    }

    @Test func `a provider that can be asked is asked again first, and what is there is found`()
        async throws
    {
        let line = try await scene("kling")
        try await choose(line, "void")
        try line.order(
            provider: "kling", endpoint: "text2video", taskID: "task-1", externalID: "job-1")
        try line.fault(["provider": "kling", "server_error_rate": 1])
        _ = try await line.run("orphan-recoverer", offset: "+26h")
        #expect(try line.outcome("job-1") == "created/held")
        _ = try await line.run("stuck-sweeper", offset: "+26h")
        #expect(try line.outcome("job-1") == "created/held")
        try line.heal("kling")
        _ = try await line.run("stuck-sweeper", offset: "+27h")
        #expect(try line.status("job-1").text("task_id") == "task-1")
        #expect(try line.status("job-1").text("credit_state") == "held")
    }

    @Test func `look-ups and the list have to cover the time before anything is voided`()
        async throws
    {
        let line = try await scene("kling")
        try await choose(line, "void")
        // Looks it up again, and finds nothing; the list has not been read that far.
        _ = try await line.run("orphan-recoverer", ["--job", "job-1"], offset: "+26h")
        for minute in [1, 7, 13] {
            _ = try await line.run("stuck-sweeper", offset: "+26h\(minute)m")
        }
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        let kept = try await line.report(
            "orphan-recoverer", ["--job", "job-1"], offset: "+26h20m")
        #expect(kept["outcomes"] == [:])
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        // Reads the list to its end, after it has looked at what is due.
        _ = try await line.run("orphan-recoverer", offset: "+26h21m")
        let done = try await line.report("orphan-recoverer", offset: "+26h22m")
        #expect(done["outcomes"] == ["abandoned": 1, "voided": 1])
        #expect(try line.outcome("job-1") == "abandoned/voided")
        #expect(try line.violations() == [])
    }

    @Test func `a callback that nobody has read yet may know the task`() async throws {
        let line = try await scene()
        try await choose(line, "void")
        try line.sql("SELECT holdfast.record_callback('kie', '{}', '', 'x'::bytea)")
        let kept = try await line.report("orphan-recoverer", offset: "+26h")
        #expect(kept["outcomes"] == [:])
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
    }
}
