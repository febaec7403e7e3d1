import Core
import Postgres
import TestSupport

/// A migrated database of one test's own, with the few words that contract tests need.
struct Books {
    let database: ScratchDatabase

    init() throws { database = try ScratchDatabase(RescueLine.template) }

    @discardableResult
    func run(_ statement: SQL, role: String? = "holdfast_app") throws -> Rows {
        try database.connect(role: role).query(statement)
    }

    /// The SQLSTATE that a statement fails with; nil when it succeeds.
    func failure(_ statement: SQL, role: String? = "holdfast_app") throws -> String? {
        do {
            try run(statement, role: role)
            return nil
        } catch let error as PostgresError {
            return error.sqlState
        }
    }

    func grant(_ account: String, _ credits: Int) throws {
        try run(
            "SELECT holdfast.grant_credits(\(account), \(credits)::bigint, \("grant \(account) \(RunID.make())"))"
        )
    }

    func open(
        _ id: String, _ account: String, _ credits: Int = 100, provider: String = "kie",
        outputs: Int = 1, task: String? = nil
    ) throws {
        try run(
            """
            SELECT holdfast.open_job(\(id), \(account), \(provider), 'model', 'video',
                \(credits)::bigint, NULL, \(outputs)::integer)
            """)
        guard let task else { return }
        try run("SELECT holdfast.mark_submitting(\(id))")
        try run("SELECT holdfast.mark_submitted(\(id), \(task))")
    }

    /// As the server's owner: what the application's role may not see.
    func text(_ statement: SQL) throws -> String {
        let rows = try run(statement, role: nil)
        guard let row = rows.first, let column = rows.columns.first else { return "(none)" }
        return try row.optionalText(column) ?? "null"
    }

    /// `state/credit_state`.
    func outcome(_ id: String) throws -> String {
        try text(
            "SELECT state || '/' || credit_state FROM holdfast.job_status WHERE job_id = \(id)")
    }

    /// `available/held/spent`.
    func balance(_ account: String) throws -> String {
        try text(
            """
            SELECT available || '/' || held || '/' || spent FROM holdfast.account_balance
            WHERE account_id = \(account)
            """)
    }

    func transfers(_ id: String) throws -> String {
        try text(
            """
            SELECT coalesce(string_agg(kind || ' ' || amount, ', ' ORDER BY sequence), '')
            FROM holdfast.transfer WHERE job_id = \(id)
            """)
    }

    func violations() throws -> String {
        try text(
            """
            SELECT coalesce(string_agg(invariant || ' ' || subject || ' ' || detail, '; '), '')
            FROM holdfast.invariant_violation
            """)
    }

    /// Claims everything that is due at `offset` for a run, as the sweeper or the recoverer does;
    /// returns `job:token` by job.
    func claim(
        run: String, pass: String = "stuck-sweeper", offset: String = "10 minutes", most: Int = 100
    ) throws -> [String: Int] {
        var claimed: [String: Int] = [:]
        for row in try self.run(
            """
            SELECT (c.item).job_id, (c.item).token FROM holdfast.claim_jobs(\(run)::uuid, \(pass),
                ARRAY['kie', 'kling'], ARRAY[\(most)::integer, \(most)::integer],
                \(most)::integer, '{}', \(offset)::interval) c
            WHERE (c.item).job_id IS NOT NULL
            """, role: nil)
        {
            claimed[try row.text("job_id")] = try row.int("token")
        }
        return claimed
    }

    /// Applies one move and returns its outcome.
    func move(
        run: String, pass: String = "stuck-sweeper", offset: String = "10 minutes", _ json: String
    )
        throws -> String
    {
        try text(
            """
            SELECT string_agg(DISTINCT outcome, ',') FROM holdfast.record_moves(\(run)::uuid,
                \(pass), \(offset)::interval, \("[" + json + "]")::jsonb)
            """)
    }
}
