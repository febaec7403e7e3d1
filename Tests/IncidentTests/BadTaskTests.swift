import Core
import Postgres
import TestSupport
import Testing

/// A few tasks that get no usable answer, at a provider that is well.
@Suite struct BadTasks {
    /// Unreadable with HTTP 200, or an error of the provider for these tasks alone.
    static let troubles: [JSONValue] = [
        ["shape": "html"], ["shape": "unknown_state"], ["server_error_rate": 1],
    ]

    @Test(arguments: troubles)
    func `four bad jobs never open the breaker of a healthy provider`(
        _ trouble: JSONValue
    ) async throws {
        let line = try RescueLine()
        try line.liftRates()
        try line.setPolicy("deadline", "30d")
        // Twice as many as there are bad jobs.
        try line.setPolicy("breaker_failures", "8")
        for n in 1...4 {
            try line.open("bad-\(n)", taskID: "task-bad-\(n)")
            if trouble["shape"] != nil {
                try line.change("task-bad-\(n)", trouble)
            } else {
                try line.fault([
                    "provider": "kie", "task_id": .string("task-bad-\(n)"), "server_error_rate": 1,
                ])
            }
        }
        try line.open(
            "good", taskID: "task-good",
            task: .init([.init(key: "polls_until_done", value: 1000)]))
        // As often as the backoff asks, with a healthy answer now and then.
        for minute in stride(from: 6, through: 46, by: 2) {
            let finished = try await line.run("stuck-sweeper", offset: "+\(minute)m")
            #expect(
                finished.status != 69 || !finished.stderr.contains("left alone"),
                "+\(minute)m \(finished.stderr)")
        }
        #expect(
            try line.value("SELECT openings FROM holdfast.provider WHERE provider = 'kie'") == "0")
        #expect(try line.polls("task-good") >= 6)
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job WHERE blocked IS NOT NULL") == "0")
    }

    @Test func `a breaker that lets go is tried with a task that has not failed before`()
        async throws
    {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...25 {
            try line.open("bad-\(n)", taskID: "task-bad-\(n)")
        }
        try line.fault(["provider": "kie", "server_error_rate": 1])
        let opened = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(opened.status == 69, "\(opened.stderr)")
        try line.fault(["provider": "kie", "clear": true])
        for n in 1...25 {
            try line.fault([
                "provider": "kie", "task_id": .string("task-bad-\(n)"), "server_error_rate": 1,
            ])
        }
        // Due after all of them.
        try line.open("good", taskID: "task-good")
        try line.sql(
            """
            UPDATE holdfast.job SET next_poll_at = now() + CASE job_id
                WHEN 'good' THEN interval '9 minutes' ELSE interval '7 minutes' END
            """)
        _ = try await line.run("stuck-sweeper", ["--limit", "1"], offset: "+10m")
        #expect(try line.outcome("good") == "succeeded/held")
    }

    /// Guard: `note_answers` counts tasks.
    @Test func `one task that fails twenty-five times is one failure, twenty tasks are twenty`()
        throws
    {
        let line = try RescueLine()
        func note(_ tasks: String) throws -> String {
            try line.value(
                """
                SELECT (holdfast.note_answers('11111111-1111-4111-8111-111111111111', 'kie', false, 0,
                    NULL, '0', \(tasks)::text[]) IS NOT NULL)::text
                """)
        }
        for _ in 1...25 { #expect(try note("{task-1}") == "false") }
        for n in 2...19 { #expect(try note("{task-\(n),task-1}") == "false") }
        #expect(try note("{task-20}") == "true")
    }
}
