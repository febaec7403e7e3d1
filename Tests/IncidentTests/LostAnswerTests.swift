import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A create call whose answer was lost, and what a person is told and can do about it.
@Suite(.serialized) struct LostAnswers {
    /// Jobs whose create calls were lost at KIE, set aside by a run.
    private func scene(_ ids: String...) async throws -> (line: RescueLine, report: JSONValue) {
        let line = try RescueLine()
        for id in ids {
            try line.open(id, taskID: nil)
            try line.sql("SELECT holdfast.mark_submitting(\(id))")
        }
        let report = try await line.report("stuck-sweeper", offset: "+3m")
        for id in ids {
            #expect(try line.outcome(id) == "created/held/blocked=submission_unknown")
        }
        return (line, report)
    }

    // MARK: One advice

    @Test func `the story, the doctor, the run and the night give the same advice`() async throws {
        let (line, report) = try await scene("job 1")
        let advice = "holdfast job link 'job 1' --else-abandon"
        let said = report["errors"]?.array?.first?["message"]?.text ?? ""
        #expect(said.hasSuffix("next: \(advice)"), "\(said)")
        let story = try await line.run("holdfast", ["job", "show", "job 1"])
        #expect(story.stdout.contains("next: \(advice)\n"), "\(story.stdout)")
        let doctor = try await line.run("holdfast", ["doctor"])
        #expect(doctor.stdout.contains(advice), "\(doctor.stdout)")
        let night = try await line.run("ledger-reconciler", offset: "+2h")
        #expect(night.stdout.contains("next: \(advice)\n"), "\(night.stdout)")
        let runbook = try String(contentsOf: Self.runbook, encoding: .utf8)
        #expect(runbook.contains("holdfast job link \"$job\" --else-abandon"))
        #expect(!runbook.contains("mark_submitted"))
    }

    private static let runbook = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../runbooks/stuck-jobs.md")

