import Postgres
import TestSupport
import Testing

/// A verdict that a brake stopped: what throws it away, what applies it, what makes it doubtful.
@Suite struct BrakedVerdicts {
    /// Jobs whose failure a brake stopped.
    private func braked(_ jobs: Int = 3) throws -> Books {
        let books = try Books()
        try books.grant("a", 100_000)
        try books.run(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('brake_jobs', '0'), ('rate', '10000'),
                ('rate_burst', '10000')
            """, role: nil)
        for n in 1...jobs { try books.open("j\(n)", "a", 10, task: "t\(n)") }
        for (id, token) in try books.claim(run: RunIDs.first) {
            let told = try books.move(
                run: RunIDs.first,
                #"{"job_id": "\#(id)", "token": \#(token), "new_state": "failed", "error_code": "provider_failed"}"#
            )
            #expect(told == "braked")
        }
        return books
    }

    private func apply(_ books: Books) throws {
        try books.run(
            """
            SELECT * FROM holdfast.apply_released(\(RunIDs.first)::uuid, 'orphan-recoverer',
                '10 minutes', 100, '{}')
            """, role: nil)
    }

    private func isDue(_ books: Books, _ id: String) throws -> Bool {
        try books.claim(run: RunIDs.second, offset: "10 minutes").keys.contains(id)
    }

    /// Guard: `requeue_job` drops the stopped move.
    @Test func `requeue asks the provider again and forgets the verdict that was stopped`() throws {
        let books = try braked()
        try books.run("SELECT holdfast.requeue_job('j1', 'person:test')", role: nil)
        try apply(books)
        #expect(try books.outcome("j1") == "submitted/held")
        #expect(try isDue(books, "j1"))
        // The brake is not released: the same verdict meets it again.
        let token = try books.text("SELECT lease_token::text FROM holdfast.job WHERE job_id = 'j1'")
        let told = try books.move(
            run: RunIDs.second,
            #"{"job_id": "j1", "token": \#(token), "new_state": "failed", "error_code": "provider_failed"}"#
        )
        #expect(told == "braked")
    }

    @Test func `release-brake applies the verdict`() throws {
        let books = try braked()
        try books.run(
            "SELECT holdfast.release_brakes('j1', NULL, NULL, 'person:test')", role: nil)
        try apply(books)
        #expect(try books.outcome("j1") == "failed/voided")
        #expect(try books.outcome("j2") == "submitted/held")
    }

    /// Guard: `wake_job` marks the stopped move as doubtful.
    @Test func `a callback about a braked job has release ask the provider first`() throws {
        let books = try braked()
        try books.run("SELECT holdfast.wake_job('j1', NULL)", role: nil)
        #expect(
            try books.text("SELECT blocked FROM holdfast.job WHERE job_id = 'j1'") == "brake")
        #expect(
            try books.text("SELECT blocked_reason FROM holdfast.job WHERE job_id = 'j1'")
                .contains("callback"))
        try books.run("SELECT holdfast.release_brakes(NULL, NULL, NULL, 'person:test')", role: nil)
        try apply(books)
        #expect(try books.outcome("j1") == "submitted/held")
        #expect(try books.outcome("j2") == "failed/voided")
        #expect(try isDue(books, "j1"))
    }

    @Test func `brakes are released in pages, in the order of the jobs' ids`() throws {
        let books = try braked(5)
        let page: SQL = "SELECT holdfast.release_brakes(NULL, NULL, 'kie', 'person:test', 2)::text"
        #expect(try books.text(page) == "2")
        #expect(
            try books.text(
                "SELECT string_agg(job_id, ',' ORDER BY job_id) FROM holdfast.job WHERE blocked IS NULL"
            ) == "j1,j2")
        #expect(try books.text(page) == "2")
        #expect(try books.text(page) == "1")
        #expect(try books.text(page) == "0")
    }
}
