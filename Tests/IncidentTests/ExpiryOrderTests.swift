import Core
import Postgres
import TestSupport
import Testing

/// A backlog of files, some of which are about to expire: the order decides what is lost.
@Suite struct ExpiryOrder {
    static let jobs = 100
    static let outputs = 10
    /// The last ten jobs, a tenth of the files, expire from the fifth minute on.
    static let hasty = 90..<100
    /// Files that a run may store: the near ones take three of them.
    static let perMinute = 40

    /// The minute in which the provider deletes a job's files, and nobody can refresh them.
    static func expiry(_ job: Int) -> Int? { hasty.contains(job) ? 5 + (job - 90) / 2 : nil }

    @Test
    func `nearest expiry first loses nothing that could be saved, first come first served does`()
        async throws
    {
        let ours = try await lost { job in Self.expiry(job) ?? 1440 }
        // As if all lived as long, so that the oldest goes first.
        let inOrderOfArrival = try await lost { job in 1440 + job }
        #expect(ours == 0)
        #expect(inOrderOfArrival == Self.hasty.count * Self.outputs)
    }

    /// How many files are lost when `expiry` is what is known of each job's files, in minutes.
    private func lost(knowing expiry: (Int) -> Int) async throws -> Int {
        let line = try RescueLine()
        for job in 0..<Self.jobs {
            try line.open(
                "job-\(job)", outputs: Self.outputs, taskID: "task-\(job)",
                task: .init([
                    .init(key: "file_bytes", value: 600), .init(key: "refreshable", value: false),
                ]))
        }
        try line.sql(
            "INSERT INTO holdfast.policy (key, value) VALUES ('rate', '1000'), ('rate_burst', '1000')"
        )
        _ = try await line.run("stuck-sweeper", ["--limit", "1000"], offset: "+6m")
        for job in 0..<Self.jobs {
            try line.sql(
                """
                UPDATE holdfast.asset SET expires_by =
                    now() + make_interval(mins => \(6 + expiry(job))::integer)
                WHERE job_id = \("job-\(job)")
                """)
        }
        for minute in 1...30 {
            for job in Self.hasty where Self.expiry(job) == minute {
                try line.order(
                    taskID: "task-\(job)",
                    .init([
                        .init(key: "file_fault", value: "gone"),
                        .init(key: "refreshable", value: false),
                    ]))
            }
            _ = try await line.run(
                "storage-mirrorer", ["--limit", "\(Self.perMinute)"], offset: "+\(6 + minute)m")
        }
        let ends = try line.sql(
            """
            SELECT count(*) FILTER (WHERE state = 'lost') AS lost,
                count(*) FILTER (WHERE state = 'stored') AS stored FROM holdfast.asset
            """
        ).single()
        #expect(try ends.int("lost") + ends.int("stored") == Self.jobs * Self.outputs)
        return try ends.int("lost")
    }
}
