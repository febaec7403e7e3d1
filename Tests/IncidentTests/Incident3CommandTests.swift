import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// KIE: finished, paid for, not in the library: what a person can do and see at once.
@Suite(.serialized) struct Incident3Commands {
    private func sync(
        _ line: RescueLine, _ ids: [String], offset: String? = nil,
        _ changes: [String: String?] = [:]
    ) async throws -> (finished: Finished, jobs: [JSONValue]) {
        let finished = try await line.run(
            "holdfast", ["job", "sync"] + ids + ["--output", "json"], offset: offset, changes)
        let object = try JSON.parse(finished.stdoutBytes)
        #expect(object["command"] == "holdfast job sync")
        #expect(object["exit_status"]?.int == Int64(finished.status))
        return (finished, object["jobs"]?.array ?? [])
    }

    // MARK: I-3e

    @Test(arguments: [("kie", "market"), ("kie", "veo"), ("kling", "image2video")])
    func `I-3e a sync does at once what the runs would do, and says what it did`(
        _ provider: String, _ endpoint: String
    ) async throws {
        let line = try RescueLine()
        for id in ["job-1", "other"] {
            try line.open(
                id, provider: provider, endpoint: endpoint, taskID: "task-\(id)")
        }
        // Long before any threshold.
        let finished = try await line.run("holdfast", ["job", "sync", "job-1"])
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stderr == "")
        for words in [
            "job job-1 was submitted", "sweep: 1 succeeded", "1 stored", "1 delivered",
            "100 captured", "now delivered", "https://cdn.example.com/account-job-1/video/",
        ] {
            #expect(finished.stdout.contains(words), "\(words) in \(finished.stdout)")
        }
        try line.checkDelivered("job-1", task: "task-job-1")
        #expect(try line.outcome("other") == "submitted/held")
        #expect(try line.polls("task-other", provider: provider) == 0)

