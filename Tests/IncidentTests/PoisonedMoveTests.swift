import Core
import Postgres
import TestSupport
import Testing

/// A job that nobody foresaw stops no run: it is set aside with the reason, and the rest goes on.
@Suite struct PoisonedMoveTests {
    /// Makes what moves the credits of `job-1` fail, as a defect of ours or an odd row would.
    private func line(_ state: String, outcome: String) throws -> RescueLine {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...4 {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: JSONObject([.init(key: "outcome", value: .string(outcome))]))
        }
        try line.sql(
            """
            CREATE FUNCTION holdfast.poison() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'nobody thought of this' USING ERRCODE = '\(raw: state)';
            END $$
            """)
        try line.sql(
            """
            CREATE TRIGGER poisoned BEFORE INSERT ON holdfast.transfer FOR EACH ROW
            WHEN (NEW.job_id = 'job-1') EXECUTE FUNCTION holdfast.poison()
            """)
        return line
    }

    private func heal(_ line: RescueLine) throws {
        try line.sql("DROP TRIGGER poisoned ON holdfast.transfer")
        try line.sql("SELECT holdfast.requeue_job('job-1', 'anna')")
    }

    private func check(_ finished: Finished, _ line: RescueLine, _ state: String) throws {
        #expect(finished.status == 1, "\(finished.stderr)")
        #expect(finished.stderr.contains("job-1") && finished.stderr.contains(state))
        #expect(finished.stderr.contains("holdfast job show job-1"))
        let why = try line.text("SELECT blocked_reason FROM holdfast.job WHERE job_id = 'job-1'")
        #expect(why.contains("nobody thought of this (\(state))"))
    }

    @Test(arguments: ["P0001", "22003", "23514", "42703", "XX000"])
    func `a job whose verdict cannot be written is set aside`(_ state: String) async throws {
        let line = try line(state, outcome: "fail")
        let finished = try await line.run("stuck-sweeper", offset: "+6m")
        try check(finished, line, state)
        #expect(try line.outcome("job-1") == "submitted/held/blocked=person")
        for n in 2...4 { #expect(try line.outcome("job-\(n)") == "failed/voided/provider_failed") }
        let next = try await line.run("stuck-sweeper", offset: "+7m")
        #expect(next.status == 0, "\(next.stderr)")
        try heal(line)
        _ = try await line.run("stuck-sweeper", offset: "+20m")
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
        #expect(try line.violations() == [])
    }

    @Test func `a job that cannot be delivered is set aside, and delivered when it is freed`()
        async throws
    {
        let line = try line("P0001", outcome: "succeed")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try check(try await line.run("storage-mirrorer", offset: "+6m"), line, "P0001")
        #expect(try line.outcome("job-1") == "succeeded/held/blocked=person")
        for n in 2...4 { #expect(try line.outcome("job-\(n)") == "delivered/captured") }
        let next = try await line.run("storage-mirrorer", offset: "+7m")
        #expect(next.status == 0, "\(next.stderr)")
        try heal(line)
        _ = try await line.run("storage-mirrorer", offset: "+8m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.violations() == [])
    }

    @Test func `a released move that cannot be written is set aside`() async throws {
        let line = try line("P0001", outcome: "fail")
        try line.setPolicy("brake_jobs", "account=0,provider=0,total=0")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.sql("SELECT holdfast.release_brakes(NULL, NULL, NULL, 'anna')")
        try check(try await line.run("orphan-recoverer", offset: "+6m"), line, "P0001")
        for n in 2...4 { #expect(try line.outcome("job-\(n)") == "failed/voided/provider_failed") }
    }

    /// Nobody's fault: it is tried again, and nothing is blocked.
    @Test(arguments: ["55P03", "40001"])
    func `what another try may cure blocks nothing`(_ state: String) async throws {
        let line = try line(state, outcome: "fail")
        let finished = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(finished.status == (state == "55P03" ? 0 : 75), "\(finished.stderr)")
        #expect(try line.outcome("job-1") == "submitted/held")
        try line.sql("DROP TRIGGER poisoned ON holdfast.transfer")
        _ = try await line.run("stuck-sweeper", offset: "+12m")
        for n in 1...4 { #expect(try line.outcome("job-\(n)") == "failed/voided/provider_failed") }
    }
}
