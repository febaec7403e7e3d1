import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// The application at the last instant, and the person who closes what is left.
extension Incident2 {
    // MARK: I-2d

    /// A job that was opened ten minutes ago and that no retrigger can help any more.
    private func sceneOfLastResort() throws -> RescueLine {
        let line = try RescueLine()
        try line.setPolicy("retrigger_attempts", "0")
        try line.open("job-1", taskID: nil)
        try line.sql(
            """
            UPDATE holdfast.job SET created_at = created_at - interval '10 minutes',
                next_poll_at = next_poll_at - interval '10 minutes'
            """)
        return line
    }

    @Test(arguments: [
        ("heartbeat('job-1', 'generate:create')", "created/held"),
        ("mark_submitting('job-1')", "created/held"),
        ("mark_submitted('job-1', 'task-1')", "submitted/held"),
    ])
    func `I-2d a word from the application just before the sweeper wins`(
        _ word: String, _ outcome: String
    ) async throws {
        let line = try sceneOfLastResort()
        try line.order(taskID: "task-1")
        try line.sql("SELECT holdfast.\(raw: word)")
        let finished = try await line.run("stuck-sweeper")
        #expect(finished.status == 0)
        #expect(finished.stdout + finished.stderr == "")
        #expect(try line.outcome("job-1") == outcome)
        #expect(try line.balance("account-job-1") == "0/100/0")
        try expectTriggers(line, 0)

        // The same job without a word, for the other side of the edge.
        let silent = try sceneOfLastResort()
        _ = try await silent.run("stuck-sweeper")
        #expect(try silent.outcome("job-1") == "failed/voided/never_submitted")
    }

