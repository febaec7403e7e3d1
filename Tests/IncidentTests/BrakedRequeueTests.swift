import Core
import Postgres
import TestSupport
import Testing

/// A provider calls everything failed, a brake stops it, and the provider recovers.
@Suite struct BrakedRequeues {
    @Test func `a braked job that is requeued is asked about again, and delivered`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        try line.sql("INSERT INTO holdfast.policy (key, value) VALUES ('brake_jobs', 'account=1')")
        for n in 1...3 {
            try line.open(
                "job-\(n)", account: "anna", taskID: "task-\(n)",
                task: .init([.init(key: "outcome", value: "fail")]))
        }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let braked = try line.sql(
            "SELECT job_id FROM holdfast.job WHERE blocked = 'brake' ORDER BY job_id"
        ).map { try $0.text("job_id") }
        #expect(braked.count == 2)
        for n in 1...3 { try line.change("task-\(n)", ["outcome": "succeed"]) }
        let freed = try await line.run("holdfast", ["job", "requeue"] + braked)
        #expect(freed.status == 0, "\(freed.stderr)")
        #expect(freed.stdout.contains("asks the provider again"), "\(freed.stdout)")
        try await line.minute(offset: "+7m")
        for id in braked { #expect(try line.outcome(id) == "delivered/captured") }
        #expect(try line.violations() == [])
    }
}