        // Once more: nothing to do, nothing done, and no error.
        let again = try await sync(line, ["job-1"])
        #expect(again.finished.status == 0)
        #expect(again.jobs.first?["state_before"] == "delivered")
        #expect(again.jobs.first?["job"]?["state"] == "delivered")
        #expect(try line.polls("task-job-1", provider: provider) == 1)
        try line.checkDelivered("job-1", task: "task-job-1")
    }

    /// Each way in which a job may stand, and what a sync makes of it.
    @Test func `I-3e a sync finds each job where it stands`() async throws {
        let line = try RescueLine()
        try line.open(
            "runs", taskID: "task-runs", task: .init([.init(key: "outcome", value: "never")]))
        try line.open(
            "fails", taskID: "task-fails", task: .init([.init(key: "outcome", value: "fail")]))
        try line.open("waited", taskID: "task-waited")
        try line.sql("SELECT holdfast.mark_timed_out('waited')")
        try line.open(
            "expired", taskID: "task-expired",
            task: .init([.init(key: "files_expired", value: true)]))
        try line.open(
            "gone", taskID: "task-gone", task: .init([.init(key: "file_fault", value: "gone")]))
        let ids = ["runs", "fails", "waited", "expired", "gone"]
        let (finished, jobs) = try await sync(line, ids)
        #expect(finished.status == 1, "a lost file needs a person: \(finished.stderr)")
        #expect(jobs.map { $0["job_id"]?.text } == ids)
        #expect(
            jobs.map { $0["state_before"]?.text }
                == ["submitted", "submitted", "timed_out", "submitted", "submitted"])
        #expect(
            jobs.map { $0["job"]?["state"]?.text }
                == ["running", "failed", "delivered", "delivered", "failed"])
        #expect(try line.outcome("runs") == "running/held")
        #expect(try line.outcome("fails") == "failed/voided/provider_failed")
        try line.checkDelivered("waited", task: "task-waited")
        try line.checkDelivered("expired", task: "task-expired")
        #expect(try line.outcome("gone") == "failed/voided/result_lost")
        #expect(try line.violations() == [])
    }

    @Test func `I-3e a job that exists nowhere is a clear error`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let finished = try await line.run("holdfast", ["job", "sync", "job-1", "nobody's"])
        #expect(finished.status == 66)
        #expect(finished.stderr.contains("nobody's"), "\(finished.stderr)")
        // Nothing is done for the others: the list was wrong.
        #expect(try line.outcome("job-1") == "submitted/held")
        let json = try await line.run(
            "holdfast", ["job", "sync", "nobody's", "--output", "json"])
        #expect(json.status == 66)
        #expect(try JSON.parse(json.stdoutBytes)["exit_status"]?.int == 66)
    }

    @Test func `I-3e a sync respects another run's lease, and says so`() async throws {
        let line = try RescueLine()
        try line.bePatient()
        try line.open("job-1", taskID: "task-1")
        try line.fault(["provider": "kie", "hang_rate": 1])
        let sweeper = try Executable.start(
            "stuck-sweeper", arguments: ["--job", "job-1"], environment: line.environment())
        try line.until("the sweeper asks") { try line.polls("task-1") == 1 }
        try line.fault(["provider": "all", "clear": true])
        let finished = try await line.run("holdfast", ["job", "sync", "job-1"])
        #expect(finished.stdout.contains("leased to"), "\(finished.stdout)")
        #expect(try line.polls("task-1") == 1)
        try line.checkUndecided("job-1", "submitted/held")
        sweeper.kill(SIGTERM)
        #expect(await sweeper.wait().status == 143)
        let next = try await line.run("holdfast", ["job", "sync", "job-1"])
        #expect(next.status == 0, "\(next.stderr)")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3e two people at once deliver it once`() async throws {
        let line = try RescueLine()
        try line.open("job-1", outputs: 3, taskID: "task-1")
        async let one = line.run("holdfast", ["job", "sync", "job-1"])
        async let other = line.run("holdfast", ["job", "sync", "job-1"])
        for finished in try await [one, other] {
            #expect([0, 1].contains(finished.status), "\(finished.stderr)")
        }
        _ = try await line.run("holdfast", ["job", "sync", "job-1"])
        #expect(try line.polls("task-1") <= 2)
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test func `I-3e a sync that dies is finished by the runs`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        do {
            let gate = try line.close(.stored)
            let victim = try Executable.start(
                "holdfast", arguments: ["job", "sync", "job-1"], environment: line.environment())
            let name = "holdfast job sync"
            try line.until("it wants to deliver") { try line.waits(name) }
            victim.kill(SIGKILL)
            #expect(await victim.wait().signal == SIGKILL)
            try line.cut(name)
            _ = consume gate
        }
        try line.checkUndecided("job-1", "succeeded/held")
        try await line.minute(offset: "+3m")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.asked("files", "task-1/0") == 1)
    }

    @Test func `I-3e without the provider's key a sync says what is missing`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let finished = try await line.run(
            "holdfast", ["job", "sync", "job-1"], ["HOLDFAST_KIE_API_KEY": nil])
        #expect(finished.status == 78)
        #expect(finished.stderr.contains("HOLDFAST_KIE_API_KEY"), "\(finished.stderr)")
        try line.checkUndecided("job-1", "submitted/held")
    }

    @Test func `I-3e a blocked job stays blocked, with the way out`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.sql(
            "UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'look at it first'")
        let finished = try await line.run("holdfast", ["job", "sync", "job-1"])
        #expect(finished.status == 1)
        let said = finished.stdout + finished.stderr
        #expect(
            said.contains("look at it first") && said.contains("holdfast job requeue"), "\(said)")
        #expect(try line.polls("task-1") == 0)
        #expect(try line.outcome("job-1") == "submitted/held/blocked=person")
    }

    // MARK: I-3f

    @Test func `I-3f status shows how things are`() async throws {
        let line = try RescueLine()
        for n in 1...3 { try line.open("done-\(n)", outputs: n, taskID: "task-done-\(n)") }
        try line.open(
            "failed", taskID: "task-failed", task: .init([.init(key: "outcome", value: "fail")]))
        try await line.minute(offset: "+6m")
        for n in 1...2 { try line.open("stuck-\(n)", taskID: "task-stuck-\(n)") }

        let report = try await line.report("holdfast", ["status"], offset: "+10m")
        #expect(report["success_rate"]?.text == "0.75" || report["success_rate"]?.text == "0.7500")
        #expect(report["ended_in_window"] == ["delivered": 3, "failed": 1])
        #expect(report["failed_last_hour"]?.int == 1)
        #expect(report["stuck_now"]?.int == 2)
        #expect(report["jobs"] == ["submitted": 2])
        #expect(report["credits_held"]?.int == 200)
        #expect(report["files_pending"]?.int == 0)
        // Six files of 4096 bytes.
        #expect(report["bytes_stored"]?.int == 24_576)
        let mean = Double(report["mean_time_to_completion_seconds"]?.text ?? "") ?? -1
        let expected = try line.value(
            """
            SELECT avg(extract(epoch FROM finished_at - created_at)) FROM holdfast.job
            WHERE state = 'delivered'
            """)
        #expect(abs(mean - (Double(expected) ?? 0)) < 1 && mean >= 360, "\(mean) \(expected)")

        let text = try await line.run("holdfast", ["status"], offset: "+10m")
        #expect(text.status == 0, "\(text.stderr)")
        for pattern in [
            "success rate \\(.*\\) +75", "mean time to completion +[0-9]", "stuck now +2",
            "failed in the last hour +1", "bytes stored +24",
        ] {
            #expect(try text.stdout.contains(Regex(pattern)), "\(pattern) in \(text.stdout)")
        }
        // Two hours later the failure is older than an hour; a day later nothing ended.
        let later = try await line.report("holdfast", ["status"], offset: "+2h")
        #expect(later["failed_last_hour"]?.int == 0)
        #expect(later["ended_in_window"] == ["delivered": 3, "failed": 1])
        let tomorrow = try await line.report("holdfast", ["status"], offset: "+26h")
        #expect(tomorrow["success_rate"]?.isNull == true)
        #expect(tomorrow["ended_in_window"]?.object?.members.isEmpty == true)
        #expect(tomorrow["bytes_stored"]?.int == 24_576)
    }

    @Test func `I-3f status shows what is blocked, silent and broken`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.sql("UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'look'")
        try line.callBack("{}")
        try line.sql(
            """
            UPDATE holdfast.provider SET failures = 25, pause_reason = '25 transient failures in a row',
                paused_until = clock_timestamp() + interval '5 minutes' WHERE provider = 'kie'
            """)
        let report = try await line.report("holdfast", ["status"])
        #expect(report["blocked"] == ["person": 1])
        #expect(report["callbacks_undrained"]?.int == 1)
        #expect(report["stuck_now"]?.int == 0)
        let kie = report["providers"]?.array?.first { $0["provider"] == "kie" }
        #expect(kie?["breaker"] == "open")
        #expect(kie?["failures"]?.int == 25)
        let runs = report["last_runs"]?.array ?? []
        #expect(runs.count == 4)
        #expect(runs.allSatisfy { $0["started_at"]?.isNull == true })
    }

    @Test func `I-3f status of an empty database is no error`() async throws {
        let line = try RescueLine()
        for arguments in [["status"], ["status", "--window", "1h"]] {
            let finished = try await line.run("holdfast", arguments)
            #expect(finished.status == 0, "\(finished.stderr)")
            #expect(finished.stdout.contains("no job ended"), "\(finished.stdout)")
        }
        let report = try await line.report("holdfast", ["status"])
        #expect(report["success_rate"]?.isNull == true)
        #expect(report["mean_time_to_completion_seconds"]?.isNull == true)
        #expect(report["bytes_stored"]?.int == 0)
    }

    /// It can be read by those who may only read.
    @Test func `I-3f status works with a login that may only read`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let finished = try await line.run(
            "holdfast", ["status", "--output", "json"],
            ["HOLDFAST_DATABASE_URL": try line.database.url(role: "holdfast_report")])
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(try JSON.parse(finished.stdoutBytes)["jobs"] == ["submitted": 1])
    }
}
