import Postgres
import TestSupport
import Testing

/// The SQL that applications call, as they call it: with the role that may do nothing else.
@Suite struct ApplicationContract {
    @Test func `credits are granted once for each reference`() throws {
        let books = try Books()
        let grant: SQL = "SELECT holdfast.grant_credits('a', 100, 'pay-1')::text"
        #expect(try books.text(grant) == "100")
        #expect(try books.text(grant) == "100")
        #expect(try books.failure("SELECT holdfast.grant_credits('a', 99, 'pay-1')") == "HF002")
        #expect(try books.failure("SELECT holdfast.grant_credits('b', 100, 'pay-1')") == "HF002")
        #expect(try books.balance("a") == "100/0/0")
    }

    @Test(arguments: [
        ("SELECT holdfast.grant_credits('', 1, 'r')", "22023"),
        ("SELECT holdfast.grant_credits(NULL, 1, 'r')", "22023"),
        ("SELECT holdfast.grant_credits('a', 0, 'r')", "22023"),
        ("SELECT holdfast.grant_credits('a', -1, 'r')", "22023"),
        ("SELECT holdfast.grant_credits('a', 1, '')", "22023"),
        ("SELECT holdfast.open_job('', 'rich', 'kie', 'm', 'video', 1)", "22023"),
        ("SELECT holdfast.open_job('j', '', 'kie', 'm', 'video', 1)", "22023"),
        ("SELECT holdfast.open_job('j', 'rich', 'nobody', 'm', 'video', 1)", "22023"),
        ("SELECT holdfast.open_job('j', 'rich', 'kie', 'm', 'hologram', 1)", "22023"),
        ("SELECT holdfast.open_job('j', 'rich', 'kie', 'm', 'video', -1)", "22023"),
        ("SELECT holdfast.open_job('j', 'rich', 'kie', 'm', 'video', 1, NULL, 0)", "22023"),
        ("SELECT holdfast.open_job('j', 'rich', 'kie', 'm', 'video', 1001)", "HF001"),
        ("SELECT holdfast.open_job('j', 'stranger', 'kie', 'm', 'video', 1)", "HF001"),
        ("SELECT holdfast.mark_submitting('nowhere')", "HF005"),
        ("SELECT holdfast.mark_submitted('nowhere', 't')", "HF005"),
        ("SELECT holdfast.mark_submitted('there', '')", "22023"),
        ("SELECT holdfast.heartbeat('nowhere', 'x')", "HF005"),
        ("SELECT holdfast.mark_timed_out('nowhere')", "HF005"),
        ("SELECT holdfast.finish_job('nowhere', 'failed')", "HF005"),
        ("SELECT holdfast.finish_job('there', 'perhaps')", "22023"),
        ("SELECT holdfast.finish_job('there', 'succeeded')", "22023"),
        ("SELECT holdfast.finish_job('there', 'succeeded', ARRAY['ftp://x/y'])", "22023"),
        ("SELECT holdfast.finish_job('there', 'succeeded', ARRAY['//x/y'])", "22023"),
        ("SELECT holdfast.finish_job('there', 'succeeded', ARRAY[NULL]::text[])", "22023"),
        ("SELECT holdfast.return_credits('nowhere', 'x')", "HF005"),
        ("SELECT holdfast.dismiss_job('nowhere', 'x')", "HF005"),
        ("SELECT holdfast.dismiss_job('there', ' ')", "22023"),
    ])
    func `what cannot be meant is refused and changes nothing`(
        _ statement: String, _ state: String
    ) throws {
        let books = try Books()
        try books.run("SELECT holdfast.grant_credits('rich', 1000, 'r0')")
        try books.open("there", "rich", 100)
        #expect(try books.failure(SQL(raw: statement)) == state)
        #expect(try books.balance("rich") == "900/100/0")
        #expect(try books.outcome("there") == "created/held")
        #expect(try books.text("SELECT count(*)::text FROM holdfast.job") == "1")
        #expect(try books.violations() == "")
    }

