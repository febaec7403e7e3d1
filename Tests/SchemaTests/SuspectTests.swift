import Postgres
import TestSupport
import Testing

/// What a run that died leaves behind: each of its jobs goes on in the next run, and none is called
/// crashed that did not crash.
@Suite struct Suspects {
    private func open(_ books: Books, _ jobs: ClosedRange<Int>) throws {
        try books.grant("a", 10_000)
        try books.run(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('rate', '10000'), ('rate_burst', '10000')
            """, role: nil)
        for n in jobs { try books.open("j\(n)", "a", 1, task: "t\(n)") }
    }

    private func claims(_ books: Books, _ id: String) throws -> String {
        try books.text(
            """
            SELECT claims || CASE WHEN lease_owner IS NULL THEN ' free' ELSE ' leased' END
            FROM holdfast.job WHERE job_id = \(id)
            """)
    }

    /// Guard: the busy row of `claim_jobs` for suspects.
    @Test func `a claim says that more suspects are due, and takes one of them at a time`() throws {
        let books = try Books()
        try open(books, 1...3)
        try books.run("UPDATE holdfast.job SET claims = 2", role: nil)
        for left in [2, 1, 0] {
            let (claimed, isBusy) = try books.claimAndAsk(run: RunIDs.first)
            #expect(claimed.count == 1)
            #expect(isBusy == (left > 0))
            for (id, token) in claimed {
                let told = try books.move(
                    run: RunIDs.first,
                    #"{"job_id": "\#(id)", "token": \#(token), "answer": "healthy", "wait": "1 hour"}"#
                )
                #expect(told == "go")
            }
        }
        #expect(try books.text("SELECT max(claims)::text FROM holdfast.job") == "0")
        #expect(
            try books.text("SELECT count(*)::text FROM holdfast.job WHERE blocked IS NOT NULL")
                == "0")
    }

    /// Guard: suspects come first in `claim_jobs`.
    @Test func `a suspect is not starved behind those that are due before it`() throws {
        let books = try Books()
        try open(books, 1...30)
        try books.run(
            """
            UPDATE holdfast.job SET claims = 2, next_poll_at = next_poll_at + interval '1 minute'
            WHERE job_id = 'j7'
            """, role: nil)
        #expect(try books.claim(run: RunIDs.first, most: 10).keys.contains("j7"))
    }

    @Test func `a move that is postponed gives its lease back, and its claim does not count`()
        throws
    {
        let books = try Books()
        try open(books, 1...1)
        try books.run("SELECT holdfast.mark_timed_out('j1')")
        for round in 0..<5 {
            let offset = "\(1800 + round * 10) minutes"
            try books.run("SELECT holdfast.record_callback('kie', '{}', '', '{\"id\":\"t1\"}')")
            let claimed = try books.claim(
                run: RunIDs.first, pass: "orphan-recoverer", offset: offset)
            let token = try #require(claimed["j1"], "round \(round)")
            let told = try books.move(
                run: RunIDs.first, pass: "orphan-recoverer", offset: offset,
                #"{"job_id": "j1", "token": \#(token), "new_state": "abandoned", "answer": "healthy"}"#
            )
            #expect(told == "postponed")
            #expect(try claims(books, "j1") == "0 free")
        }
    }

    @Test func `a run that comes too late with its answer did not crash`() throws {
        let books = try Books()
        try open(books, 1...1)
        let first = try #require(try books.claim(run: RunIDs.first)["j1"])
        _ = try books.claim(run: RunIDs.second, offset: "15 minutes")
        #expect(try claims(books, "j1") == "2 leased")
        let told = try books.move(
            run: RunIDs.first, offset: "15 minutes",
            #"{"job_id": "j1", "token": \#(first), "answer": "healthy", "wait": "1 hour"}"#)
        #expect(told == "lease_lost")
        #expect(try claims(books, "j1") == "1 leased")
    }

    @Test func `a claim that was cut off by a restart of the database does not count`() throws {
        let books = try Books()
        try open(books, 1...1)
        try books.run(
            """
            UPDATE holdfast.job SET claims = 2, lease_owner = \(RunIDs.second)::uuid,
                leased_at = pg_postmaster_start_time() - interval '1 second',
                lease_until = pg_postmaster_start_time() + interval '1 second',
                next_poll_at = now() - interval '1 minute'
            """, role: nil)
        // Until the lease of the server that is gone is over.
        try books.run(
            """
            UPDATE holdfast.job SET lease_until = now() - interval '1 second'
            """, role: nil)
        #expect(try books.claim(run: RunIDs.first, offset: "0").keys.contains("j1"))
        #expect(try claims(books, "j1") == "1 leased")
    }
}

extension Books {
    /// A claim as `claim` makes it, and whether it says that more is due.
    func claimAndAsk(run: String, offset: String = "10 minutes") throws -> ([String: Int], Bool) {
        var claimed: [String: Int] = [:]
        var isBusy = false
        for row in try self.run(
            """
            SELECT (c.item).job_id, (c.item).token, coalesce(c.busy, false) AS busy
            FROM holdfast.claim_jobs(\(run)::uuid, 'stuck-sweeper', ARRAY['kie'], ARRAY[100], 100,
                '{}', \(offset)::interval) c
            """, role: nil)
        {
            if let id = try row.optionalText("job_id") {
                claimed[id] = try row.int("token")
            } else {
                isBusy = try isBusy || row.bool("busy")
            }
        }
        return (claimed, isBusy)
    }
}
