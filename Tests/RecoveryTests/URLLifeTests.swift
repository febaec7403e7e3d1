import Core
import Postgres
import Providers
import TestSupport
import Testing

/// What the database guesses of an address that does not say how long it lives.
@Suite struct URLLives {
    @Test(arguments: ProviderRegistry.names)
    func `the policy that comes with the schema is the registry's`(_ name: String) throws {
        let line = try RescueLine()
        let provider = try #require(try ProviderRegistry { _ in nil }.provider(name))
        let life = try line.sql(
            """
            SELECT extract(epoch FROM holdfast.policy_interval('url_life', \(name)))::bigint AS life
            """
        ).single().int64("life")
        #expect(life == provider.facts.urlLife.components.seconds)
    }

    /// A file of which nothing is known goes before one that lives a day, and after one that does
    /// not live an hour.
    @Test func `a guess orders the work`() throws {
        let line = try RescueLine()
        for (job, provider) in [("a", "kie"), ("b", "fal"), ("c", "kie")] {
            try line.open(job, provider: provider, taskID: "task-\(job)", task: nil)
            try line.sql(
                "SELECT holdfast.finish_job(\(job), 'succeeded', ARRAY['https://a.example/1'])")
        }
        try line.sql(
            """
            UPDATE holdfast.asset SET source_expires_at = now() + interval '5m',
                expires_by = now() + interval '5m' WHERE job_id = 'c'
            """)
        let order = try line.sql(
            """
            SELECT string_agg(job_id, '' ORDER BY n) AS jobs FROM holdfast.due_files(9, '{}', '{}',
                clock_timestamp()) WITH ORDINALITY AS d (job_id, a2, a3, a4, a5, a6, a7, a8, a9, a10,
                a11, a12, a13, a14, a15, a16, a17, a18, a19, n)
            """
        ).single().text("jobs")
        #expect(order == "cba")
    }
}
