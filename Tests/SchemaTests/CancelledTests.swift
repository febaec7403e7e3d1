import Postgres
import TestSupport
import Testing

/// What a customer's cancellation does: final, and never charged.
@Suite struct CancelledTests {
    /// Brings a job of 100 credits into a state, as the application, a run or a person would.
    private func job(in state: String, _ books: Books) throws {
        try books.grant("a", 100)
        let hasTask = state != "created" && state != "submission unknown"
        try books.open("j", "a", 100, task: hasTask ? "t" : nil)
        switch state {
        case "running":
            let tokens = try books.claim(run: RunIDs.first)
            let move = #"{"job_id":"j","token":\#(tokens["j"] ?? 0),"new_state":"running"}"#
            #expect(try books.move(run: RunIDs.first, move) == "go")
        case "timed_out": try books.run("SELECT holdfast.mark_timed_out('j')")
        case "submission unknown":
            try books.run("SELECT holdfast.mark_submitting('j')")
            try books.run(
                "UPDATE holdfast.job SET blocked = 'submission_unknown' WHERE job_id = 'j'",
                role: nil)
        case "failed": try books.run("SELECT holdfast.finish_job('j', 'failed')")
        case "succeeded", "delivered":
            try books.run(
                "SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
            if state == "delivered" { try deliver(books, "j") }
        case "dismissed": try books.run("SELECT holdfast.dismiss_job('j', 'a reason')")
        case "abandoned":
            try books.run("SELECT holdfast.abandon_job('j', 'a reason', 'person:x')", role: nil)
        default: break
        }
    }

    private func cancel(_ books: Books) throws {
        try books.run("SELECT holdfast.finish_job('j', 'cancelled', reason => 'changed her mind')")
    }

    @Test(arguments: ["created", "submitted", "running", "timed_out", "submission unknown"])
    func `a job is cancelled before the provider has succeeded, for good`(_ state: String) throws {
        let books = try Books()
        try job(in: state, books)
        for _ in 1...2 { try cancel(books) }
        let row =
            "SELECT error_code || '/' || error_message || '/' || coalesce(blocked, '') FROM holdfast.job"
        #expect(try books.outcome("j") == "failed/voided")
        #expect(try books.text(SQL(raw: row)) == "cancelled/changed her mind/")
        #expect(try books.balance("a") == "100/0/0")
        // Whatever the application or the provider says after that.
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        try books.run("SELECT holdfast.finish_job('j', 'failed', reason => 'late')")
        let late = #"{"job_id":"j","new_state":"succeeded","result_urls":["https://x.example/1"]}"#
        #expect(try books.move(run: RunIDs.first, late) == "finished_meanwhile")
        #expect(try books.outcome("j") == "failed/voided")
        #expect(try books.text(SQL(raw: row)) == "cancelled/changed her mind/")
        #expect(try books.transfers("j") == "hold 100, void 100")
        #expect(try books.text("SELECT count(*)::text FROM holdfast.asset") == "0")
        #expect(try books.violations() == "")
    }

    @Test(arguments: ["delivered", "failed", "abandoned", "dismissed"])
    func `on a closed job a cancellation changes nothing`(_ state: String) throws {
        let books = try Books()
        try job(in: state, books)
        let whole: SQL = "SELECT j::text FROM holdfast.job j"
        let before = try books.text(whole)
        try cancel(books)
        #expect(try books.text(whole) == before)
    }

    @Test func `once the provider has succeeded, it is refused`() throws {
        let books = try Books()
        try job(in: "succeeded", books)
        let call: SQL = "SELECT holdfast.finish_job('j', 'cancelled')"
        #expect(try books.failure(call) == "HF003")
        #expect(try books.outcome("j") == "succeeded/held")
        try deliver(books, "j")
        #expect(try books.outcome("j") == "delivered/captured")
    }

    @Test(arguments: [
        ("delivered", "hold 100, void 100"), ("succeeded", "hold 100, capture 100, refund 100"),
    ])
    func `unless the policy gives the credits back`(_ capture: String, _ transfers: String) throws {
        let books = try Books()
        try books.run(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('cancel_after_success', 'void'),
                ('capture_at', \(capture))
            """, role: nil)
        try job(in: "succeeded", books)
        for _ in 1...2 { try cancel(books) }
        #expect(
            try books.text("SELECT state || '/' || error_code FROM holdfast.job")
                == "failed/cancelled")
        #expect(try books.transfers("j") == transfers)
        #expect(try books.balance("a") == "100/0/0")
        #expect(try books.text("SELECT state FROM holdfast.asset") == "dropped")
        #expect(try books.violations() == "")
    }

    /// Its task is asked about when it had time to end, and what it cost is written down.
    @Test(arguments: [true, false])
    func `the task of a cancelled job is watched for its cost alone`(_ isKnown: Bool) throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100, task: isKnown ? "t" : nil)
        try books.run("SELECT holdfast.mark_submitting('j')")
        try cancel(books)
        if !isKnown { try books.run("SELECT holdfast.mark_submitted('j', 't')") }
        let tokens = try books.claim(
            run: RunIDs.first, pass: "orphan-recoverer", offset: "70 minutes")
        let move =
            #"{"job_id":"j","token":\#(tokens["j"] ?? 0),"task_id":"t","task_state":"succeeded","#
            + #""cost_amount":"2.5","cost_unit":"credits","answer":"healthy","ends_watch":true}"#
        #expect(
            try books.move(
                run: RunIDs.first, pass: "orphan-recoverer", offset: "70 minutes", move) == "go")
        #expect(
            try books.text("SELECT state || ' ' || cost_amount FROM holdfast.task")
                == "succeeded 2.5")
        #expect(
            try books.text(
                "SELECT state || '/' || coalesce(watch_until::text, '') FROM holdfast.job")
                == "failed/")
        #expect(try books.transfers("j") == "hold 100, void 100")
    }

    @Test func `a callback about a cancelled job makes its task due`() throws {
        let books = try Books()
        try job(in: "submitted", books)
        try cancel(books)
        try books.run("SELECT holdfast.wake_job('j', NULL)", role: nil)
        #expect(
            try books.text("SELECT (next_poll_at <= clock_timestamp())::text FROM holdfast.job")
                == "true")
    }
}
