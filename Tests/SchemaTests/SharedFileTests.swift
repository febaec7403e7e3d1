import Postgres
import TestSupport
import Testing

/// What several tasks have in common that should have nothing: an address, or the bytes behind it.
@Suite struct SharedFileTests {
    /// A delivered job with one file of its own task.
    private func deliver(
        _ books: Books, _ id: String, url: String, sha256: String, provider: String = "kie",
        isUnnamed: Bool = false, storedAgo: String = "1 hour"
    ) throws {
        try books.grant("a", 10)
        try books.open(id, "a", 10, provider: provider, task: "task-\(id)")
        try books.run("SELECT holdfast.finish_job(\(id), 'succeeded', ARRAY[\(url)])")
        try books.run(
            "UPDATE holdfast.task SET is_unnamed = \(isUnnamed) WHERE job_id = \(id)", role: nil)
        try books.run(
            """
            SELECT holdfast.claim_files(
                \(RunIDs.first)::uuid, 10, 10, false, ARRAY[\(id)], '{}', '0'::interval)
            """, role: nil)
        try books.run(
            """
            SELECT holdfast.record_files(\(RunIDs.first)::uuid, '0'::interval, jsonb_build_array(
                jsonb_build_object('job_id', \(id)::text, 'ordinal', 0, 'token', 1,
                    'step', 'stored', 'object_key', \(id)::text, 'sha256', \(sha256)::text,
                    'bytes', 1, 'public_url', 'https://cdn.example/x')))
            """, role: nil)
        try books.run(
            """
            UPDATE holdfast.asset SET stored_at = clock_timestamp() - \(storedAgo)::interval
            WHERE job_id = \(id)
            """, role: nil)
        #expect(try books.outcome(id) == "delivered/captured")
    }

    private func findings(_ books: Books) throws -> String {
        try books.text(
            """
            SELECT coalesce(string_agg(class || ' ' || subject, ', ' ORDER BY class, subject), '')
            FROM holdfast.finding
            """)
    }

    @Test func `the same address for two tasks of a provider is a break of each`() throws {
        let books = try Books()
        try deliver(books, "j1", url: "https://x.example/same", sha256: "1")
        try deliver(books, "j2", url: "https://x.example/same", sha256: "2")
        try deliver(books, "j3", url: "https://x.example/other", sha256: "3")
        #expect(try findings(books) == "shared-address j1/0, shared-address j2/0")
        let detail = try books.text(
            "SELECT string_agg(detail, ' ') FROM holdfast.finding WHERE subject = 'j1/0'")
        #expect(detail.contains("j2"), "\(detail)")
        // A person has looked, and given the credits back.
        try books.run("SELECT holdfast.return_credits('j1', 'wrong file')")
        #expect(try findings(books) == "shared-address j2/0")
    }

    @Test func `another provider's, or another file of the same task, is none`() throws {
        let books = try Books()
        try deliver(books, "j1", url: "https://x.example/same", sha256: "1")
        try deliver(books, "j2", url: "https://x.example/same", sha256: "2", provider: "kling")
        try books.grant("a", 10)
        try books.open("j3", "a", 10, outputs: 2, task: "t3")
        try books.run(
            "SELECT holdfast.finish_job('j3', 'succeeded', ARRAY['https://y.example/1', 'https://y.example/1'])"
        )
        #expect(try findings(books) == "")
    }

    @Test func `the same bytes are a break from the fifth job within a day on, one with a count`()
        throws
    {
        let books = try Books()
        let sha256 = String(repeating: "ab", count: 32)
        for n in 1...4 {
            try deliver(books, "j\(n)", url: "https://x.example/\(n)", sha256: sha256)
        }
        try deliver(
            books, "j0", url: "https://x.example/0", sha256: sha256, storedAgo: "26 hours")
        #expect(try findings(books) == "")
        try deliver(books, "j5", url: "https://x.example/5", sha256: sha256)
        #expect(try findings(books) == "shared-content kie/\(sha256)")
        #expect(
            try books.text("SELECT detail FROM holdfast.finding").contains("6 jobs"))
    }

    @Test func `of an answer that named no task, the second is enough`() throws {
        let books = try Books()
        try deliver(books, "j1", url: "https://x.example/1", sha256: "ab")
        try deliver(books, "j2", url: "https://x.example/2", sha256: "ab", isUnnamed: true)
        #expect(try findings(books) == "shared-content kie/ab")
    }

    /// What the programs write down of it.
    @Test func `a move says whether the answer named the task`() throws {
        let books = try Books()
        try books.grant("a", 10)
        try books.open("j", "a", 10, task: "t")
        let tokens = try books.claim(run: RunIDs.first)
        let move =
            #"{"job_id":"j","token":\#(tokens["j"] ?? 0),"new_state":"succeeded","files":1,"#
            + #""result_urls":["https://x.example/1"],"task_id":"t","task_state":"succeeded","#
            + #""answer":"healthy","is_unnamed":true}"#
        #expect(try books.move(run: RunIDs.first, move) == "go")
        #expect(try books.text("SELECT is_unnamed::text FROM holdfast.task") == "true")
    }
}
