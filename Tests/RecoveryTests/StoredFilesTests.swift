import Core
import Jobs
import Postgres
import TestSupport
import Testing

/// Which stored files a verification looks at.
@Suite struct StoredFilesTests {
    private let database: ScratchDatabase

    /// 3000 stored files and 1000 others, over many pages of the table.
    init() throws {
        database = try ScratchDatabase(RescueLine.template)
        let connection = try database.connect()
        try connection.execute("SELECT holdfast.grant_credits('a', 100, 'r')")
        try connection.execute(
            "SELECT holdfast.open_job('job-1', 'a', 'kie', 'm', 'video', 10)")
        try connection.execute(
            """
            INSERT INTO holdfast.asset (job_id, ordinal, provider, state, source_url, object_key,
                sha256, bytes, public_url, next_attempt_at, created_at, stored_at, expires_by)
            SELECT 'job-1', n, 'kie', CASE WHEN n <= 3000 THEN 'stored' ELSE 'pending' END,
                repeat('x', 200), 'a/video/job-1_' || n || '.mp4', repeat('0', 64), n, '', now(),
                now(), now() - (n / 100) * interval '1 microsecond', now()
            FROM generate_series(1, 4000) n
            """)
        try connection.execute("ANALYZE holdfast.asset")
    }

    @Test(arguments: [(3000, 3000, false), (2999, 4000, true)])
    func `they are counted up to a limit, and estimated beyond`(
        _ limit: Int, _ files: Int64, _ isEstimated: Bool
    ) throws {
        let count = try StoredFiles(countLimit: limit).count(database.connect())
        #expect(count.files == files && count.isEstimated == isEstimated)
    }

    @Test(arguments: [1, 20, 2999, 3000, 5000], [10, 1_000_000])
    func `a sample has as many as were asked for, each once`(_ most: Int, _ limit: Int) throws {
        let connection = try database.connect()
        let files = StoredFiles(countLimit: limit)
        let (one, other) = (
            try files.sample(connection, most), try files.sample(connection, most)
        )
        #expect(one.count == min(most, 3000))
        #expect(Set(one.map(\.ordinal)).count == one.count)
        #expect(one.allSatisfy { $0.bytes == Int64($0.ordinal) && $0.ordinal <= 3000 })
        if most == 20 { #expect(one.map(\.ordinal) != other.map(\.ordinal)) }
    }

    /// Many of them were stored in one instant, and an instant is exact to the microsecond.
    @Test func `pages have every file once, and none that is stored later`() throws {
        let connection = try database.connect()
        let files = StoredFiles()
        let end = try #require(try files.newest(connection))
        try connection.execute(
            """
            UPDATE holdfast.asset SET stored_at = now() + interval '1 second'
            WHERE ordinal % 100 = 7 AND state = 'stored'
            """)
        var seen: [Int] = []
        var last: StoredFile?
        while true {
            let page = try files.page(connection, after: last, upTo: end)
            if page.isEmpty { break }
            #expect(page.count <= 500)
            seen += page.map(\.ordinal)
            last = page.last
        }
        #expect(seen.count == 2970 && Set(seen).count == 2970)
        #expect(!seen.contains { $0 % 100 == 7 })
    }
}
