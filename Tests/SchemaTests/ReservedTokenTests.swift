import Postgres
import TestSupport
import Testing

/// A quarter of a provider's tokens is kept for what cannot wait.
@Suite struct ReservedTokens {
    private func books(rate: String, burst: Int, jobs: Int) throws -> Books {
        let books = try Books()
        try books.grant("a", 10_000)
        try books.run(
            """
            INSERT INTO holdfast.policy (key, provider, value)
            VALUES ('rate', 'kie', \(rate)), ('rate_burst', 'kie', \("\(burst)"))
            """, role: nil)
        for n in 1...jobs { try books.open("j\(n)", "a", 1, task: "t\(n)") }
        return books
    }

    private func take(_ books: Books, _ wanted: Int, urgent: Bool, seconds: Int = 0) throws
        -> String
    {
        try books.text(
            """
            SELECT holdfast.take_tokens('kie', \(wanted)::integer,
                '2027-01-01Z'::timestamptz + \("\(seconds) seconds")::interval, \(urgent)::boolean)::text
            """)
    }

    /// Guard: the reserve of `take_tokens`.
    @Test func `what can wait leaves a quarter of the bucket to what cannot`() throws {
        let books = try books(rate: "4", burst: 40, jobs: 1)
        #expect(try take(books, 100, urgent: false) == "30")
        #expect(try take(books, 4, urgent: true) == "4")
        #expect(try take(books, 100, urgent: true) == "6")
        #expect(try take(books, 100, urgent: true) == "0")
        // Four a second: one of them is kept while the reserve fills, all are given when it is full.
        #expect(try take(books, 100, urgent: false, seconds: 4) == "12")
        #expect(try take(books, 100, urgent: true, seconds: 4) == "4")
        #expect(try take(books, 100, urgent: false, seconds: 100) == "30")
        #expect(try take(books, 100, urgent: false, seconds: 101) == "4")
    }

    @Test(arguments: [1, 3])
    func `a bucket too small for a quarter gives all that it has`(_ burst: Int) throws {
        let books = try books(rate: "1", burst: burst, jobs: 1)
        #expect(try take(books, 100, urgent: false) == "\(burst)")
    }

    /// Guard: woken jobs come first in `claim_jobs`.
    @Test func `jobs with a callback are claimed before the backlog, from the reserve`() throws {
        let books = try books(rate: "0.001", burst: 8, jobs: 30)
        try books.run("SELECT holdfast.wake_job('j29', NULL)", role: nil)
        #expect(try books.claim(run: RunIDs.first).keys.contains("j29"))
        #expect(try books.claim(run: RunIDs.first) == [:])
        try books.run("SELECT holdfast.wake_job('j30', NULL)", role: nil)
        #expect(try books.claim(run: RunIDs.second).count == 1)
        #expect(
            try books.text("SELECT lease_owner::text FROM holdfast.job WHERE job_id = 'j30'")
                == RunIDs.second)
    }
}
