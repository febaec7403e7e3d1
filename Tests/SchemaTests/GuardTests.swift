import Postgres
import TestSupport
import Testing

/// What stands between a defect and somebody's credits.
///
/// Each test names the guard that it stands for, and fails when that guard is taken out of the SQL.
@Suite struct Guards {
    private func held() throws -> Books {
        let books = try Books()
        try books.grant("a", 300)
        try books.open("j", "a", 100, task: "t")
        return books
    }

    /// Guard: `job.hold_resolved_once`, checked with the settling function out of the way.
    @Test(arguments: ["capture", "void"], ["capture", "void"])
    func `the database refuses a second resolution of a hold`(_ first: String, _ second: String)
        throws
    {
        let books = try held()
        // A second hold, so that the account's balance would bear the second resolution.
        try books.open("other", "a", 100, task: "t2")
        func resolve(_ kind: String, _ id: String) -> SQL {
            """
            INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit,
                amount, actor, created_at)
            VALUES (\(id), \(kind), 'a', 'j', 'held',
                \(kind == "capture" ? "spent" : "available"), 100, 'test', now())
            """
        }
        #expect(try books.failure(resolve(first, "first"), role: nil) == nil)
        #expect(try books.failure(resolve(second, "second"), role: nil) == "23514")
        #expect(try books.transfers("j") == "hold 100, \(first) 100")
    }

    /// Guard: the `credit_state = 'held'` condition of `settle`.
    @Test func `settling twice moves credits once`() throws {
        let books = try held()
        try books.open("other", "a", 100, task: "t2")
        for action in ["void", "capture", "void"] {
            try books.run(
                """
                SELECT * FROM holdfast.settle(ARRAY[ROW('j', \(action), 100, 'test')::holdfast.resolution])
                """, role: nil)
        }
        #expect(try books.transfers("j") == "hold 100, void 100")
    }

    /// Guard: the primary key of `transfer` over ids derived from their cause.
    @Test func `a transfer with the same cause is refused`() throws {
        let books = try held()
        let again: SQL = """
            INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit,
                amount, actor, created_at)
            VALUES ('hold:j', 'hold', 'a', 'j', 'available', 'held', 100, 'test', now())
            """
        #expect(try books.failure(again, role: nil) == "23505")
    }

    /// Guard: `account.account_never_below_zero`.
    @Test func `an account never goes below zero`() throws {
        let books = try held()
        let over: SQL = """
            INSERT INTO holdfast.transfer (transfer_id, kind, account_id, debit, credit, amount,
                actor, created_at)
            VALUES ('x', 'adjustment', 'a', 'available', 'issued', 201, 'test', now())
            """
        #expect(try books.failure(over, role: nil) == "23514")
        #expect(try books.balance("a") == "200/100/0")
    }