    /// As it stands in the advice, pasted into a shell; the answer is what a person types.
    @Test(arguments: [
        ("task-9\n", "submitted/held", "task task-9 belongs to job job-1 now"),
        ("\n", "abandoned/voided", "job job-1 is abandoned now"),
        ("", "abandoned/voided", "job job-1 is abandoned now"),
    ])
    func `the advice works as pasted`(_ typed: String, _ outcome: String, _ said: String)
        async throws
    {
        let (line, _) = try await scene("job-1")
        let finished = try await line.run(
            "holdfast", ["job", "link", "job-1", "--else-abandon"], input: Array(typed.utf8))
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stdout.contains(said), "\(finished.stdout)")
        #expect(try line.outcome("job-1") == outcome)
        #expect(try line.violations() == [])
    }

    @Test func `without a task and without giving it up link says how to go on`() async throws {
        let (line, _) = try await scene("job-1")
        let finished = try await line.run("holdfast", ["job", "link", "job-1"], input: [])
        #expect(finished.status == 1)
        #expect(finished.stderr.contains("holdfast job link job-1 --else-abandon"))
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
    }

    @Test func `requeue refuses where nobody can be asked, and looks up where somebody can`()
        async throws
    {
        let (line, _) = try await scene("job-1")
        let refused = try await line.run("holdfast", ["job", "requeue", "job-1"])
        #expect(refused.status == 1)
        #expect(
            refused.stderr.contains("next: holdfast job link job-1 --else-abandon"),
            "\(refused.stderr)")
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")

        try line.open("job-2", provider: "kling", endpoint: "text2video", taskID: nil)
        try line.sql("SELECT holdfast.mark_submitting('job-2')")
        for minute in [3, 9, 15] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minute)m")
        }
        #expect(try line.outcome("job-2") == "created/held/blocked=submission_unknown")
        try line.order(
            provider: "kling", endpoint: "text2video", taskID: "task-2", externalID: "job-2")
        let freed = try await line.run("holdfast", ["job", "requeue", "job-2"])
        #expect(freed.status == 0)
        #expect(
            freed.stdout.contains("the next run looks it up at kling by our own id"),
            "\(freed.stdout)")
        _ = try await line.run("stuck-sweeper", offset: "+21m")
        #expect(try line.status("job-2").text("task_id") == "task-2")
    }

    // MARK: Many at once

    @Test func `abandon takes many by filter, shows them first, and leaves the others alone`()
        async throws
    {
        let (line, _) = try await scene("a-1", "a-2", "a-3")
        try line.open("young", taskID: "task-1")
        let filter = [
            "job", "abandon", "--blocked", "submission_unknown", "--provider", "kie",
            "--older-than", "24h", "--reason", "KIE's log has none of them",
        ]
        let early = try await line.report("holdfast", filter)
        #expect(early["counts"] == [:])
        let dry = try await line.report("holdfast", filter + ["--dry-run"], offset: "+25h")
        #expect(dry["dry_run"]?.bool == true)
        #expect(dry["counts"] == ["abandoned": 3])
        #expect(dry["jobs"]?.array?.compactMap { $0["job_id"]?.text } == ["a-1", "a-2", "a-3"])
        #expect(try line.outcome("a-1") == "created/held/blocked=submission_unknown")
        let done = try await line.run("holdfast", filter, offset: "+25h")
        #expect(done.status == 0)
        #expect(done.stdout.contains("3 abandoned"), "\(done.stdout)")
        for id in ["a-1", "a-2", "a-3"] {
            #expect(try line.outcome(id) == "abandoned/voided")
        }
        #expect(try line.outcome("young") == "submitted/held")
        #expect(try line.violations() == [])
    }

    @Test func `abandon goes on behind a job that cannot be abandoned`() async throws {
        let (line, _) = try await scene("a-1", "a-2")
        let many = ["job", "abandon", "a-1", "nobody", "a-2", "--reason", "none there"]
        let report = try await line.report("holdfast", many)
        #expect(report["counts"] == ["abandoned": 2, "refused": 1])
        #expect(report["exit_status"]?.int == 66)
        #expect(
            report["errors"]?.array?.first?["message"]?.text?.contains("no job 'nobody'") == true)
        let again = try await line.report("holdfast", many)
        #expect(again["counts"] == ["refused": 1, "unchanged": 2])
        let nothing = try await line.run(
            "holdfast", ["job", "abandon", "--provider", "kie", "--reason", "x"])
        #expect(nothing.status == 64)
        #expect(nothing.stderr.contains("--blocked"))
    }

    @Test func `link takes many from a file or standard input, line by line`() async throws {
        let (line, _) = try await scene("a-1", "a-2", "a-3")
        let text = """
            # job and task, from the provider's log
            a-1 task-1
            a-2\ttask-1

            a-3
            nobody task-4
            a-3 task-3

            """
        let dry = try await line.run(
            "holdfast", ["job", "link", "--from", "-", "--dry-run", "--output", "json"],
            input: Array(text.utf8))
        let wouldBe = try JSON.parse(dry.stdoutBytes)
        #expect(wouldBe["counts"] == ["linked": 2, "refused": 3])
        #expect(try line.outcome("a-1") == "created/held/blocked=submission_unknown")
        let file = NSTemporaryDirectory() + "links-" + RunID.make()
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let done = try await line.report("holdfast", ["job", "link", "--from", file])
        #expect(done["counts"] == ["linked": 2, "refused": 3])
        #expect(done["exit_status"]?.int == 66)
        #expect(
            done["errors"]?.array?.compactMap { $0["message"]?.text?.prefix(7) }
                == ["line 3:", "line 5:", "line 6:"])
        #expect(try line.status("a-1").text("task_id") == "task-1")
        #expect(try line.status("a-3").text("task_id") == "task-3")
        #expect(try line.outcome("a-2") == "created/held/blocked=submission_unknown")
        let again = try await line.report("holdfast", ["job", "link", "--from", file])
        #expect(again["counts"] == ["refused": 3, "unchanged": 2])
    }

    // MARK: Finding them

    @Test func `the list filters by age, and a mistyped reason names the four`() async throws {
        let (line, _) = try await scene("a-1")
        let young = try await line.report(
            "holdfast", ["job", "list", "--blocked", "--older-than", "24h"])
        #expect(young["jobs"] == [])
        let old = try await line.report(
            "holdfast", ["job", "list", "--blocked=submission_unknown", "--older-than", "24h"],
            offset: "+25h")
        #expect(old["jobs"]?.array?.count == 1)
        let typed = try await line.run("holdfast", ["job", "list", "--blocked", "nonsense"])
        #expect(typed.status == 64)
        for reason in ["brake", "crashed", "submission_unknown", "person"] {
            #expect(typed.stderr.contains(reason), "\(typed.stderr)")
        }
    }

    @Test(arguments: [
        (["statsu"], "status"), (["job", "abandom", "x"], "abandon"), (["jobs"], "job"),
        (["job", "nonsense"], "show"), (["break", "lits"], "list"),
    ])
    func `a mistyped command is told what there is`(_ arguments: [String], _ meant: String)
        async throws
    {
        let finished = try await Executable.run("holdfast", arguments: arguments)
        #expect(finished.status == 64)
        #expect(finished.stderr.contains(meant), "\(finished.stderr)")
        #expect(finished.stderr.contains("commands"), "\(finished.stderr)")
    }
}
