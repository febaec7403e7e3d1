import Postgres
import TestSupport
import Testing

/// An application that knows the price only at the end names it, at most the hold.
@Suite struct NamedCreditsTests {
    private func finish(_ books: Books, _ credits: Int, urls: Int = 1) throws {
        try books.run(finishing(credits, urls: urls))
    }

    private func finishing(_ credits: Int, urls: Int = 1) -> SQL {
        """
        SELECT holdfast.finish_job('j', 'succeeded', ARRAY(SELECT 'https://x.example/' || n
            FROM generate_series(1, \(urls)::integer) n), credits => \(credits)::bigint)
        """
    }

    private func opened(_ books: Books, outputs: Int = 1, _ policies: [String: String] = [:]) throws
    {
        for (key, value) in policies {
            try books.run(
                "INSERT INTO holdfast.policy (key, value) VALUES (\(key), \(value))", role: nil)
        }
        try books.grant("a", 100)
        try books.open("j", "a", 100, outputs: outputs, task: "t")
    }

    @Test(arguments: [
        (40, 1, 1, "hold 100, capture 40, void 60", "60/0/40"),
        (100, 1, 1, "hold 100, capture 100", "0/0/100"),
        (0, 1, 1, "hold 100, void 100", "100/0/0"),
        // The share of what was named, rounded down.
        (50, 4, 3, "hold 100, capture 37, void 63", "63/0/37"),
        (1, 4, 3, "hold 100, void 100", "100/0/0"),
    ])
    func `the customer pays what was named, and the rest is voided`(
        _ credits: Int, _ outputs: Int, _ stored: Int, _ transfers: String, _ balance: String
    ) throws {
        let books = try Books()
        try opened(books, outputs: outputs)
        for _ in 1...2 { try finish(books, credits, urls: stored) }
        try deliver(books, "j", files: stored)
        try finish(books, credits, urls: stored)
        #expect(try books.transfers("j") == transfers)
        #expect(try books.balance("a") == balance)
        #expect(try books.violations() == "")
        // The night finds nothing, whatever the price list says.
        try books.run(
            """
            INSERT INTO holdfast.dated_policy (key, model, valid_from, amount, counts)
            VALUES ('price', 'model', '-infinity', 100, 'credits')
            """, role: nil)
        #expect(
            try books.text(
                "SELECT coalesce(string_agg(class, ','), '') FROM holdfast.match_jobs(ARRAY['j'])")
                == "")
    }

    @Test func `where credits are captured at success, it is what was named`() throws {
        let books = try Books()
        try opened(books, outputs: 2, ["capture_at": "succeeded"])
        try finish(books, 50, urls: 2)
        #expect(try books.transfers("j") == "hold 100, capture 50, void 50")
        try deliver(books, "j", files: 2)
        #expect(try books.transfers("j") == "hold 100, capture 50, void 50")
    }

    @Test func `a late success is charged what was named`() throws {
        let books = try Books()
        try opened(books)
        try books.run("SELECT holdfast.finish_job('j', 'failed')")
        try finish(books, 40)
        try deliver(books, "j")
        #expect(try books.transfers("j") == "hold 100, void 100, charge 40")
        #expect(try books.violations() == "")
    }

    @Test(arguments: [101, -1, Int.max])
    func `more than the hold, or less than nothing, is refused`(_ credits: Int) throws {
        let books = try Books()
        try opened(books)
        #expect(try books.failure(finishing(credits)) == "22023")
        #expect(try books.outcome("j") == "submitted/held")
    }

    @Test(arguments: ["failed", "cancelled"])
    func `credits are named for a result alone`(_ outcome: String) throws {
        let books = try Books()
        try opened(books)
        let call: SQL = "SELECT holdfast.finish_job('j', \(outcome), credits => 1)"
        #expect(try books.failure(call) == "22023")
        #expect(try books.outcome("j") == "submitted/held")
    }

    @Test func `they are named once`() throws {
        let books = try Books()
        try opened(books)
        try finish(books, 40)
        #expect(try books.failure(finishing(41)) == "HF002")
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        try deliver(books, "j")
        #expect(try books.failure(finishing(41)) == "HF002")
        #expect(try books.transfers("j") == "hold 100, capture 40, void 60")
    }

    /// A run was faster: as long as nothing is settled, the application's word counts.
    @Test func `a job that has succeeded by itself may still be given a price`() throws {
        let books = try Books()
        try opened(books)
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        try finish(books, 40)
        try deliver(books, "j")
        #expect(try books.transfers("j") == "hold 100, capture 40, void 60")
    }

    @Test func `after the settlement another price is refused, and not ignored`() throws {
        let books = try Books()
        try opened(books)
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        try deliver(books, "j")
        #expect(try books.failure(finishing(40)) == "HF003")
        #expect(try books.failure(finishing(100)) == nil)
        #expect(try books.transfers("j") == "hold 100, capture 100")
    }

    @Test func `there is one finish_job, and the application may call it`() throws {
        let books = try Books()
        #expect(
            try books.text(
                """
                SELECT string_agg(oid::regprocedure::text || ' '
                    || has_function_privilege('holdfast_app', oid, 'EXECUTE'), ', ')
                FROM pg_proc WHERE proname = 'finish_job'
                """) == "holdfast.finish_job(text,text,text[],text,bigint) true")
    }
}
