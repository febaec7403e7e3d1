import Postgres
import TestSupport
import Testing

/// Neither does the application wait for a run, nor a run for the application.
@Suite struct HeldRowTests {
    /// Jobs `j1` to `jN` of the accounts `a1` to `aN`, claimed by the first run.
    private func claimed(_ count: Int) throws -> (Books, [String: Int]) {
        let books = try Books()
        try books.run(
            "UPDATE holdfast.policy SET value = '1000' WHERE key IN ('rate', 'rate_burst')",
            role: nil)
        for n in 1...count {
            try books.grant("a\(n)", 500)
            try books.open("j\(n)", "a\(n)", 100, task: "t\(n)")
        }
        return (books, try books.claim(run: RunIDs.first))
    }

    private func moves(_ tokens: [String: Int], _ state: String = "failed") -> String {
        let all = tokens.sorted { $0.key < $1.key }.map { id, token in
            #"{"job_id":"\#(id)","token":\#(token),"new_state":"\#(state)","answer":"healthy","#
                + #""result_urls":["https://x.example/1"],"files":1}"#
        }
        return "[" + all.joined(separator: ",") + "]"
    }

    /// `outcome number` of each outcome, and how long it took.
    private func record(
        _ connection: borrowing Connection, _ moves: String, isPatient: Bool = false
    ) throws -> (String, Duration) {
        let begun = ContinuousClock.now
        let said = try connection.query(
            """
            SELECT string_agg(said, ', ' ORDER BY said) AS said FROM (
                SELECT outcome || ' ' || count(*) AS said FROM holdfast.record_moves(
                    \(RunIDs.first)::uuid, 'stuck-sweeper', '10 minutes', \(moves)::jsonb, \(isPatient))
                GROUP BY outcome) o
            """
        ).single().text("said")
        return (said, ContinuousClock.now - begun)
    }

    @Test(arguments: ["a4", "j4"])
    func `what somebody holds is left, and the rest is settled at once`(_ held: String) throws {
        let (books, tokens) = try claimed(8)
        let holder = try books.database.connect(role: "holdfast_app")
        try holder.execute("BEGIN")
        try holder.execute(
            held == "a4"
                ? "SELECT holdfast.open_job('other', 'a4', 'kie', 'm', 'video', 1)"
                : "SELECT holdfast.heartbeat('j4', 'still here')")
        let runner = try books.database.connect()
        try runner.execute("BEGIN")
        let (said, duration) = try record(runner, moves(tokens))
        #expect(said == "go 7, locked 1")
        #expect(duration < .seconds(5))
        // The run's transaction is still open: its customers wait, and nobody else.
        let customer = try books.database.connect(role: "holdfast_app")
        try customer.execute("BEGIN")
        try customer.execute("SET LOCAL lock_timeout = '1s'")
        if held == "j4" {
            try customer.execute("SELECT holdfast.grant_credits('a9', 1, 'r9')")
        } else {
            try holder.execute("SELECT holdfast.open_job('more', 'a4', 'kie', 'm', 'video', 1)")
        }
        try customer.execute("COMMIT")
        try runner.execute("COMMIT")
        try holder.execute("COMMIT")
        // The lease is still the run's own: the verdict is not lost.
        let again = try record(runner, moves(tokens.filter { $0.key == "j4" })).0
        #expect(again == (held == "a4" ? "go 1" : "go 1"))
        #expect(try books.violations() == "")
    }

    @Test func `a move that touches no credits needs no account`() throws {
        let (books, tokens) = try claimed(2)
        let holder = try books.database.connect(role: "holdfast_app")
        try holder.execute("BEGIN")
        try holder.execute("SELECT holdfast.grant_credits('a1', 1, 'r')")
        let (said, _) = try record(books.database.connect(), moves(tokens, "succeeded"))
        #expect(said == "go 2")
        try holder.execute("COMMIT")
    }

    @Test func `an account is waited for half a second when it is asked for by itself`() throws {
        let (books, tokens) = try claimed(1)
        let holder = try books.database.connect(role: "holdfast_app")
        try holder.execute("BEGIN")
        try holder.execute("SELECT holdfast.grant_credits('a1', 1, 'r')")
        let runner = try books.database.connect()
        let (said, duration) = try record(runner, moves(tokens), isPatient: true)
        #expect(said == "locked 1")
        #expect(duration > .milliseconds(400) && duration < .seconds(5))
        try holder.execute("COMMIT")
        #expect(try record(runner, moves(tokens), isPatient: true).0 == "go 1")
    }

