import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// Files of a job that a person or the application has closed: nobody is to store them any more.
@Suite struct DroppedFiles {
    /// Guard: the trigger `job_drops_files`.
    @Test(arguments: ["application", "person"])
    func `files of a dismissed job end with it`(_ who: String) async throws {
        let line = try RescueLine()
        try line.open("job-1", outputs: 2, taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(try line.outcome("job-1") == "succeeded/held")
        if who == "application" {
            try line.sql("SELECT holdfast.dismiss_job('job-1', 'not wanted')")
        } else {
            let said = try await line.run(
                "holdfast", ["job", "dismiss", "job-1", "--reason", "not wanted"])
            #expect(said.status == 0, "\(said.stderr)")
        }
        #expect(try line.outcome("job-1") == "dismissed/voided")
        #expect(
            try line.value("SELECT string_agg(state, ',') FROM holdfast.asset")
                == "dropped,dropped")

        // A later minute has nothing to do, and nobody is told of files that wait.
        let report = try await line.report("storage-mirrorer", offset: "+7m")
        #expect(report["examined"]?.int == 0)
        #expect(
            try line.value(
                """
                SELECT b.work FROM holdfast.begin_run('11111111-1111-4111-8111-111111111111',
                    'storage-mirrorer', 'host', 1, '1', '365 days') b
                """) == "f")
        let status = try await line.report("holdfast", ["status"])
        #expect(status["files_pending"]?.int == 0)
        let list = try await line.run("holdfast", ["asset", "list", "--job", "job-1"])
        #expect(list.stdout.contains("dropped"), "\(list.stdout)")
        let shown = try await line.run("holdfast", ["job", "show", "job-1"])
        #expect(shown.stdout.contains("dropped"), "\(shown.stdout)")
        #expect(try line.violations() == [])
    }

    /// A run that has such a file in its hands stores nothing for a job that is closed.
    @Test func `a file under way when its job is dismissed is let go`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "file_fault", value: "hang")]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let running = try line.begin("storage-mirrorer", ["--time-budget", "1s"], offset: "+6m")
        try line.until("it is at the file") { try line.asked("files", "task-1/0") > 0 }
        try line.sql("SELECT holdfast.dismiss_job('job-1', 'not wanted')")
        try line.change("task-1", ["file_fault": "none"])
        running.kill(SIGTERM)
        _ = await running.wait()
        #expect(try line.outcome("job-1") == "dismissed/voided")
        #expect(
            try line.value("SELECT state || coalesce(lease_owner::text, '') FROM holdfast.asset")
                == "dropped")
        #expect(line.storedFiles() == [])
    }
}
