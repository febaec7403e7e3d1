import Core
import Postgres
import TestSupport
import Testing

/// Results that are no media: a person is told in time, and of the provider's trouble only once.
@Suite struct RefusedFiles {
    /// A job whose provider says that it succeeded, and sends a page instead of the file.
    private func open(_ line: RescueLine, _ id: String, _ fault: String = "html") throws {
        try line.open(
            id, taskID: "task-\(id)",
            task: .init([.init(key: "file_fault", value: .string(fault))]))
    }

    private func refused() async throws -> RescueLine {
        let line = try RescueLine()
        try open(line, "job-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let early = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(early["exit_status"]?.int == 0, "\(JSON.write(early))")
        #expect(early["outcomes"]?["retry_later"]?.int == 1)
        #expect(try line.outcome("job-1") == "succeeded/held")
        // Within the hour it is asked for again, and nobody is told.
        let again = try await line.report("storage-mirrorer", offset: "+60m")
        #expect(again["exit_status"]?.int == 0, "\(JSON.write(again))")
        return line
    }

    /// Guard: the age of a refusal in `set_refused_aside`.
    @Test func `a file that stays refused becomes a person's`() async throws {
        let line = try await refused()
        let told = try await line.run("storage-mirrorer", offset: "+75m")
        #expect(told.status == 1, "\(told.stderr)")
        #expect(told.stderr.contains("job-1") && told.stderr.contains("an HTML page"))
        #expect(told.stderr.contains("holdfast job refund job-1 --reason TEXT"))
        #expect(try line.outcome("job-1") == "succeeded/held/blocked=person")
        let reason = try line.value("SELECT blocked_reason FROM holdfast.job")
        #expect(reason.contains("an HTML page") && reason.contains("<!DOCTYPE"), "\(reason)")
        // Once, and then it waits for the person.
        let later = try await line.report("storage-mirrorer", offset: "+100m")
        #expect(later["exit_status"]?.int == 0 && later["examined"]?.int == 0)
        let status = try await line.run("holdfast", ["status"], offset: "+100m")
        #expect(status.stdout.contains("refused files"), "\(status.stdout)")
        let doctor = try await line.run("holdfast", ["doctor"], offset: "+100m")
        #expect(doctor.stdout.contains("warn  refused files of kie"), "\(doctor.stdout)")
        let shown = try await line.run("holdfast", ["job", "show", "job-1"], offset: "+100m")
        #expect(
            shown.stdout.contains("next: holdfast job refund job-1 --reason TEXT"),
            "\(shown.stdout)")
        // What came is kept as evidence, as far as the database takes it.
        #expect(
            try line.value(
                """
                SELECT (length(head) = bytes AND sha256 = encode(sha256(head), 'hex')
                    AND type LIKE 'an HTML page%')::text FROM holdfast.refused_file
                """) == "true")
    }

    @Test func `the night names it, with a cause and a command that are right`() async throws {
        let line = try await refused()
        _ = try await line.run("storage-mirrorer", offset: "+75m")
        _ = try await line.run("ledger-reconciler", offset: "+3h")
        let found = try line.sql("SELECT class, cause, fix FROM holdfast.break").map {
            [try $0.text("class"), try $0.text("cause"), try $0.text("fix")]
        }
        #expect(found.map { $0[0] } == ["result-refused"], "\(found)")
        #expect(found.first?[2].contains("holdfast job refund job-1 --reason TEXT") == true)
    }

    /// What is advised gets the job out of its state.
    @Test(arguments: ["refund", "requeue"])
    func `the advice works`(_ advice: String) async throws {
        let line = try await refused()
        _ = try await line.run("storage-mirrorer", offset: "+75m")
        if advice == "refund" {
            let done = try await line.run(
                "holdfast", ["job", "refund", "job-1", "--reason", "no video"], offset: "+80m")
            #expect(done.status == 0, "\(done.stderr)")
            #expect(try line.outcome("job-1") == "failed/voided/result_lost")
            #expect(try line.value("SELECT state FROM holdfast.asset") == "lost")
        } else {
            try line.change("task-job-1", ["file_fault": "none"])
            _ = try await line.run("holdfast", ["job", "requeue", "job-1"], offset: "+80m")
            _ = try await line.run("storage-mirrorer", offset: "+80m")
            #expect(try line.outcome("job-1") == "delivered/captured")
        }
        #expect(try line.violations() == [])
    }

    /// Guard: the three tasks of `set_refused_aside`.
    @Test func `a provider that sends pages to everybody sets no job aside`() async throws {
        let line = try RescueLine()
        for n in 1...3 { try open(line, "job-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        _ = try await line.run("storage-mirrorer", offset: "+6m")
        let report = try await line.report("storage-mirrorer", offset: "+90m")
        #expect(report["outcomes"]?["set_aside"] == nil, "\(JSON.write(report))")
        let said = report["errors"]?.array ?? []
        #expect(said.map { $0["code"]?.text } == ["results_refused"], "\(JSON.write(report))")
        #expect(said.first?["job_id"] == .null || said.first?["job_id"] == nil)
        #expect(report["exit_status"]?.int == 1)
        for n in 1...3 { #expect(try line.outcome("job-\(n)") == "succeeded/held") }

        // One arrives: then it is about the others.
        try line.change("task-job-1", ["file_fault": "none"])
        _ = try await line.run("storage-mirrorer", offset: "+110m")
        _ = try await line.run("storage-mirrorer", offset: "+130m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        for n in 2...3 {
            #expect(try line.outcome("job-\(n)") == "succeeded/held/blocked=person")
        }
    }

    @Test func `an open breaker is not called a rate that is used up`() async throws {
        let line = try RescueLine()
        try open(line, "job-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.sql(
            """
            UPDATE holdfast.provider SET paused_until = now() + interval '11 min'
            WHERE provider = 'kie'
            """)
        _ = try await line.run("storage-mirrorer", offset: "+6m")
        let reason = try line.value("SELECT error_message FROM holdfast.asset")
        #expect(reason.contains("left alone"), "\(reason)")
        #expect(!reason.contains("rate is used up"), "\(reason)")
    }
}
