import Core
import Postgres
import TestSupport
import Testing

/// A file whose step the database refuses is set aside with the reason, and the other files of the run
/// are stored.
@Suite struct UnwritableFiles {
    /// The steps of `job-1`'s file that a table of ours refuses, as a defect of ours or an odd row would.
    enum Refused: String, CaseIterable {
        case stored = "NEW.state = 'stored'"
        case begun = "NEW.object_key IS NOT NULL AND NEW.state = 'pending'"
    }

    private func line(_ refused: Refused) async throws -> RescueLine {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...4 { try line.open("job-\(n)", taskID: "task-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.sql(
            """
            CREATE FUNCTION holdfast.poison() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'nobody thought of this'; END $$
            """)
        try line.sql(
            """
            CREATE TRIGGER poisoned BEFORE UPDATE ON holdfast.asset FOR EACH ROW
            WHEN (NEW.job_id = 'job-1' AND \(raw: refused.rawValue)) EXECUTE FUNCTION holdfast.poison()
            """)
        return line
    }

    @Test(arguments: Refused.allCases)
    func `the others are stored, and it waits for a person`(_ refused: Refused) async throws {
        let line = try await line(refused)
        let finished = try await line.run("storage-mirrorer", offset: "+6m")
        #expect(finished.status == 1, "\(finished.stderr)")
        #expect(finished.stderr.contains("job-1"), "\(finished.stderr)")
        #expect(finished.stderr.contains("nobody thought of this"), "\(finished.stderr)")
        for n in 2...4 { #expect(try line.outcome("job-\(n)") == "delivered/captured") }
        #expect(try line.outcome("job-1") == "succeeded/held/blocked=person")
        let next = try await line.run("storage-mirrorer", offset: "+7m")
        #expect(next.status == 0, "\(next.stderr)")
        try line.sql("DROP TRIGGER poisoned ON holdfast.asset")
        try line.sql("SELECT holdfast.requeue_job('job-1', 'anna')")
        _ = try await line.run("storage-mirrorer", offset: "+8m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.violations() == [])
    }
}
