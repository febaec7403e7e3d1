import Core
import Postgres
import TestSupport
import Testing

/// A file that no run survives, such as one that takes all memory, among files that are well.
@Suite struct PoisonedFiles {
    static let jobs = 8
    static let poisoned = "job-3"

    /// Guard: suspects are claimed alone, in `claim_files`.
    @Test func `a file that kills its runs is set aside alone`() async throws {
        let line = try RescueLine()
        for number in 0..<Self.jobs {
            try line.open(
                "job-\(number)", taskID: "task-job-\(number)",
                task: .init([.init(key: "file_bytes", value: 600)]))
        }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        // Two runs have died already, each with all of these files in its hands.
        try line.sql("UPDATE holdfast.asset SET claims = 2")
        try line.sql(
            """
            UPDATE holdfast.asset SET expires_by = now() + interval '10 minutes'
            WHERE job_id = \(Self.poisoned)
            """)
        try line.change("task-\(Self.poisoned)", ["file_fault": "hang"])
        try await line.crash("storage-mirrorer", offset: "+6m", when: "it is at the file") {
            try line.asked("files", "task-\(Self.poisoned)/0") > 0
        }

        let clean = try await line.run("storage-mirrorer", offset: "+16m")
        #expect(clean.status == 1, "\(clean.stderr)")
        #expect(clean.stderr.contains("set aside"), "\(clean.stderr)")
        for number in 0..<Self.jobs where "job-\(number)" != Self.poisoned {
            #expect(try line.outcome("job-\(number)") == "delivered/captured")
        }
        #expect(try line.outcome(Self.poisoned) == "succeeded/held/blocked=crashed")
        #expect(try line.asked("files", "task-\(Self.poisoned)/0") == 1)

        // What was wrong with it is over, and a person says so.
        try line.change("task-\(Self.poisoned)", ["file_fault": "none"])
        _ = try await line.run("holdfast", ["job", "requeue", Self.poisoned], offset: "+17m")
        _ = try await line.run("storage-mirrorer", offset: "+17m")
        #expect(try line.outcome(Self.poisoned) == "delivered/captured")
        #expect(try line.violations() == [])
    }
}