    /// Guard: `account.account_in_balance`.
    @Test func `balances cannot be edited away from what was granted`() throws {
        let books = try held()
        #expect(
            try books.failure("UPDATE holdfast.account SET available = available + 1", role: nil)
                == "23514")
    }

    /// Guard: the balance check of `open_job`, under the account's row lock.
    @Test func `of two jobs that only one can pay for, one is opened`() async throws {
        let books = try Books()
        try books.grant("a", 100)
        let states = try await withThrowingTaskGroup(of: String?.self) { group in
            for n in 1...12 {
                group.addTask {
                    try books.failure(
                        "SELECT holdfast.open_job(\("j\(n)"), 'a', 'kie', 'm', 'video', 100)")
                }
            }
            return try await group.reduce(into: [String?]()) { $0.append($1) }
        }
        #expect(states.count { $0 == nil } == 1)
        #expect(states.count { $0 == "HF001" } == 11)
        #expect(try books.balance("a") == "0/100/0")
    }

    /// Guard: triggers `transfer_is_immutable` and `transfer_is_never_emptied`.
    @Test(arguments: [
        "UPDATE holdfast.transfer SET amount = 1", "DELETE FROM holdfast.transfer",
        "TRUNCATE holdfast.transfer",
    ])
    func `transfers are never changed`(_ statement: String) throws {
        #expect(try held().failure(SQL(raw: statement), role: nil) == "HF011")
    }

    /// Guard: trigger `job_state_order`.
    @Test(arguments: [
        ("delivered", "running"), ("delivered", "failed"), ("failed", "running"),
        ("failed", "succeeded"), ("dismissed", "succeeded"), ("running", "submitted"),
        ("succeeded", "running"), ("timed_out", "running"), ("abandoned", "failed"),
    ])
    func `no state goes backward`(_ from: String, _ to: String) throws {
        let books = try Books()
        try books.open("j", "free", 0, task: "t")
        try books.run(
            """
            ALTER TABLE holdfast.job DISABLE TRIGGER job_state_order;
            """, role: nil)
        try books.run(
            "UPDATE holdfast.job SET state = \(from), error_code = 'provider_failed'", role: nil)
        try books.run("ALTER TABLE holdfast.job ENABLE TRIGGER job_state_order", role: nil)
        #expect(
            try books.failure(
                "UPDATE holdfast.job SET state = \(to), error_code = 'provider_failed'", role: nil)
                == "HF010")
    }

    /// Guard: `job.closed_job_is_settled`.
    @Test(arguments: ["delivered", "failed", "abandoned", "dismissed"])
    func `no job ends while its hold stands`(_ state: String) throws {
        let books = try held()
        try books.run("ALTER TABLE holdfast.job DISABLE TRIGGER job_state_order", role: nil)
        #expect(try books.failure("UPDATE holdfast.job SET state = \(state)", role: nil) == "23514")
    }

    /// Guard: the fencing token in `judge_move`.
    @Test func `a run that lost its lease writes nothing`() throws {
        let books = try held()
        let slow = try books.claim(run: RunIDs.first)
        // Its lease expires; another run claims the job and is still asking.
        let next = try books.claim(run: RunIDs.second, offset: "20 minutes")
        #expect(slow == ["j": 1] && next == ["j": 2])
        let failed =
            #"{"job_id": "j", "token": 1, "new_state": "failed", "error_code": "provider_failed"}"#
        #expect(try books.move(run: RunIDs.first, offset: "20 minutes", failed) == "lease_lost")
        #expect(try books.outcome("j") == "submitted/held")
    }

    /// Guard: the lease's expiry in `claim_jobs`.
    @Test func `a leased job is not claimed by another run`() throws {
        let books = try held()
        #expect(try books.claim(run: RunIDs.first) == ["j": 1])
        #expect(try books.claim(run: RunIDs.second) == [:])
        #expect(try books.claim(run: RunIDs.second, offset: "13 minutes") == ["j": 2])
    }

    /// Guard: a lease further ahead than the lease length counts as expired.
    @Test func `a lease from a clock of the future does not hold the job`() throws {
        let books = try held()
        #expect(try books.claim(run: RunIDs.first, offset: "26 hours") == ["j": 1])
        #expect(try books.claim(run: RunIDs.second, offset: "10 minutes") == ["j": 2])
    }

    /// Guard: the state condition in `judge_move` (rule: the database is asked before the provider).
    @Test(arguments: [
        "finish_job('j', 'failed')", "dismiss_job('j', 'phantom')",
        "finish_job('j', 'succeeded', ARRAY['https://x.example/1'])",
    ])
    func `an answer that comes after the application finished the job changes nothing`(
        _ call: String
    ) throws {
        let books = try held()
        _ = try books.claim(run: RunIDs.first)
        try books.run("SELECT holdfast.\(raw: call)")
        let before = try books.outcome("j")
        let late =
            #"{"job_id": "j", "token": 1, "new_state": "failed", "error_code": "provider_failed"}"#
        #expect(try books.move(run: RunIDs.first, late) == "finished_meanwhile")
        #expect(try books.outcome("j") == before)
        #expect(try books.violations() == "")
    }

    /// Guard: the revision in `judge_move`.
    @Test(arguments: [
        "heartbeat('c', 'uploading')", "mark_submitting('c')", "mark_submitted('c', 'c-task')",
    ])
    func `a mark at the last instant wins over never_submitted`(_ call: String) throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("c", "a", 100)
        #expect(try books.claim(run: RunIDs.first) == ["c": 1])
        try books.run("SELECT holdfast.\(raw: call)")
        let ended =
            #"{"job_id": "c", "token": 1, "revision": 0, "new_state": "failed", "error_code": "never_submitted"}"#
        #expect(try books.move(run: RunIDs.first, ended) == "finished_meanwhile")
        #expect(try books.balance("a") == "0/100/0")
    }

    /// Guard: the token bucket in `take_tokens`.
    @Test func `claims stop where the provider's rate ends`() throws {
        let books = try Books()
        try books.grant("a", 100)
        for n in 1...25 { try books.open("j\(n)", "a", 1, task: "t\(n)") }
        try books.run(
            "INSERT INTO holdfast.policy (key, provider, value) VALUES ('rate', 'kie', '0.001'), ('rate_burst', 'kie', '7')",
            role: nil)
        // A quarter, in whole tokens, is kept for what cannot wait.
        #expect(try books.claim(run: RunIDs.first, most: 100).count == 6)
        #expect(try books.claim(run: RunIDs.second, most: 100).count == 0)
    }

    /// Guard: `claim_limit` in `claim_jobs`.
    @Test func `a job that three claims did not survive is set aside`() throws {
        let books = try held()
        for minutes in [10, 20, 30] {
            #expect(try books.claim(run: RunIDs.first, offset: "\(minutes) minutes").count == 1)
        }
        #expect(try books.claim(run: RunIDs.first, offset: "40 minutes") == [:])
        #expect(
            try books.text("SELECT blocked FROM holdfast.job_status WHERE job_id = 'j'")
                == "crashed")
        #expect(try books.outcome("j") == "submitted/held")
    }

    /// Guard: `braked`, called by `apply_moves` for automatic moves.
    @Test func `the brake stops automatic voids and keeps what would have moved`() throws {
        let books = try Books()
        try books.grant("a", 100)
        for n in 1...6 { try books.open("j\(n)", "a", 10, task: "t\(n)") }
        try books.run(
            "INSERT INTO holdfast.policy (key, value) VALUES ('brake_jobs', '4'), ('rate', '1000'), ('rate_burst', '1000')",
            role: nil)
        let tokens = try books.claim(run: RunIDs.first)
        for id in tokens.keys.sorted() {
            let outcome = try books.move(
                run: RunIDs.first,
                #"{"job_id": "\#(id)", "token": 1, "new_state": "failed", "error_code": "provider_failed"}"#
            )
            #expect(outcome == (id <= "j4" ? "go" : "braked"))
        }
        #expect(try books.balance("a") == "80/20/0")
        #expect(try books.outcome("j5") == "submitted/held")
        #expect(
            try books.text("SELECT holdfast.release_brakes(NULL, NULL, NULL, 'person:test')::text")
                == "2")
        try books.run(
            "SELECT * FROM holdfast.apply_released(\(RunIDs.first)::uuid, 'orphan-recoverer', '10 minutes', 100, '{}')",
            role: nil)
        #expect(try books.balance("a") == "100/0/0")
        #expect(try books.outcome("j6") == "failed/voided")
        #expect(try books.violations() == "")
    }

    /// Guard: the undrained-callback condition of `judge_move` on abandonment.
    @Test func `a watch does not end while a callback is waiting`() throws {
        let books = try held()
        try books.run("SELECT holdfast.mark_timed_out('j')")
        _ = try books.claim(run: RunIDs.first, pass: "orphan-recoverer", offset: "30 hours")
        try books.run("SELECT holdfast.record_callback('kie', '{}', '', '{\"taskId\":\"t\"}')")
        let abandon = #"{"job_id": "j", "token": 1, "new_state": "abandoned", "answer": "healthy"}"#
        #expect(
            try books.move(run: RunIDs.first, pass: "orphan-recoverer", offset: "30 hours", abandon)
                == "postponed")
        #expect(try books.outcome("j") == "timed_out/held")
    }
}
