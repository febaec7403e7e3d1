import Core
import Postgres
import TestSupport
import Testing

/// A database, a login or an application whose transactions see one state from beginning to end.
@Suite struct Isolation {
    static let levels = ["repeatable read", "serializable"]

    private func scene(_ level: String) throws -> Books {
        let books = try Books()
        try books.run(
            """
            ALTER DATABASE \(raw: books.database.name)
            SET default_transaction_isolation = '\(raw: level)'
            """, role: nil)
        try books.grant("a", 1000)
        return books
    }

    private func record(_ connection: borrowing Connection, ordinal: Int) throws {
        try connection.execute(
            """
            SELECT holdfast.record_files(\(RunIDs.first)::uuid, '0'::interval, jsonb_build_array(
                jsonb_build_object('job_id', 'j', 'ordinal', \(ordinal)::integer, 'token', 1,
                    'step', 'stored', 'object_key', 'k' || \(ordinal)::integer, 'sha256', 'ab',
                    'bytes', 1, 'public_url', 'https://cdn.example/x')))
            """)
    }

    @Test(arguments: levels)
    func `of the two last files, stored at once, the second delivers the job`(_ level: String)
        throws
    {
        let books = try scene(level)
        try books.open("j", "a", 100, outputs: 2, task: "t")
        try books.run(
            "SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x/1', 'https://x/2'])")
        try books.run(
            """
            SELECT holdfast.claim_files(\(RunIDs.first)::uuid, 10, 10, false, '{}', '{}', '0'::interval)
            """, role: nil)
        let other = try books.database.connect()
        let connection = try books.database.connect()
        try connection.transaction {
            // What it sees now it must not go by later.
            try connection.execute("SELECT count(*) FROM holdfast.asset")
            try record(other, ordinal: 0)
            try record(connection, ordinal: 1)
        }
        #expect(try books.outcome("j") == "delivered/captured")
    }

    @Test(arguments: levels)
    func `what a verdict and a bill say at once is booked once`(_ level: String) throws {
        let books = try scene(level)
        try books.open("j", "a", 100, task: "t")
        let connection = try books.database.connect()
        let other = try books.database.connect()
        try connection.transaction {
            try connection.execute("SELECT count(*) FROM holdfast.usage_line")
            try other.execute(
                "UPDATE holdfast.task SET cost_amount = '10', cost_unit = 'credits'")
            try connection.execute(
                """
                SELECT * FROM holdfast.record_usage(NULL, 'person:test', 'kie', 'import', NULL,
                    '[{"line_key": "1", "task_id": "t", "amount": "12", "unit": "credits",
                       "happened_us": 1795000000000000}]', '0')
                """)
        }
        let booked = try books.text("SELECT sum(booked)::text FROM holdfast.usage_line")
        #expect(booked == "12")
    }

    @Test(arguments: levels)
    func `a callback that was read while the application marked its task makes the job due`(
        _ level: String
    ) throws {
        let books = try Books()
        try books.grant("a", 1000)
        try books.open("j", "a", 100)
        let application = try books.database.connect(role: "holdfast_app")
        try application.execute("BEGIN ISOLATION LEVEL \(raw: level.uppercased())")
        try application.execute("SELECT holdfast.mark_submitting('j')")
        try books.run(
            "SELECT holdfast.record_callback('kie', '{}', '', '{\"taskId\": \"t\"}')")
        let told = try books.text(
            """
            SELECT result FROM holdfast.drain_callbacks(\(RunIDs.first)::uuid, '0',
                '[{"callback_id": 1, "secret_check": "not_checked", "checks": {}, "job_id": null,
                   "candidates": ["t"], "note": null}]')
            """)
        #expect(told == "unmatched")
        try application.execute("SELECT holdfast.mark_submitted('j', 't')")
        try application.execute("COMMIT")
        #expect(
            try books.text(
                """
                SELECT (woken_at IS NOT NULL AND next_poll_at <= clock_timestamp())::text
                FROM holdfast.job
                """) == "true")
        // And the night finds nothing that a person would have to look at.
        #expect(
            try books.text(
                """
                SELECT count(*)::text FROM holdfast.match_callbacks(0, 100) f
                WHERE (f.found).class IS NOT NULL
                """) == "0")
    }

    @Test(arguments: levels)
    func `a job that another transaction has opened is no other job`(_ level: String) throws {
        let books = try Books()
        try books.grant("a", 1000)
        let application = try books.database.connect(role: "holdfast_app")
        try application.execute("BEGIN ISOLATION LEVEL \(raw: level.uppercased())")
        try application.execute("SELECT 1")
        try books.open("j", "a", 0)
        #expect {
            try application.execute(
                "SELECT holdfast.open_job('j', 'a', 'kie', 'model', 'video', 0, NULL, 1)")
        } throws: {
            ($0 as? PostgresError)?.sqlState == "40001"
        }
    }

    @Test func `a sequence that is behind is not taken for a job with other arguments`() throws {
        let books = try Books()
        try books.grant("a", 1000)
        try books.open("j", "a", 10)
        try books.run(
            """
            SELECT setval(pg_get_serial_sequence('holdfast.job_event', 'event_id'), 1, false)
            """, role: nil)
        #expect(
            try books.failure(
                "SELECT holdfast.open_job('k', 'a', 'kie', 'model', 'video', 10)") == "23505")
    }

    @Test(arguments: levels)
    func
        `what a run writes is refused at another level, and done in a transaction that says its own`(
            _ level: String
        ) throws
    {
        let books = try scene(level)
        let begin: SQL = """
            SELECT started FROM holdfast.begin_run(\(RunIDs.first)::uuid, 'stuck-sweeper', 'host', 1,
                'version', '0')
            """
        let connection = try books.database.connect()
        try connection.execute("BEGIN ISOLATION LEVEL \(raw: level.uppercased())")
        #expect {
            try connection.query(begin)
        } throws: {
            ($0 as? PostgresError)?.sqlState == "HF014"
        }
        try connection.execute("ROLLBACK")
        // Two of them: the first tells, the second knows.
        #expect(try connection.query(begin).single().bool("started"))
        #expect(
            try connection.query(
                "SELECT holdfast.finish_run(\(RunIDs.first)::uuid, '0', 0, '{}', '{}', 0) AS left_over"
            )
            .single().int("left_over") == 0)
    }

    /// Guard: `require_read_committed` in `act_as`.
    ///
    /// A function that forgets it would write under
    /// whatever level the session has.
    @Test func `every function that programs write by refuses another level`() throws {
        let books = try Books()
        let forgetful = try books.run(
            """
            SELECT p.proname::text AS name FROM pg_proc p
            WHERE p.pronamespace = 'holdfast'::regnamespace AND p.provolatile = 'v'
                AND p.prorettype <> 'trigger'::regtype
                AND pg_get_function_identity_arguments(p.oid) ~ '^(IN )?run uuid'
                AND p.prosrc !~ '(act_as|require_read_committed)\\('
            ORDER BY 1
            """, role: nil
        ).map { try $0.text("name") }
        // Called by those that have asked; the last two write without looking first.
        let excused: Set = [
            "take_jobs", "hand_over", "fix_one", "note_readings", "told", "release_refetches",
        ]
        #expect(Set(forgetful).isSubset(of: excused), "\(forgetful)")
    }
}
