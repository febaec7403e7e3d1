import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// Blocked start-up and endless polling.
extension Incident4 {
    static let minutely = ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"]

    // MARK: I-4e

    @Test(arguments: minutely)
    func `I-4e a run with nothing to do ends silently`(_ name: String) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let finished = try await line.run(name)
        #expect(finished.status == 0)
        #expect(finished.stdout + finished.stderr == "")
        #expect(
            try line.text(
                "SELECT command || ' ' || exit_status || ' ' || examined FROM holdfast.run")
                == "\(name) 0 0")
        #expect(try line.simulator.get("/control/counts")["requests"] == [:])
    }

    /// The others end while the first still waits for its answer.
    @Test(arguments: minutely)
    func `I-4e a run that finds everything leased ends silently`(_ name: String) async throws {
        let line = try RescueLine()
        try line.setPolicy("max_runs", "20")
        try line.open("job-1", taskID: "task-1")
        var area = "kie"
        switch name {
        case "orphan-recoverer": try line.sql("SELECT holdfast.mark_timed_out('job-1')")
        case "storage-mirrorer":
            _ = try await line.run("stuck-sweeper", offset: "+6m")
            area = "files"
        default: break
        }
        let asked = try line.count("requests", area)
        try line.bePatient()
        try line.fault(["provider": .string(area), "delay_ms": 100_000])
        let first = try line.begin(name, offset: "+6m")
        try await line.waitUntil("it asks") { try line.count("requests", area) == asked + 1 }
        for finished in try await line.atOnce(5, name, offset: "+6m") {
            #expect(finished.status == 0)
            #expect(finished.stdout + finished.stderr == "")
        }
        #expect(try line.count("requests", area) == asked + 1)
        // One that is stopped gives its lease back, and the next one does the work at once.
        first.kill(SIGTERM)
        #expect(await first.wait().status == 143)
        try line.heal(area)
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
    }

    /// As many copies as `max_runs` allows are at work: one more leaves.
    @Test func `I-4e a run without a place ends silently`() async throws {
        let line = try RescueLine()
        for n in 1...3 { try line.open("job-\(n)", taskID: "task-\(n)") }
        try line.bePatient()
        try line.fault(["provider": "kie", "delay_ms": 100_000])
        var held: [RunningProcess] = []
        for n in 1...2 {
            held.append(try line.begin("stuck-sweeper", ["--job", "job-\(n)"], offset: "+6m"))
        }
        try await line.waitUntil("both ask") { try line.count("requests", "kie") == 2 }
        let third = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(third.status == 0)
        #expect(third.stdout + third.stderr == "")
        #expect(try line.count("requests", "kie") == 2)
        for process in held { process.kill(SIGTERM) }
        for process in held { #expect(await process.wait().status == 143) }
    }

    /// Runs an executable that must not take as long as a statement may wait.
    private func runBriefly(_ line: RescueLine, _ name: String, offset: String? = "+6m")
        async throws
        -> Finished
    {
        try await Executable.run(
            name, environment: line.environment(offset: offset), timeout: .seconds(20))
    }

    /// Somebody's transaction holds what a run would like to have.
    @Test(arguments: minutely, ["job", "asset", "run_slot", "callback"])
    func `I-4e no run waits for a row that somebody has locked`(
        _ name: String, _ table: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.open("job-2", taskID: "task-2")
        try line.sql("SELECT holdfast.mark_timed_out('job-2')")
        try line.open("job-3", taskID: "task-3")
        _ = try await line.run("stuck-sweeper", ["--job", "job-3"])
        try receive(line, #"{"taskId":"task-1"}"#)
        // So that there are places to lock.
        for name in Self.minutely { _ = try await line.run(name, ["--job", "job-0"]) }

        let holder = try line.database.connect()
        try holder.execute("BEGIN")
        try holder.execute("SELECT 1 FROM holdfast.\(raw: table) FOR UPDATE")
        let finished = try await runBriefly(line, name)
        #expect(!finished.isOverdue, "\(finished.stderr)")
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stderr == "")
        try holder.execute("ROLLBACK")

        for offset in ["+6m", "+7m"] { try await line.minute(offset: offset) }
        for n in 1...3 { #expect(try line.outcome("job-\(n)") == "delivered/captured") }
        #expect(try line.violations() == [])
    }

    /// A storm about a job that somebody has locked holds up no other callback.
    @Test func `I-4e a callback about a locked job waits in the inbox, and the others do not`()
        async throws
    {
        let line = try RescueLine()
        for n in 1...2 { try line.open("job-\(n)", taskID: "task-\(n)") }
        for n in 1...2 { try receive(line, #"{"taskId":"task-\#(n)"}"#) }
        let holder = try line.database.connect()
        try holder.execute("BEGIN")
        try holder.execute("SELECT holdfast.heartbeat('job-1', 'generate:poll')")
        let finished = try await runBriefly(line, "stuck-sweeper", offset: nil)
        #expect(!finished.isOverdue)
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(try inbox(line) == ["waiting", "matched not_checked job-2"])
        #expect(try line.outcome("job-2") == "succeeded/held")
        try holder.execute("COMMIT")
        try await line.minute()
        #expect(try inbox(line)[0] == "matched not_checked job-1")
        #expect(try line.polls("task-1") == 1)
        #expect(try line.outcome("job-1") == "delivered/captured")
    }

    // MARK: I-4f

    /// What the application or a person does meanwhile, and how the job is left.
    static let ends: [(String, String, [String])] = [
        (
            "finish_job('job-1', 'failed', '{}', 'seen elsewhere')",
            "failed/voided/application", ["hold 100", "void 100"]
        ),
        (
            "finish_job('job-1', 'succeeded', ARRAY['https://cdn.example.com/own.mp4'])",
            "succeeded/held", ["hold 100"]
        ),
        ("dismiss_job('job-1', 'a phantom')", "dismissed/voided", ["hold 100", "void 100"]),
    ]

    @Test(arguments: ends)
    func `I-4f a job that was finished meanwhile is not asked about`(
        _ end: String, _ outcome: String, _ transfers: [String]
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.sql("SELECT holdfast.\(raw: end)")
        for arguments in [[], ["--job", "job-1"]] {
            for name in ["stuck-sweeper", "orphan-recoverer"] {
                let finished = try await line.run(name, arguments, offset: "+6m")
                #expect(finished.status == 0)
                #expect(finished.stdout + finished.stderr == "")
            }
        }
        #expect(try line.polls("task-1") == 0)
        #expect(try line.outcome("job-1") == outcome)
        #expect(try line.transfers("job-1") == transfers)
    }

    /// The answer says the opposite of what the job became while it was on its way.
    @Test(arguments: ends, ["succeed", "fail"])
    func `I-4f an answer that comes after the end changes nothing`(
        _ end: (String, String, [String]), _ answer: String
    ) async throws {
        var settled: [String] = []
        let (line, finished) = try await meanwhile("kie", offset: "+6m") {
            let line = try RescueLine()
            try line.open(
                "job-1", taskID: "task-1",
                task: JSONObject([.init(key: "outcome", value: .string(answer))]))
            return line
        } deed: { line in
            try line.sql("SELECT holdfast.\(raw: end.0)")
            settled = try everything(line)
        }
        #expect(finished.status == 0)
        let report = try JSON.parse(finished.stdoutBytes)
        #expect(report["outcomes"] == ["finished_meanwhile": 1])
        #expect(report["credits"] == [:])
        #expect(try everything(line) == settled)
        #expect(try line.outcome("job-1") == end.1)
        #expect(try line.transfers("job-1") == end.2)
        #expect(try line.violations() == [])
        // What was learned is kept all the same.
        #expect(
            try line.text("SELECT state FROM holdfast.observation")
                == (answer == "fail" ? "failed" : "succeeded"))
    }

    /// The job's row, its files, its money and its story.
    private func everything(_ line: RescueLine) throws -> [String] {
        try ["job", "asset", "transfer", "job_event"].map { table in
            try line.text(
                "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM holdfast.\(raw: table) t")
        }
    }

    /// The credits were given back by the application while the answer was on its way: the job is
    /// still ours to finish, and the money moves by the rule for late successes.
    @Test func `I-4f credits returned meanwhile are not captured`() async throws {
        let (line, finished) = try await meanwhile("kie", offset: "+6m") {
            let line = try RescueLine()
            try line.open("job-1", taskID: "task-1")
            return line
        } deed: { line in
            try line.sql("SELECT holdfast.return_credits('job-1', 'the customer asked')")
        }
        #expect(finished.status == 0)
        try await line.minute(offset: "+7m")
        #expect(try line.outcome("job-1") == "delivered/late_charged")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100", "charge 100"])
        #expect(try line.violations() == [])
    }
}
