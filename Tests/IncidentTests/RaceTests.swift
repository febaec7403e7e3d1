import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Ten thousand jobs, and five at once who each want to end them.
@Suite(.serialized) struct Races {
    static let jobs = 10_000

    @Test(.timeLimit(.minutes(5)))
    func `five at once over ten thousand jobs resolve each hold once`() async throws {
        let chance = SeededGenerator()
        print("races: \(chance)")
        let line = try RescueLine()
        try fill(line)

        async let swept = line.report("stuck-sweeper", ["--concurrency", "128"], offset: "+6m")
        async let recovered = line.report(
            "orphan-recoverer", ["--concurrency", "128"], offset: "+6m")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (offset, deed) in Self.deeds.enumerated() {
                let seed = chance.seed &+ UInt64(offset)
                group.addTask { try Self.doAll(deed, line, seed) }
            }
            try await group.waitForAll()
        }
        let reports = try await [swept, recovered]
        for report in reports {
            #expect(report["exit_status"]?.int == 0, "\(JSON.write(report)) \(chance)")
        }
        // What a late callback woke, and what lost to somebody else's lease, is looked at again.
        for minute in [12, 18] {
            _ = try await line.run(
                "stuck-sweeper", ["--concurrency", "128"], offset: "+\(minute)m")
            _ = try await line.run(
                "orphan-recoverer", ["--concurrency", "128"], offset: "+\(minute)m")
        }
        try check(line, "\(chance)")
    }

    /// Statements over a random tenth of the jobs each; `$1` is the job, `$2` its task.
    static let deeds = [
        "SELECT holdfast.finish_job($1, 'failed', '{}', 'the application gave up')",
        "SELECT holdfast.return_credits($1, 'the customer asked')",
        "SELECT holdfast.dismiss_job($1, 'a phantom')",
        """
        SELECT holdfast.record_callback('kie', '{}', '',
            convert_to('{"data": {"taskId": "' || $2 || '"}}', 'UTF8'))
        """,
    ]

    /// Jobs of which the provider failed half, every fourth timed out for the application.
    private func fill(_ line: RescueLine) throws {
        try line.sql(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('rate', '100000'),
                ('rate_burst', '100000'), ('brake_jobs', 'off'), ('breaker_failures', '1000000')
            """)
        var orders: [JSONValue] = []
        for n in 1...Self.jobs {
            orders.append([
                "provider": "kie", "endpoint": "market", "task_id": .string("t\(n)"),
                "outcome": n.isMultiple(of: 2) ? "fail" : "succeed", "file_bytes": 600,
            ])
        }
        _ = try line.simulator.post("/control/tasks", json: .array(orders))
        let connection = try line.database.connect(statementTimeout: .seconds(120))
        try connection.execute(
            """
            SELECT count(holdfast.grant_credits('a' || n, 100000, 'grant ' || n))
            FROM generate_series(0, 99) n
            """)
        try connection.execute(
            """
            SELECT count(holdfast.open_job('j' || n, 'a' || n % 100, 'kie', 'm', 'video', 10, NULL,
                1, 'market'))
            FROM generate_series(1, \(Self.jobs)::integer) n
            """)
        try connection.execute(
            """
            SELECT count(holdfast.mark_submitted('j' || n, 't' || n)::text)
            FROM generate_series(1, \(Self.jobs)::integer) n
            """)
        try connection.execute(
            """
            SELECT count(holdfast.mark_timed_out('j' || n)::text)
            FROM generate_series(4, \(Self.jobs)::integer, 4) n
            """)
    }

    private static func doAll(_ deed: String, _ line: RescueLine, _ seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        let connection = try line.database.connect()
        for _ in 0..<(jobs / 10) {
            let n = Int.random(in: 1...jobs, using: &chance)
            let statement = deed.replacingOccurrences(of: "$1", with: "'j\(n)'")
                .replacingOccurrences(of: "$2", with: "'t\(n)'")
            try connection.execute(SQL(raw: statement))
        }
    }

    private func check(_ line: RescueLine, _ seed: String) throws {
        let violations = try line.sql(
            "SELECT invariant, subject, detail FROM holdfast.check_invariants('', 1000)"
        ).map { "\(try $0.text("invariant")) \(try $0.text("subject")) \(try $0.text("detail"))" }
        #expect(violations == [], "\(seed)")
        let states = try line.sql(
            """
            SELECT state, credit_state, count(*)::integer AS number FROM holdfast.job
            GROUP BY 1, 2 ORDER BY 1, 2
            """
        ).map { "\(try $0.text("state"))/\(try $0.text("credit_state")) \(try $0.int("number"))" }
        // Nobody is left in flight: half failed, half wait for their files, whoever ended them.
        let open = states.filter { state in
            ["created", "submitted", "running", "timed_out"].contains { state.hasPrefix($0 + "/") }
        }
        #expect(open == [], "\(states) \(seed)")
        let resolutions = try line.sql(
            """
            SELECT count(*)::integer AS number FROM (
                SELECT job_id FROM holdfast.transfer WHERE kind IN ('capture', 'void')
                GROUP BY job_id HAVING count(*) > 1) twice
            """
        ).single().int("number")
        #expect(resolutions == 0, "\(seed)")
    }
}
