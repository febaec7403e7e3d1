import Core
import Postgres
import TestSupport
import Testing

/// No amount, however absurd, stops the books.
@Suite struct AbsurdAmountTests {
    @Test func `a day with the largest price that a job may have is sealed`() async throws {
        let scene = try await NightScene(jobs: 20)
        let line = scene.line
        try line.sql(
            """
            SELECT holdfast.grant_credits('whale', 1000000000000000, 'whale ' || n)
            FROM generate_series(1, 9) n
            """)
        for n in 1...9 {
            try line.sql(
                """
                SELECT holdfast.open_job(\("whale-\(n)"), 'whale', 'kie', 'm', 'video',
                    1000000000000000)
                """)
            try line.sql(
                """
                SELECT holdfast.finish_job(\("whale-\(n)"), 'succeeded',
                    ARRAY['https://x.example/1'])
                """)
        }
        // As the mirrorer leaves them, on the day that the night closes.
        try line.sql(
            """
            UPDATE holdfast.asset SET state = 'stored', object_key = job_id, sha256 = 'ab', bytes = 1,
                public_url = 'https://cdn.example/x', stored_at = clock_timestamp()
            WHERE job_id LIKE 'whale%'
            """)
        try line.sql(
            """
            SELECT holdfast.deliver_jobs(array_agg(job_id)) FROM holdfast.job WHERE job_id LIKE 'whale%'
            """)
        #expect(try line.outcome("whale-1") == "delivered/captured")
        for value in ["0.01 USD", "999999999999999 USD"] {
            _ = try await line.run(
                "holdfast", ["policy", "set", "credit_value", value, "--from", "2020-01-01"])
        }
        // The jobs were opened today, which is the day before the first night from now.
        let finished = try await scene.run(night: 1)
        #expect([0, 1].contains(finished.status), "\(finished.stderr)")
        #expect(
            try line.text(
                "SELECT string_agg(DISTINCT state, ' ') FROM holdfast.business_day") == "sealed")
        #expect(
            try line.text(
                """
                SELECT max(earned)::text FROM holdfast.model_day m WHERE m.model = 'm'
                """) == "9000000000000000")
        #expect(
            try line.text(
                """
                SELECT coalesce(max(revenue_micros)::text, 'none') FROM holdfast.model_day m
                WHERE m.model = 'm'
                """) == "none")
    }
}
