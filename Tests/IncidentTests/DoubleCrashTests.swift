import Core
import Postgres
import TestSupport
import Testing

/// A host that dies twice with its hands full.
@Suite struct DoubleCrashes {
    @Test func `sixty jobs under way when a host died twice are all asked in the next run`()
        async throws
    {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...60 { try line.open("job-\(n)", taskID: "task-\(n)") }
        // What two kills leave: both claims count, and the leases are over.
        try line.sql("UPDATE holdfast.job SET claims = 2")
        let report = try await line.report("stuck-sweeper", offset: "+6m")
        #expect(report["outcomes"]?["succeeded"]?.int == 60, "\(JSON.write(report))")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job WHERE blocked IS NOT NULL") == "0")
        #expect(try line.value("SELECT max(claims) FROM holdfast.job") == "0")
    }
}