    @Test func `opening a job twice is one job and one hold`() throws {
        let books = try Books()
        try books.grant("a", 150)
        try books.open("j", "a", 100)
        try books.open("j", "a", 100)
        #expect(try books.balance("a") == "50/100/0")
        #expect(
            try books.failure("SELECT holdfast.open_job('j', 'a', 'kie', 'model', 'video', 99)")
                == "HF002")
        try books.run("SELECT holdfast.finish_job('j', 'failed', '{}', 'broken')")
        #expect(
            try books.failure("SELECT holdfast.open_job('j', 'a', 'kie', 'model', 'video', 100)")
                == "HF003")
    }

    @Test func `a free job needs no credits and ends with none`() throws {
        let books = try Books()
        try books.open("j", "newcomer", 0)
        #expect(try books.outcome("j") == "created/none")
        try books.run("SELECT holdfast.finish_job('j', 'failed')")
        #expect(try books.outcome("j") == "failed/none")
        #expect(try books.violations() == "")
    }

    @Test func `a task belongs to one job, and a job may have two`() throws {
        let books = try Books()
        try books.grant("a", 200)
        try books.open("j1", "a", 100, task: "t1")
        try books.open("j2", "a", 100, task: "t2")
        #expect(try books.failure("SELECT holdfast.mark_submitted('j2', 't1')") == "HF004")
        try books.run("SELECT holdfast.mark_submitted('j1', 't1')")
        try books.run("SELECT holdfast.mark_submitted('j1', 't3')")
        #expect(
            try books.text(
                "SELECT string_agg(task_id, ',' ORDER BY task_id) FROM holdfast.task WHERE job_id = 'j1'"
            )
                == "t1,t3")
    }

    @Test func `marks on a closed job do nothing`() throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100, task: "t")
        try books.run("SELECT holdfast.finish_job('j', 'failed', '{}', 'broken')")
        for mark: SQL in [
            "SELECT holdfast.mark_submitting('j')", "SELECT holdfast.mark_submitted('j', 't')",
            "SELECT holdfast.heartbeat('j', 'x')", "SELECT holdfast.mark_timed_out('j')",
            "SELECT holdfast.finish_job('j', 'failed')", "SELECT holdfast.dismiss_job('j', 'x')",
            "SELECT holdfast.return_credits('j', 'x')",
        ] {
            #expect(try books.failure(mark) == nil)
        }
        #expect(try books.outcome("j") == "failed/voided")
        #expect(try books.transfers("j") == "hold 100, void 100")
    }

    @Test(arguments: [
        ("created", "return_credits", "created/voided", "100/0/0", "hold 100, void 100"),
        ("submitted", "return_credits", "submitted/voided", "100/0/0", "hold 100, void 100"),
        (
            "delivered", "return_credits", "delivered/refunded", "100/0/0",
            "hold 100, capture 100, refund 100"
        ),
        ("submitted", "dismiss_job", "dismissed/voided", "100/0/0", "hold 100, void 100"),
        ("succeeded", "dismiss_job", "dismissed/voided", "100/0/0", "hold 100, void 100"),
        ("delivered", "dismiss_job", "delivered/captured", "0/0/100", "hold 100, capture 100"),
    ])
    func `credits come back by the state they were in, once`(
        _ state: String, _ function: String, _ outcome: String, _ balance: String,
        _ transfers: String
    ) throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100, task: state == "created" ? nil : "t")
        if state == "succeeded" || state == "delivered" {
            try books.run(
                "SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        }
        if state == "delivered" { try deliver(books, "j") }
        for _ in 1...3 { try books.run("SELECT holdfast.\(raw: function)('j', 'a reason')") }
        #expect(try books.outcome("j") == outcome)
        #expect(try books.balance("a") == balance)
        #expect(try books.transfers("j") == transfers)
        #expect(try books.violations() == "")
    }

    @Test func `a partial delivery costs its share, rounded down`() throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100, outputs: 3, task: "t")
        try books.run(
            "SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1', 'https://x.example/2'])"
        )
        try deliver(books, "j", files: 2)
        #expect(try books.outcome("j") == "delivered/captured")
        #expect(try books.transfers("j") == "hold 100, capture 66, void 34")
        #expect(try books.balance("a") == "34/0/66")
        #expect(try books.violations() == "")
    }

    @Test(arguments: [
        ("SELECT * FROM holdfast.job", "42501"),
        ("UPDATE holdfast.account SET available = 1000", "42501"),
        ("SELECT holdfast.settle(NULL)", "42501"),
        ("SELECT holdfast.apply_moves(NULL, false)", "42501"),
        ("INSERT INTO holdfast.policy (key, value) VALUES ('lease', '1s')", "42501"),
    ])
    func `the application's role may call the contract and nothing else`(
        _ statement: String, _ state: String
    ) throws {
        #expect(try Books().failure(SQL(raw: statement)) == state)
    }

    @Test func `a callback is kept whatever it holds, without its secret`() throws {
        let books = try Books()
        try books.run(
            """
            SELECT holdfast.record_callback('nobody',
                '{"X-Callback-Token": "canary-1", "Cookie": "canary-2", "A": "b"}',
                'secret=canary-3&job=j', '\\xff00fe'::bytea)
            """)
        try books.run("SELECT holdfast.record_callback(NULL, NULL, NULL, NULL)")
        let kept = try books.text("SELECT string_agg(c::text, ' ') FROM holdfast.callback c")
        #expect(kept.contains("ff00fe") && !kept.contains("canary"))
        #expect(try books.text("SELECT count(*)::text FROM holdfast.callback") == "2")
    }
}

/// What the mirrorer writes when `files` files of a job are stored.
func deliver(_ books: Books, _ id: String, files: Int = 1) throws {
    let run = RunIDs.first
    try books.run(
        """
        SELECT holdfast.claim_files(\(run)::uuid, 10, 10, false, ARRAY[\(id)], '{}', '0'::interval)
        """, role: nil)
    for ordinal in 0..<files {
        try books.run(
            """
            SELECT holdfast.record_files(\(run)::uuid, '0'::interval, jsonb_build_array(
                jsonb_build_object('job_id', \(id)::text, 'ordinal', \(ordinal)::integer,
                    'token', 1, 'step', 'stored', 'object_key', \(id)::text || \(ordinal)::integer,
                    'sha256', 'ab', 'bytes', 1, 'public_url', 'https://cdn.example/x')))
            """, role: nil)
    }
}

/// Two runs.
enum RunIDs {
    static let first = "11111111-1111-4111-8111-111111111111"
    static let second = "22222222-2222-4222-8222-222222222222"
}
