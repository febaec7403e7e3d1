import Postgres
import TestSupport
import Testing

/// Work is set aside as crashed only when nothing else explains why its runs died.
@Suite struct Blame {
    enum Work: CaseIterable, Sendable { case job, file }

    /// What became of the other runs of those minutes.
    enum Others: CaseIterable, Sendable { case killed, stopped, ended, atWork, longAgo }

    private func open(_ books: Books, _ work: Work) throws {
        try books.grant("a", 100)
        try books.open("j", "a", task: "t")
        guard work == .file else { return }
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
    }

    /// Whether a run gets the work; it then dies of something.
    private func claims(_ books: Books, _ work: Work, _ minutes: Int) throws -> Bool {
        let offset = "\(minutes) minutes"
        if work == .job { return try !books.claim(run: RunIDs.first, offset: offset).isEmpty }
        return try books.text(
            """
            SELECT count((c.item).job_id)::text FROM holdfast.claim_files(\(RunIDs.first)::uuid,
                10, 10, true, '{}', '{}', \(offset)::interval) c
            """) == "1"
    }

    private func add(_ books: Books, _ others: Others, _ count: Int, _ minutes: Int) throws {
        let minutes = others == .longAgo ? minutes - 25 : minutes
        let isOver = others == .stopped || others == .ended
        try books.run(
            """
            WITH added AS (
                INSERT INTO holdfast.run (
                    run_id, command, host, version, started_at, finished_at, exit_status)
                SELECT gen_random_uuid(), 'storage-mirrorer', 'host', '1', s.at,
                    CASE WHEN \(isOver)::boolean THEN s.at END,
                    CASE WHEN \(others == .stopped)::boolean THEN 143
                        WHEN \(isOver)::boolean THEN 0 END
                FROM (SELECT now() + \("\(minutes) minutes")::interval AS at) s,
                    generate_series(1, \(count)::integer)
                RETURNING run_id)
            INSERT INTO holdfast.run_slot (command, slot, run_id, expires_at)
            SELECT 'storage-mirrorer', 100 + row_number() OVER (), run_id, now() + interval '1 day'
            FROM added WHERE \(others == .atWork)::boolean
            """, role: nil)
    }

    private func blocked(_ books: Books) throws -> String {
        try books.text("SELECT blocked FROM holdfast.job WHERE job_id = 'j'")
    }

    /// Guard: `is_to_blame`.
    @Test(arguments: Work.allCases, Others.allCases)
    func `work is not to blame for the death of its runs while others are cut short too`(
        _ work: Work, _ others: Others
    ) throws {
        let books = try Books()
        try open(books, work)
        for minutes in [10, 20, 30] { #expect(try claims(books, work, minutes)) }
        try add(books, others, 4, 29)
        let isExcused = others == .killed || others == .stopped
        #expect(try claims(books, work, 40) == isExcused)
        #expect(try blocked(books) == (isExcused ? "null" : "crashed"))
    }

    @Test(arguments: Work.allCases)
    func `work that was in hand in every run that was cut short is to blame`(_ work: Work) throws {
        let books = try Books()
        try open(books, work)
        for minutes in [10, 20, 30] {
            #expect(try claims(books, work, minutes))
            try add(books, .killed, 1, minutes)
        }
        #expect(try !claims(books, work, 40))
        #expect(try blocked(books) == "crashed")
    }

    @Test(arguments: Work.allCases)
    func `however many runs are cut short, nine claims are enough`(_ work: Work) throws {
        let books = try Books()
        try open(books, work)
        for number in 1...9 {
            #expect(try claims(books, work, number * 10), "\(number)")
            try add(books, .killed, 12, number * 10)
        }
        #expect(try !claims(books, work, 100))
        #expect(try blocked(books) == "crashed")
    }

    // MARK: Alone

    private func claim(
        _ books: Books, _ run: String, maySuspect: Bool = true
    ) throws -> Set<String> {
        Set(
            try books.run(
                """
                SELECT (c.item).job_id FROM holdfast.claim_jobs(\(run)::uuid, 'stuck-sweeper',
                    ARRAY['kie'], ARRAY[100], 100, '{}', '10 minutes', \(maySuspect)::boolean) c
                WHERE (c.item).job_id IS NOT NULL
                """, role: nil
            ).map { try $0.text("job_id") })
    }

    private func openSuspects(_ books: Books) throws {
        try books.grant("a", 100)
        for n in 1...5 { try books.open("j\(n)", "a", 1, task: "t\(n)") }
        try books.run("UPDATE holdfast.job SET claims = 2 WHERE job_id IN ('j4', 'j5')", role: nil)
    }

    /// Guard: a claim of a suspect brings nothing else.
    @Test func `a suspect is claimed alone, and only for a run that holds nothing`() throws {
        let books = try Books()
        try openSuspects(books)
        #expect(try claim(books, RunIDs.second).count == 1)
        #expect(try claim(books, RunIDs.first, maySuspect: false) == ["j1", "j2", "j3"])
        #expect(
            try books.text(
                "SELECT string_agg(claims::text, ',' ORDER BY claims) FROM holdfast.job")
                == "1,1,1,2,3")
    }

    /// Guard: `judge_suspects` looks for suspects in hand.
    @Test func `while a run has a suspect in hand, others look after everything else`() throws {
        let books = try Books()
        try openSuspects(books)
        try books.run(
            "UPDATE holdfast.job SET claims = 4, lease_until = now() WHERE job_id = 'j4'",
            role: nil)
        try add(books, .killed, 12, -1)
        // The one with the fewest claims comes first.
        #expect(try claim(books, RunIDs.first) == ["j5"])
        #expect(try claim(books, RunIDs.second) == ["j1", "j2", "j3"])
    }
}