    /// Its transaction is open when the sweeper looks.
    @Test func `I-2d a mark that is not committed yet wins too`() async throws {
        let line = try sceneOfLastResort()
        try line.order(taskID: "task-1")
        let application = try line.database.connect()
        try application.execute("BEGIN")
        try application.execute("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        let finished = try await line.run("stuck-sweeper")
        #expect(finished.status == 0)
        #expect(finished.stdout + finished.stderr == "")
        try application.execute("COMMIT")
        #expect(try line.outcome("job-1") == "submitted/held")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
    }

    /// The trigger is under way when the application turns out to be alive.
    @Test(arguments: ["heartbeat('job-1', 'generate:create')", "mark_submitted('job-1', 'task-1')"])
    func `I-2d a word that comes while the trigger is asked wins over its answer`(
        _ word: String
    ) async throws {
        let (line, finished) = try await meanwhile("trigger", offset: "+3m") {
            let line = try RescueLine()
            try line.open("job-1", taskID: nil)
            try line.order(taskID: "task-1")
            return line
        } deed: { line in
            try line.sql("SELECT holdfast.\(raw: word)")
        }
        #expect(try JSON.parse(finished.stdoutBytes)["outcomes"] == ["finished_meanwhile": 1])
        let isSent = word.hasPrefix("mark_submitted")
        #expect(try line.outcome("job-1") == (isSent ? "submitted/held" : "created/held"))
        // What the application set is when it is looked at next.
        _ = try await line.run("stuck-sweeper", offset: "+1m")
        try expectTriggers(line, 1)
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        try expectTriggers(line, 1)
    }

    /// The third lookup, after which the job would be set aside.
    @Test func `I-2d a task id that comes while the provider is asked wins over its answer`()
        async throws
    {
        let (line, finished) = try await meanwhile("kling", offset: "+20m") {
            let line = try RescueLine()
            try openSubmitting(line, provider: "kling", endpoint: "image2video")
            for minutes in [3, 9] {
                _ = try await line.run("stuck-sweeper", offset: "+\(minutes)m")
            }
            return line
        } deed: { line in
            try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        }
        #expect(try JSON.parse(finished.stdoutBytes)["outcomes"] == ["finished_meanwhile": 1])
        #expect(finished.status == 0)
        #expect(try line.count("lookups", "kling:job-1") == 3)
        #expect(try line.outcome("job-1") == "submitted/held")
        try line.order(provider: "kling", endpoint: "image2video", taskID: "task-1")
        try await line.minute(offset: "+26m")
        #expect(try line.outcome("job-1") == "delivered/captured")
    }

    /// Hundreds of jobs that the sweeper gives up while the application marks them.
    @Test func `I-2d sweeper and mark at the same time come to one consistent end`() async throws {
        var chance = SeededGenerator()
        let line = try RescueLine()
        try line.liftRates()
        try line.setPolicy("brake_jobs", "off")
        try line.setPolicy("retrigger_attempts", "0")
        let ids = (1...300).map { "job-\($0)" }
        try line.simulator.post(
            "/control/tasks",
            json: .array(
                ids.map {
                    ["provider": "kie", "endpoint": "market", "task_id": .string("task-\($0)")]
                }
            ))
        for id in ids { try line.open(id, taskID: nil) }
        async let one = line.run("stuck-sweeper", offset: "+3m")
        async let other = line.run("stuck-sweeper", offset: "+3m")
        let application = try line.database.connect()
        for id in ids.shuffled(using: &chance) {
            try application.execute("SELECT holdfast.mark_submitted(\(id), \("task-\(id)"))")
        }
        let statuses = try await [one.status, other.status]
        #expect(statuses == [0, 0], "\(chance)")
        #expect(try line.violations() == [], "\(chance)")
        for minutes in [9, 15] { try await line.minute(offset: "+\(minutes)m") }

        let ends = [
            // The mark was first.
            "delivered/captured": ["hold 100", "capture 100"],
            // The sweeper was, and the task that turned up was watched.
            "delivered/late_charged": ["hold 100", "void 100", "charge 100"],
        ]
        for id in ids {
            let outcome = try line.outcome(id)
            #expect(try line.transfers(id) == ends[outcome], "\(id) \(outcome) \(chance)")
            #expect(try line.polls("task-\(id)") == 1, "\(id) \(outcome) \(chance)")
            #expect(try line.balance("account-\(id)") == "0/0/100", "\(id) \(outcome) \(chance)")
        }
        #expect(try line.violations() == [], "\(chance)")
    }

    // MARK: I-2e

    private static let anna: [String: String?] = ["USER": "anna"]

    private func dismiss(
        _ line: RescueLine, _ id: String, reason: String = "phantom of the 3rd: never sent",
        _ flags: [String] = []
    ) async throws -> Finished {
        try await line.run(
            "holdfast", ["job", "dismiss", id, "--reason", reason] + flags, offset: nil, Self.anna)
    }

    /// Stuck at the first step, set aside, and in flight at the provider.
    @Test(arguments: ["created", "blocked", "submitted"])
    func `I-2e a person closes a phantom with a reason that is kept`(_ state: String) async throws {
        let line = try RescueLine()
        switch state {
        case "blocked":
            try openSubmitting(line, provider: "kie")
            _ = try await line.run("stuck-sweeper", offset: "+3m")
        default:
            try line.open("job-1", taskID: state == "submitted" ? "task-1" : nil)
        }
        let finished = try await dismiss(line, "job-1")
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stdout.contains("job-1"))
        #expect(try line.outcome("job-1") == "dismissed/voided")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        let trail: SQL = """
            SELECT string_agg(concat_ws(' ', split_part(actor, '@', 1), from_state, to_state, detail), '; ')
            FROM holdfast.job_event WHERE to_state = 'dismissed'
            """
        let from = state == "submitted" ? "submitted" : "created"
        let kept = "person:anna \(from) dismissed phantom of the 3rd: never sent"
        #expect(try line.text(trail) == kept)
        #expect(
            try line.text(
                "SELECT actor LIKE 'person:anna@_%' FROM holdfast.transfer WHERE kind = 'void'")
                == "t")
        let story = try await line.run("holdfast", ["job", "show", "job-1"])
        #expect(story.stdout.contains("phantom of the 3rd: never sent"))

        // Once more changes nothing, whoever says it and whatever the reason.
        let again = try await dismiss(line, "job-1", reason: "again")
        #expect(again.status == 0)
        #expect(try line.text(trail) == kept)
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])

        // The task finishes all the same: it is asked about when it had its time, for the report alone.
        if state == "submitted" {
            try line.sql(
                """
                SELECT holdfast.record_callback('kie', '{}', '', convert_to('{"taskId":"task-1"}', 'UTF8'))
                """)
        }
        for offset in [nil, "+6m"] { try await line.minute(offset: offset) }
        #expect(try line.polls("task-1") == 0)
        try await line.minute(offset: "+30h")
        #expect(try line.polls("task-1") == (state == "submitted" ? 1 : 0))
        #expect(try line.outcome("job-1") == "dismissed/voided")
        try expectTriggers(line, 0)
        #expect(try line.violations() == [])
    }

    @Test(arguments: ["job-0", "job-1 ", "JOB-1", "", "job-1'; DROP TABLE holdfast.job; --"])
    func `I-2e a job that exists nowhere gets a clear error`(_ id: String) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        let finished = try await dismiss(line, id)
        #expect(finished.status == 66)
        #expect(finished.stdout == "")
        #expect(finished.stderr.contains("there is no job '\(id)'"), "\(finished.stderr)")
        #expect(finished.stderr.contains("holdfast job list"))
        let report = try JSON.parse(await dismiss(line, id, ["--output", "json"]).stdoutBytes)
        #expect(report["exit_status"]?.int == 66)
        #expect(report["errors"]?.array?.first?["code"]?.text == "no_such_job")
        #expect(try line.outcome("job-1") == "created/held")
    }

    @Test func `I-2e without a reason, and after the end, nothing is changed`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        for arguments in [["job-1"], ["job-1", "--reason", " "], ["--reason", "x"]] {
            let finished = try await line.run("holdfast", ["job", "dismiss"] + arguments)
            #expect(finished.status == 64)
            #expect(finished.stderr != "")
        }
        #expect(try line.outcome("job-1") == "created/held")

        try line.open("job-2", taskID: "task-2")
        try await line.minute(offset: "+6m")
        let finished = try await dismiss(line, "job-2")
        #expect(finished.status == 1)
        #expect(finished.stderr.contains("delivered"))
        #expect(try line.outcome("job-2") == "delivered/captured")
        #expect(try line.transfers("job-2") == ["hold 100", "capture 100"])
    }

    /// Two people at two keyboards, and the sweeper between them.
    @Test func `I-2e dismissed by many at once it is closed once`() async throws {
        let line = try sceneOfLastResort()
        let environment = line.environment(offset: nil, Self.anna)
        let arguments = ["job", "dismiss", "job-1", "--reason", "phantom"]
        var all = try (0..<6).map { _ in
            try Executable.start("holdfast", arguments: arguments, environment: environment)
        }
        all.append(try line.begin("stuck-sweeper"))
        for process in all {
            let finished = await process.wait()
            #expect([0, 1].contains(finished.status), "\(finished.stderr)")
        }
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(
            ["dismissed/voided", "failed/voided/never_submitted"].contains(
                try line.outcome("job-1")))
        #expect(
            try line.text("SELECT count(*) FROM holdfast.job_event WHERE from_state = 'created'")
                == "1")
        #expect(try line.violations() == [])
    }
}
