import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What a callback may do, how often, and when.
extension Incident4 {
    private static let body = #"{"code":200,"data":{"taskId":"task-1","state":"success"}}"#

    // MARK: I-4b, secrets

    @Test(arguments: [
        ("secret=wrong-secret", "{}", "wrong"), ("secret=", "{}", "wrong"),
        ("", #"{"X-Callback-Token":"wrong-secret"}"#, "wrong"),
        ("job=job-1&tag=wrong-secret", "{}", "wrong"),
        // The tag of another job, and one that a shorter secret would make.
        (
            "job=job-1&tag=c263a20fc377ff5e5ddd9513b5fd1a3ac40e9d25700f47c68b3b58f2a2aa4b7b", "{}",
            "wrong"
        ),
        (
            "job=job-1&tag=f21f49de3fa403a91899dc5037303bfbac3a07855d3bc00dc19696fa4ee812b", "{}",
            "wrong"
        ),
        ("job=job-1", "{}", "wrong"), ("", "{}", "missing"),
    ])
    func `I-4b a callback without the right secret is kept, marked, and wakes nobody`(
        _ query: String, _ headers: String, _ check: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try receive(line, Self.body, query: query, headers: headers)
        let finished = try await line.run("stuck-sweeper", offset: nil, Self.configured)
        #expect(finished.status == 0)
        #expect(finished.stdout.contains("1 callbacks unmatched"))
        #expect(try inbox(line) == ["refused \(check)"])
        #expect(try line.count("poll_total", "kie") == 0)
        #expect(try line.outcome("job-1") == "submitted/held")
        // What was tried stays, the secret that was tried does not.
        let kept = try line.text("SELECT to_jsonb(c) #>> '{}' FROM holdfast.callback c")
        #expect(kept.contains("redacted") == query.hasPrefix("secret="))
        #expect(!kept.contains("secret=wrong-secret") && !kept.contains("Token"))
        #expect(
            try line.text("SELECT convert_from(body, 'UTF8') FROM holdfast.callback") == Self.body)
    }

    @Test(arguments: [
        ("secret=callback-secret", "{}"), ("taskId=task-1&secret=callback-secret", "{}"),
        ("", #"{"X-Callback-Token":"callback-secret"}"#),
        ("", #"{"x-callback-token":"callback-secret"}"#),
        ("job=job-1&tag=f21f49de3fa403a91899dc5037303bfbac3a07855d3bc00dc19696fa4ee812b0", "{}"),
    ])
    func `I-4b a callback with the right secret wakes its job`(
        _ query: String, _ headers: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try receive(line, Self.body, query: query, headers: headers)
        let finished = try await line.run(
            "stuck-sweeper", ["--verbose"], offset: nil, Self.configured)
        #expect(try inbox(line) == ["matched right job-1"])
        #expect(try line.polls("task-1") == 1)
        #expect(!(finished.stdout + finished.stderr).contains(Self.secret))
        #expect(
            try line.text(
                """
                SELECT count(*) FROM holdfast.callback c WHERE strpos(c::text, \(Self.secret)) > 0
                """) == "0")
    }

    /// The tag proves the job, and not that a task of somebody else belongs to it.
    @Test func `I-4b a tagged callback does not take over the task of another job`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
        try line.open("job-2", taskID: "task-2")
        try receive(
            line, #"{"taskId":"task-2"}"#, query: "job=job-1&tag=\(Self.tags["job-1"] ?? "")")
        _ = try await line.run("stuck-sweeper", offset: nil, Self.configured)
        #expect(try line.status("job-1").optionalText("task_id") == nil)
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        try await line.minute(offset: "+6m", Self.configured)
        #expect(try line.outcome("job-2") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100"])
        #expect(try line.violations() == [])
    }

    /// Whoever calls our address has the task, although the application never said that it sent it.
    @Test func `I-4b a job that a tagged callback is about is not sent again`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try receive(line, "{}", query: "job=job-1&tag=\(Self.tags["job-1"] ?? "")")
        for offset in [nil, "+3m", "+30m"] {
            _ = try await line.run("stuck-sweeper", offset: offset, Self.configured)
        }
        #expect(try line.count("requests", "trigger") == 0)
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        #expect(try line.transfers("job-1") == ["hold 100"])
    }

