import Postgres
import TestSupport
import Testing

/// What a partial capture gives back counts for the brakes.
@Suite struct GivenBackTests {
    private func opened(_ jobs: Int, limit: String, credits: String = "off") throws -> Books {
        let books = try Books()
        try books.run(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('brake_jobs', \(limit)),
                ('brake_credits', \(credits))
            """, role: nil)
        try books.grant("a", 1000)
        for n in 1...jobs {
            try books.open("j\(n)", "a", 10, outputs: 4, task: "t\(n)")
        }
        return books
    }

    private func deliverOne(_ books: Books, _ n: Int, of named: Int = 1) throws {
        try books.run(
            """
            SELECT holdfast.finish_job('j' || \(n)::integer, 'succeeded', ARRAY(
                SELECT 'https://x.example/' || n FROM generate_series(1, \(named)::integer) n))
            """)
        try deliver(books, "j\(n)", files: named)
    }

    @Test(arguments: [("account=2", "off"), ("provider=2", "off"), ("off", "total=16")])
    func `a provider that delivers one of four does not empty the books`(
        _ jobs: String, _ credits: String
    ) throws {
        let books = try opened(4, limit: jobs, credits: credits)
        for n in 1...4 { try deliverOne(books, n) }
        for n in 1...2 {
            #expect(try books.outcome("j\(n)") == "delivered/captured")
            #expect(try books.transfers("j\(n)") == "hold 10, capture 2, void 8")
        }
        for n in 3...4 {
            #expect(try books.outcome("j\(n)") == "succeeded/held")
            #expect(
                try books.text("SELECT blocked FROM holdfast.job WHERE job_id = \("j\(n)")")
                    == "brake")
        }
        #expect(
            try books.text(
                "SELECT sum(credits)::text FROM holdfast.brake_use WHERE scope = 'total'")
                == "16")
        // A person looks, and lets them go.
        try books.run(
            "SELECT holdfast.release_brakes(NULL, NULL, NULL, 'person:x')", role: nil)
        try books.run(
            """
            SELECT * FROM holdfast.apply_released(
                \(RunIDs.first)::uuid, 'orphan-recoverer', '0', 10, '{}')
            """, role: nil)
        for n in 1...4 { #expect(try books.transfers("j\(n)") == "hold 10, capture 2, void 8") }
        #expect(try books.violations() == "")
    }

    @Test func `a whole delivery, and a price that the application named, count nothing`() throws {
        let books = try opened(3, limit: "account=1")
        try deliverOne(books, 1, of: 4)
        for n in 2...3 {
            try books.run(
                """
                SELECT holdfast.finish_job('j' || \(n)::integer, 'succeeded', ARRAY(
                    SELECT 'https://x.example/' || n FROM generate_series(1, 4) n), credits => 3)
                """)
            try deliver(books, "j\(n)", files: 4)
        }
        #expect(
            try books.text(
                "SELECT string_agg(state || ' ' || captured, ',' ORDER BY job_id) FROM holdfast.job"
            )
                == "delivered 10,delivered 3,delivered 3")
        #expect(try books.text("SELECT count(*)::text FROM holdfast.brake_use") == "0")
    }
}
