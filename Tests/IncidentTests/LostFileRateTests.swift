import Core
import Postgres
import TestSupport
import Testing

/// Many files that are gone at once, at a provider whose rate is soon used up.
@Suite struct LostFileRates {
    static let jobs = 5

    @Test func `files that wait for the provider's rate are no failures, and end in the same run`()
        async throws
    {
        let line = try RescueLine()
        for number in 1...Self.jobs {
            try line.open(
                "job-\(number)", taskID: "task-\(number)",
                task: .init([
                    .init(key: "file_fault", value: "gone"),
                    .init(key: "refreshable", value: false),
                ]))
        }
        try line.liftRates()
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.sql(
            """
            UPDATE holdfast.policy SET value = CASE key WHEN 'rate' THEN '5' ELSE '1' END
            WHERE key IN ('rate', 'rate_burst')
            """)
        let finished = try await line.run("storage-mirrorer", offset: "+6m")
        #expect(finished.status == 1, "\(finished.stderr)")
        for number in 1...Self.jobs {
            #expect(try line.outcome("job-\(number)") == "failed/voided/result_lost")
        }
        #expect(try line.value("SELECT max(attempts) FROM holdfast.asset") == "1")
        #expect(try line.violations() == [])
    }

    @Test func `past the time budget such files are put off`() async throws {
        let line = try RescueLine()
        for number in 1...Self.jobs {
            try line.open(
                "job-\(number)", taskID: "task-\(number)",
                task: .init([
                    .init(key: "file_fault", value: "gone"),
                    .init(key: "refreshable", value: false),
                ]))
        }
        try line.liftRates()
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.sql(
            """
            UPDATE holdfast.policy SET value = CASE key WHEN 'rate' THEN '0.001' ELSE '1' END
            WHERE key IN ('rate', 'rate_burst')
            """)
        let finished = try await line.run(
            "storage-mirrorer", ["--time-budget", "1s"], offset: "+6m")
        #expect([0, 1].contains(finished.status), "\(finished.stderr)")
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.asset
                WHERE state = 'pending' AND error_message LIKE '%rate is used up%'
                    AND lease_until IS NULL
                """) >= "4")
        #expect(try line.violations() == [])
    }
}