    /// A second task of one job is kept as a second task, also when both are told at once.
    @Test func `I-4b tagged callbacks that name two tasks leave the job with both`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
        for n in 1...2 {
            try line.order(
                taskID: "task-\(n)", JSONObject([.init(key: "polls_until_done", value: 9)]))
            try receive(
                line, #"{"taskId":"task-\#(n)"}"#,
                query: "job=job-1&tag=\(Self.tags["job-1"] ?? "")")
        }
        _ = try await line.run("stuck-sweeper", offset: nil, Self.configured)
        #expect(
            try line.text(
                "SELECT string_agg(task_id, ' ' ORDER BY task_id) FROM holdfast.task WHERE job_id = 'job-1'"
            ) == "task-1 task-2")
    }

    // MARK: I-4c

    @Test(arguments: [1, 2])
    func `I-4c a thousand copies cost one poll and settle once`(_ hosts: Int) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        func storm() throws {
            try line.sql(
                """
                SELECT count(holdfast.record_callback('kie', '{}', '', \(Array(Self.body.utf8))::bytea))
                FROM generate_series(1, 1000)
                """)
        }
        try storm()
        let sweeps = try await line.atOnce(hosts, "stuck-sweeper")
        #expect(sweeps.allSatisfy { $0.status == 0 }, "\(sweeps)")
        #expect(try line.polls("task-1") == 1)
        try await line.minute()
        #expect(try line.outcome("job-1") == "delivered/captured")
        // And once more, after the end.
        try storm()
        _ = try await line.atOnce(hosts, "stuck-sweeper")
        try await line.minute(offset: "+6m")
        #expect(try line.polls("task-1") == 1)
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(
            try line.text("SELECT count(*) FROM holdfast.callback WHERE drained_at IS NULL") == "0")
        #expect(
            try line.text("SELECT count(*) FROM holdfast.callback WHERE job_id = 'job-1'") == "2000"
        )
        #expect(try line.violations() == [])
    }

    /// While the task still runs, nothing but the first copy wakes the job.
    @Test(arguments: [1, 2])
    func `I-4c copies of a callback about a running task cost one poll`(
        _ hosts: Int
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1",
            task: JSONObject([.init(key: "polls_until_done", value: 1)]))
        for _ in 0..<3 {
            try line.sql(
                """
                SELECT count(holdfast.record_callback('kie', '{}', '', \(Array(Self.body.utf8))::bytea))
                FROM generate_series(1, 1000)
                """)
            _ = try await line.atOnce(hosts, "stuck-sweeper")
        }
        #expect(try line.polls("task-1") == 1)
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.polls("task-1") == 2)
    }

    // MARK: I-4d

    /// Read before the mark, and not yet read when the mark came.
    @Test(arguments: [true, false])
    func `I-4d a callback before the task id is matched later, and the job is due at once`(
        _ isDrained: Bool
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
        try receive(line, Self.body)
        if isDrained {
            _ = try await line.run("stuck-sweeper")
            #expect(try inbox(line) == ["unmatched not_checked"])
        }
        try line.order(taskID: "task-1")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        // No offset: only the callback makes it due.
        try await line.minute()
        #expect(try inbox(line) == ["matched not_checked job-1"])
        #expect(try line.polls("task-1") == 1)
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
    }

    @Test func `I-4d a callback that was refused is not matched later`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
        try receive(line, Self.body, query: "secret=wrong")
        _ = try await line.run("stuck-sweeper", offset: nil, Self.configured)
        try line.order(taskID: "task-1")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        _ = try await line.run("stuck-sweeper", offset: nil, Self.configured)
        #expect(try inbox(line) == ["refused wrong"])
        #expect(try line.polls("task-1") == 0)
    }
}