    @Test func `jobs that were held up come again soon, and their claims do not count`() throws {
        let (books, tokens) = try claimed(1)
        func postpone(_ offset: String) throws -> Int {
            try books.run(
                """
                SELECT * FROM holdfast.postpone_jobs(\(RunIDs.first)::uuid, ARRAY['j1'],
                    ARRAY[(SELECT lease_token FROM holdfast.job)], \(offset)::interval)
                """, role: nil
            ).count
        }
        _ = tokens
        #expect(try postpone("10 minutes") == 0)
        #expect(
            try books.text(
                """
                SELECT concat_ws(' ', claims, lease_owner, next_poll_at > clock_timestamp()
                    + interval '10 minutes', next_poll_at < clock_timestamp() + interval '11 minutes')
                FROM holdfast.job
                """) == "0 t t")
        // Named after five minutes, and again an hour later.
        for (offset, named) in [
            ("14 minutes", 0), ("16 minutes", 1), ("40 minutes", 0), ("80 minutes", 1),
        ] {
            #expect(try books.claim(run: RunIDs.first, offset: offset).count == 1)
            #expect(try postpone(offset) == named, "\(offset)")
        }
    }

    /// Any login may take any advisory lock; nobody but the schema's owner this row.
    @Test func `whoever counts for the brakes holds a row, for which nobody waits long`() throws {
        let (books, tokens) = try claimed(2)
        for role in ["holdfast_app", "holdfast_report", "holdfast_jobs"] {
            let taken = try books.failure("SELECT FROM holdfast.brake_lock FOR UPDATE", role: role)
            #expect(taken == "42501")
            #expect(
                try books.failure(
                    "SELECT pg_advisory_xact_lock(hashtextextended('holdfast.brakes', 0))",
                    role: role) == nil)
        }
        let stranger = try books.database.connect(role: "holdfast_app")
        try stranger.execute("BEGIN")
        try stranger.execute("SELECT pg_advisory_xact_lock(hashtextextended('holdfast.brakes', 0))")
        let counting = try books.database.connect()
        try counting.execute("BEGIN")
        try counting.execute("SELECT holdfast.take_brakes()")
        let runner = try books.database.connect()
        let (said, duration) = try record(runner, moves(tokens))
        #expect(said == "locked 2")
        #expect(duration < .seconds(2))
        #expect(try books.text("SELECT count(*)::text FROM holdfast.observation") == "0")
        try counting.execute("COMMIT")
        #expect(try record(runner, moves(tokens)).0 == "go 2")
        try stranger.execute("COMMIT")
    }

    @Test func `of two runs that store the last two files of a job one delivers it`() throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100, outputs: 2, task: "t")
        try books.run(
            """
            SELECT holdfast.finish_job('j', 'succeeded',
                ARRAY['https://x.example/1', 'https://x.example/2'])
            """)
        try books.run(
            """
            SELECT holdfast.claim_files(\(RunIDs.first)::uuid, 10, false, '{}', '{}', '0'::interval)
            """, role: nil)
        func store(_ connection: borrowing Connection, _ ordinal: Int) throws {
            try connection.execute(
                """
                SELECT holdfast.record_files(\(RunIDs.first)::uuid, '0'::interval, jsonb_build_array(
                    jsonb_build_object('job_id', 'j', 'ordinal', \(ordinal)::integer, 'token', 1,
                        'step', 'stored', 'object_key', \("k\(ordinal)")::text, 'sha256', 'ab',
                        'bytes', 1, 'public_url', 'https://cdn.example/x')))
                """)
        }
        let one = try books.database.connect()
        let other = try books.database.connect()
        try one.execute("BEGIN")
        try store(one, 0)
        try other.execute("SET lock_timeout = '2s'")
        try store(other, 1)
        try one.execute("COMMIT")
        #expect(try books.outcome("j") == "succeeded/held")
        #expect(
            try books.text(
                "SELECT work::text FROM holdfast.begin_run(\(RunIDs.second)::uuid, 'storage-mirrorer', 'h', 1, 'v', '0')"
            ) == "true")
        try books.run(
            "SELECT * FROM holdfast.deliver_left(\(RunIDs.second)::uuid, '0', '', 10)", role: nil)
        #expect(try books.outcome("j") == "delivered/captured")
        #expect(try books.text("SELECT count(*)::text FROM holdfast.undelivered") == "0")
    }

    /// One fix is one transaction, and waits for nobody: the two can never wait for each other.
    @Test(arguments: ["night", "minute"])
    func `the night and the minute leave to each other what one of them holds`(_ first: String)
        throws
    {
        let books = try Books()
        try books.run(
            "UPDATE holdfast.policy SET value = '1000' WHERE key IN ('rate', 'rate_burst')",
            role: nil)
        for account in ["a", "b"] { try books.grant(account, 500) }
        try books.open("k", "a", 100, task: "tk")
        try books.open("l", "b", 100, task: "tl")
        let tokens = try books.claim(run: RunIDs.first)
        // Its file is there, and it was never delivered.
        try books.open("j", "a", 100, task: "tj")
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        try books.run(
            """
            UPDATE holdfast.asset SET state = 'stored', object_key = job_id, sha256 = 'ab',
                bytes = 1, public_url = 'https://cdn.example/x',
                stored_at = now() - interval '3 days', created_at = now() - interval '3 days'
            """, role: nil)
        try books.run(
            """
            UPDATE holdfast.job SET created_at = now() - interval '4 days',
                submitted_at = now() - interval '4 days', next_poll_at = now() - interval '3 days'
            WHERE job_id = 'j'
            """, role: nil)
        let night = try books.database.connect()
        let minute = try books.database.connect()
        let plan: SQL = """
            (SELECT jsonb_agg(to_jsonb(m)) FROM holdfast.match_jobs(ARRAY['j']) m)
            """
        try night.execute(
            "SELECT holdfast.record_breaks(\(RunIDs.second)::uuid, '0', \(sql: plan))")
        func mend() throws -> String {
            try night.query(
                """
                SELECT outcome FROM holdfast.fix_breaks(\(RunIDs.second)::uuid, '0', 'digest',
                    \(sql: plan))
                """
            ).single().text("outcome")
        }
        if first == "night" {
            try night.execute("BEGIN")
            #expect(try mend() == "done")
            #expect(try record(minute, moves(tokens)).0 == "go 1, locked 1")
            try night.execute("COMMIT")
            #expect(try record(minute, moves(tokens.filter { $0.key == "k" })).0 == "go 1")
        } else {
            try minute.execute("BEGIN")
            #expect(try record(minute, moves(tokens)).0 == "go 2")
            let begun = ContinuousClock.now
            #expect(try mend() == "busy")
            #expect(ContinuousClock.now - begun < .seconds(5))
            try minute.execute("COMMIT")
            #expect(try mend() == "done")
        }
        #expect(try books.outcome("j") == "delivered/captured")
        #expect(try books.violations() == "")
    }
}
