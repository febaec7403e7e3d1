import Postgres
import TestSupport
import Testing

/// What the database itself refuses while it may have lost commits about a job, whatever a program does.
@Suite struct RewindHolds {
    /// Holds a job back, as a run does that has noticed a loss.
    private func hold(_ books: Books, _ id: String) throws {
        try books.run(
            """
            WITH r AS (INSERT INTO holdfast.rewind (noticed_at, sign, message, gap_from, gap_until,
                    lost_from, lost_to, filled_at)
                VALUES (now() + interval '30 hours', 'mark', 'm', now(), now(), 0, -1, now())
                RETURNING rewind_id)
            INSERT INTO holdfast.rewind_job (rewind_id, job_id, held_at)
            SELECT rewind_id, \(id), now() FROM r
            """, role: nil)
    }

    /// Guard: the condition of `judge_move` on jobs that are held back.
    @Test(arguments: [
        (#""new_state": "abandoned", "answer": "healthy""#, "postponed"),
        (
            #""new_state": "succeeded", "answer": "healthy", "result_urls": ["https://x.example/1"]"#,
            "go"
        ),
        (#""new_state": "failed", "error_code": "provider_failed", "answer": "healthy""#, "go"),
    ])
    func `a watch does not end in a void, and a healthy answer settles`(
        _ members: String, _ outcome: String
    ) throws {
        let books = try Books()
        try books.grant("a", 300)
        try books.open("job-7", "a", 100, task: "task-7")
        try books.run("SELECT holdfast.mark_timed_out('job-7')")
        try hold(books, "job-7")
        let token = try #require(
            try books.claim(run: RunIDs.first, pass: "orphan-recoverer", offset: "30 hours")[
                "job-7"])
        let moved = try books.move(
            run: RunIDs.first, pass: "orphan-recoverer", offset: "30 hours",
            #"{"job_id": "job-7", "token": \#(token), \#(members)}"#)
        #expect(moved == outcome)
        // Whatever came of the job, it is not held any more once it has an end.
        #expect(
            try books.text("SELECT count(*) FROM holdfast.rewind_job WHERE let_go_at IS NULL")
                == (outcome == "go" ? "0" : "1"))
    }

    /// Guards: `count_retrigger`, and the same condition of `judge_move`.
    @Test func `nothing is sent again, and nothing was never submitted`() throws {
        let books = try Books()
        try books.grant("a", 300)
        try books.open("job-7", "a", 100, task: nil)
        try hold(books, "job-7")
        let token = try #require(
            try books.claim(run: RunIDs.first, pass: "stuck-sweeper", offset: "30 hours")["job-7"])
        let tries = try books.text(
            """
            SELECT coalesce(holdfast.count_retrigger(\(RunIDs.first)::uuid, 'job-7',
                \(token)::bigint, 0, interval '30 hours')::text, 'none')
            """)
        #expect(tries == "none")
        let moved = try books.move(
            run: RunIDs.first, pass: "stuck-sweeper", offset: "30 hours",
            #"{"job_id": "job-7", "token": \#(token), "new_state": "failed", "#
                + #""error_code": "never_submitted"}"#)
        #expect(moved == "postponed")
        #expect(try books.outcome("job-7") == "created/held")
    }
}
