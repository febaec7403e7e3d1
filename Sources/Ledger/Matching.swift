package import Core
package import Postgres

/// Matches jobs, transfers, files, callbacks and usage lines, both ways, page by page: each page is a
/// short transaction of its own, and memory does not grow with the books.
package struct Matching: Sendable {
    /// Jobs, accounts, lines or callbacks of one page.
    package static let page = 5000

    let run: Run
    let classes: BreakClasses
    /// Jobs younger than this are matched whole; of older ones, those that may still come to something.
    let since: String
    /// Older jobs that ended or moved credits after this are matched again.
    let moved: String
    /// When the matching began: what was not seen from here on is gone.
    package let begunAt: String

    package init(_ connection: borrowing Connection, _ run: Run) throws {
        self.run = run
        let rows = try connection.query(
            "SELECT class, is_invariant, is_integrity FROM holdfast.break_class")
        classes = BreakClasses(
            invariants: Set(
                try rows.filter { try $0.bool("is_invariant") }.map { try $0.text("class") }),
            integrity: Set(
                try rows.filter { try $0.bool("is_integrity") }.map { try $0.text("class") }))
        // The window begins with what no day has sealed yet, however many nights were missed.
        let row = try connection.query(
            """
            SELECT n.now::text AS begun_at, least(
                n.now - holdfast.policy_interval('books_window'),
                (SELECT d.ends_at FROM holdfast.business_day d WHERE d.state = 'sealed'
                    ORDER BY d.day DESC LIMIT 1))::text AS since,
                coalesce((SELECT d.starts_at FROM holdfast.business_day d
                    WHERE d.state = 'sealed' ORDER BY d.day DESC LIMIT 1), '-infinity')::text
                    AS moved
            FROM (SELECT clock_timestamp() + \(run.clockOffset)::interval AS now) n
            """
        ).single()
        begunAt = try row.text("begun_at")
        since = try row.text("since")
        moved = try row.text("moved")
    }

    /// A place between two jobs of the window, in the order of their age.
    package struct Place: Equatable, Sendable {
        var at: String
        var job: String
    }

    /// Where the last third of the window begins; nil when there is not enough of it to be worth a
    /// second connection.
    package func lastThird(_ connection: borrowing Connection) throws -> Place? {
        let count = try connection.query(
            "SELECT count(*) AS n FROM holdfast.job WHERE created_at > \(since)::timestamptz"
        ).single().int("n")
        guard count > 2 * Self.page else { return nil }
        return try connection.query(
            """
            SELECT created_at::text AS at, job_id FROM holdfast.job
            WHERE created_at > \(since)::timestamptz ORDER BY job.created_at, job_id
            OFFSET \(count / 3 * 2)::bigint LIMIT 1
            """
        ).first.map { Place(at: try $0.text("at"), job: try $0.text("job_id")) }
    }

    /// Matches the window from behind one place up to another; calls `body` for each page that has
    /// findings.
    /// - Returns: How many jobs were looked at.
    package func window(
        _ connection: borrowing Connection, after: Place?, upTo: Place?, shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void
    ) throws -> Int {
        var jobs = 0
        var after = after ?? Place(at: since, job: "")
        while !shouldStop() {
            let page = try self.page(
                connection,
                """
                SELECT examined, next_at, next_job, to_json(found)::text AS found
                FROM holdfast.match_window(\(after.at)::timestamptz, \(after.job),
                    \(upTo?.at)::timestamptz, \(upTo?.job), \(Self.page)::integer)
                """, body)
            guard let first = page else { break }
            jobs += try first.int("examined")
            after = Place(at: try first.text("next_at"), job: try first.text("next_job"))
        }
        return jobs
    }

    /// Matches older jobs that still matter, and from the other side what providers, callbacks and
    /// accounts say.
    /// - Returns: How many jobs were looked at.
    package func rest(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void
    ) throws -> Int {
        var jobs = 0
        try turn(connection, shouldStop, body, from: "", next: "next_job") { after in
            """
            SELECT examined, next_job, to_json(found)::text AS found
            FROM holdfast.match_older(\(since)::timestamptz, \(moved)::timestamptz, \(after),
                \(Self.page)::integer)
            """
        } examined: {
            jobs += $0
        }
        try turn(connection, shouldStop, body, from: "0", next: "next_id") { after in
            """
            SELECT examined, next_id::text AS next_id, to_json(found)::text AS found
            FROM holdfast.match_usage(\(since)::timestamptz, \(after)::bigint,
                \(Self.page)::integer)
            """
        }
        try turn(connection, shouldStop, body, from: "0", next: "next_id") { after in
            """
            SELECT examined, next_id::text AS next_id, to_json(found)::text AS found
            FROM holdfast.match_callbacks(\(after)::bigint, \(Self.page)::integer)
            """
        }
        try turn(connection, shouldStop, body, from: "", next: "next_account") { after in
            """
            SELECT examined, next_account, to_json(found)::text AS found
            FROM holdfast.match_accounts(\(after), \(Self.page)::integer)
            """
        }
        _ = try page(
            connection,
            """
            SELECT to_json(found)::text AS found
            FROM holdfast.match_rest(\(since)::timestamptz) AS found
            """, body)
        return jobs
    }

    /// A break that was found outside the database.
    func found(_ json: String) throws -> FoundBreak { try FoundBreak(json: json, classes) }

    /// Turns pages until there is none; the last row that names a place says where the next begins.
    private func turn(
        _ connection: borrowing Connection, _ shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void, from start: String, next: String,
        _ query: (String) -> SQL, examined: (Int) -> Void = { _ in }
    ) throws {
        var after = start
        while !shouldStop() {
            guard let row = try page(connection, query(after), body) else { return }
            examined(try row.int("examined"))
            after = try row.text(next)
        }
    }

    /// - Returns: The row that says how far the page went; nil when there was none.
    private func page(
        _ connection: borrowing Connection, _ query: SQL, _ body: ([FoundBreak]) throws -> Void
    ) throws -> Row? {
        let rows = try connection.transaction(.readOnly) {
            try connection.execute(
                """
                SELECT set_config('holdfast.clock_offset', \(run.clockOffset)::interval::text, true)
                """)
            return try connection.query(query)
        }
        let found = try rows.compactMap { row in
            try row.optionalText("found").map { try FoundBreak(json: $0, classes) }
        }
        if !found.isEmpty { try body(found) }
        return rows.first
    }
}
