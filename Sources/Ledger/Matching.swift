package import Core
package import Postgres

/// Matches jobs, transfers, files, callbacks and usage lines, both ways, page by page: each page is a
/// short transaction of its own, and memory does not grow with the books.
package struct Matching: Sendable {
    /// Jobs, accounts, lines or callbacks of one page.
    package static let page = 5000
    /// Parts of the window that two connections share: enough for both to end at about the same time.
    private static let sliceCount = 64

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

    /// A part of the window: jobs created from one time to before another.
    package struct Slice: Equatable, Sendable {
        var from: String
        /// Nil for the last one, which has no end.
        var until: String?
    }

    /// The window in parts of equal length in time, for two connections to share; one part when there is
    /// not enough of it to be worth a second connection.
    package func slices(_ connection: borrowing Connection) throws -> [Slice] {
        let starts = try connection.query(
            """
            SELECT (w.from_at + (w.until_at - w.from_at) * n / \(Self.sliceCount)::float8)::text
                AS starts_at
            FROM (SELECT min(created_at) AS from_at, max(created_at) AS until_at
                FROM holdfast.job WHERE created_at > \(since)::timestamptz) w
            CROSS JOIN generate_series(1, \(Self.sliceCount - 1)::integer) n
            WHERE (SELECT count(*) FROM (SELECT FROM holdfast.job
                WHERE created_at > \(since)::timestamptz LIMIT \(2 * Self.page)::bigint) j)
                = \(2 * Self.page)::bigint
            ORDER BY n
            """
        ).map { try $0.text("starts_at") }
        return zip([since] + starts, starts.map(Optional.some) + [nil]).map(Slice.init)
    }

    /// Matches a part of the window; calls `body` for each page that has findings.
    /// - Returns: How many jobs were looked at.
    package func match(
        _ slice: Slice, _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void
    ) throws -> Int {
        try turn(
            connection, shouldStop, body, from: Place(at: slice.from, id: ""),
            next: { Place(at: try $0.text("next_at"), id: try $0.text("next_job")) }
        ) { after in
            """
            SELECT examined, next_at, next_job, to_json(found)::text AS found
            FROM holdfast.match_window(\(after.at)::timestamptz, \(after.id),
                \(slice.until)::timestamptz, \(Self.page)::integer)
            """
        }
    }

    /// Matches older jobs that still matter.
    /// - Returns: How many jobs were looked at.
    package func older(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void
    ) throws -> Int {
        try turn(
            connection, shouldStop, body, from: "", next: { try $0.text("next_job") }
        ) { after in
            """
            SELECT examined, next_job, to_json(found)::text AS found
            FROM holdfast.match_older(\(since)::timestamptz, \(moved)::timestamptz, \(after),
                \(Self.page)::integer)
            """
        }
    }

    /// Matches from the other side: what providers and callbacks say.
    package func others(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void
    ) throws {
        _ = try turn(
            connection, shouldStop, body, from: Place(at: since, id: "0"),
            next: { Place(at: try $0.text("next_at"), id: try $0.text("next_id")) }
        ) { after in
            """
            SELECT examined, next_at, next_id::text AS next_id, to_json(found)::text AS found
            FROM holdfast.match_usage(\(after.at)::timestamptz, \(after.id)::bigint,
                \(Self.page)::integer)
            """
        }
        _ = try turn(
            connection, shouldStop, body, from: 0, next: { try $0.int64("next_id") }
        ) { after in
            """
            SELECT examined, next_id, to_json(found)::text AS found
            FROM holdfast.match_callbacks(\(after)::bigint, \(Self.page)::integer)
            """
        }
        _ = try page(
            connection,
            """
            SELECT to_json(found)::text AS found
            FROM holdfast.match_rest(\(since)::timestamptz) AS found
            """, body)
    }

    /// Matches accounts with what moved since the last day that is counted.
    package func accounts(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void
    ) throws {
        _ = try turn(
            connection, shouldStop, body, from: "", next: { try $0.text("next_account") }
        ) { after in
            """
            SELECT examined, next_account, to_json(found)::text AS found
            FROM holdfast.match_accounts(\(after), \(Self.page)::integer)
            """
        }
    }

    /// A break that was found outside the database.
    func found(_ json: String) throws -> FoundBreak { try FoundBreak(json: json, classes) }

    /// How far a page went, in the order of its rows.
    private struct Place {
        var at: String
        var id: String
    }

    /// Turns pages until there is none; the first row of each says where the next begins.
    /// - Returns: How many rows were looked at.
    private func turn<Position>(
        _ connection: borrowing Connection, _ shouldStop: () -> Bool,
        _ body: ([FoundBreak]) throws -> Void, from start: Position,
        next: (Row) throws -> Position, _ query: (Position) -> SQL
    ) throws -> Int {
        var examined = 0
        var after = start
        while !shouldStop(), let row = try page(connection, query(after), body) {
            examined += try row.int("examined")
            after = try next(row)
        }
        return examined
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
