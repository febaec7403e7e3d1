import Core
import Postgres
import TestSupport
import Testing

/// Several installations at one account of a provider: policy `strays` says which strays are told.
@Suite struct OwnStrays {
    @Test(arguments: [
        ("report", ["foreign", "own"]), ("ours", ["own"]), ("ignore", []),
    ])
    func `a stray is told by its provider's policy`(_ value: String, _ told: [String]) throws {
        let connection = try ScratchDatabase(RescueLine.template).connect()
        try connection.execute(
            "INSERT INTO holdfast.policy (key, value) VALUES ('strays', \(value))")
        try connection.execute(
            """
            INSERT INTO holdfast.stray_task (provider, task_id, endpoint, state, first_seen_at,
                last_seen_at, is_ours)
            SELECT 'kling', t.id, 'image2video', 'running', now() - interval '1 hour', now(), t.ours
            FROM (VALUES ('own', true), ('foreign', false)) t (id, ours)
            """)
        let found = try connection.query(
            """
            SELECT task_id FROM holdfast.report_strays(\(RunID.make())::uuid, '0'::interval)
            ORDER BY task_id
            """
        ).map { try $0.text("task_id") }
        #expect(found == told)
    }
}
