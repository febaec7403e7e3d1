import Core
import Postgres
import TestSupport
import Testing

/// A callback that nobody foresaw stops neither the inbox nor the jobs behind it.
@Suite struct PoisonedCallbackTests {
    /// A tagged callback about `job-1` with an id of that many bytes, and a plain one about `job-2`.
    private func line(idBytes: Int) throws -> RescueLine {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.open("job-2", taskID: "task-2")
        let incident = Incident4()
        try incident.receive(
            line, #"{"code":200,"data":{"taskId":"\#(String(repeating: "q", count: idBytes))"}}"#,
            query: "job=job-1&tag=\(Incident4.tags["job-1"] ?? "")")
        try incident.receive(
            line, #"{"taskId":"task-2"}"#, query: "job=job-2&tag=\(Incident4.tags["job-2"] ?? "")")
        return line
    }

    @Test(arguments: [499, 500, 501, 505, 512, 513, 4000])
    func `a callback with a long task id stops nothing`(_ bytes: Int) async throws {
        let line = try line(idBytes: bytes)
        for _ in 1...2 {
            let finished = try await line.run(
                "stuck-sweeper", [], offset: nil, Incident4.configured)
            // A job that was called back about without an id waits for a person, and says so.
            #expect([0, 1].contains(finished.status), "\(finished.stderr)")
        }
        #expect(
            try Incident4().inbox(line) == ["matched right job-1", "matched right job-2"])
        #expect(try line.outcome("job-2") == "succeeded/held")
        // An id that no task can have is none; the tag has woken the job all the same.
        #expect(
            try line.text("SELECT count(*)::text FROM holdfast.task WHERE job_id = 'job-1'")
                == (bytes <= 500 ? "1" : "0"))
        #expect(
            try line.text(
                "SELECT (submitting_at IS NOT NULL)::text FROM holdfast.job WHERE job_id = 'job-1'")
                == "true")
    }

    /// Makes every change of `job-1` fail, as a defect of ours or an odd row would.
    private func poison(_ line: RescueLine, _ state: String) throws {
        try line.sql(
            """
            CREATE FUNCTION holdfast.poison() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'nobody thought of this' USING ERRCODE = '\(raw: state)';
            END $$
            """)
        try line.sql(
            """
            CREATE TRIGGER poisoned BEFORE UPDATE ON holdfast.job FOR EACH ROW
            WHEN (NEW.job_id = 'job-1') EXECUTE FUNCTION holdfast.poison()
            """)
    }

    @Test(arguments: ["P0001", "22003", "23514", "42703", "54000", "XX000"])
    func `a callback that the database refuses is set aside, and the others go on`(
        _ state: String
    ) async throws {
        let line = try line(idBytes: 10)
        try poison(line, state)
        let finished = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(finished.status == 1, "\(finished.stderr)")
        let id = try line.text("SELECT min(callback_id)::text FROM holdfast.callback")
        #expect(finished.stderr.contains("holdfast callback show \(id)"), "\(finished.stderr)")
        #expect(finished.stderr.contains(state))
        #expect(try Incident4().inbox(line) == ["unmatched right", "matched right job-2"])
        #expect(
            try line.text("SELECT note FROM holdfast.callback ORDER BY callback_id LIMIT 1")
                .contains("nobody thought of this (\(state))"))
        #expect(try line.outcome("job-2") == "succeeded/held")
        // Told once; and read again when a person asks, after whatever was wrong has gone.
        let second = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(second.status == 0, "\(second.stderr)")
        try line.sql("DROP TRIGGER poisoned ON holdfast.job")
        #expect(try await line.run("holdfast", ["callback", "replay", id]).status == 0)
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(try Incident4().inbox(line)[0] == "matched right job-1")
    }

    /// A lock, a deadlock or a lost race is no fault of the callback.
    @Test(arguments: ["40001", "40P01", "55P03"])
    func `what another try may cure leaves the inbox as it was`(_ state: String) async throws {
        let line = try line(idBytes: 10)
        try poison(line, state)
        let finished = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(finished.status == 75, "\(finished.stderr)")
        #expect(try Incident4().inbox(line) == ["waiting", "waiting"])
        try line.sql("DROP TRIGGER poisoned ON holdfast.job")
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(
            try Incident4().inbox(line) == ["matched right job-1", "matched right job-2"])
    }
}
