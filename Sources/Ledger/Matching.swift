package import Core
package import Postgres

/// Matches jobs, transfers, files, callbacks and usage lines, both ways, page by page: each page is a
/// short transaction of its own, and memory does not grow with the books.
package struct Matching: Sendable {
    /// Jobs, accounts, lines or callbacks of one page.
    package static let page = 5000
    /// Parts of the window that two connections share: enough for both to end at about the same time.
    private static let sliceCount = 64
    /// A page with a row that cannot be matched is taken again in pages so much smaller.
    private static let narrowing = 10

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

    /// What a page came to.
    package enum Finding: Sendable {
        case breaks([FoundBreak])
        /// One that cannot be matched, and why, in words; the others of its page are.
        case refused(String)
    }

    /// Matches a part of the window; calls `body` for each page that has findings.
    /// - Returns: How many jobs were looked at.
    package func match(
        _ slice: Slice, _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: (Finding) throws -> Void
    ) throws -> Int {
        try turn(
            connection, shouldStop, body, from: Place(at: slice.from, id: ""),
            next: { Place(at: try $0.text("next_at"), id: try $0.text("next_job")) }
        ) { after, most in
            """
            SELECT examined, next_at, next_job, to_json(found)::text AS found, refused
            FROM holdfast.match_window(\(after.at)::timestamptz, \(after.id),
                \(slice.until)::timestamptz, \(most)::integer)
            """
        }
    }

    /// Matches older jobs that still matter.
    /// - Returns: How many jobs were looked at.
    package func older(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: (Finding) throws -> Void
    ) throws -> Int {
        try turn(
            connection, shouldStop, body, from: "", next: { try $0.text("next_job") }
        ) { after, most in
            """
            SELECT examined, next_job, to_json(found)::text AS found, refused
            FROM holdfast.match_older(\(since)::timestamptz, \(moved)::timestamptz, \(after),
                \(most)::integer)
            """
        }
    }

    /// Matches from the other side: what providers and callbacks say.
    package func others(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: (Finding) throws -> Void
    ) throws {
        _ = try turn(
            connection, shouldStop, body, from: Place(at: since, id: "0"),
            next: { Place(at: try $0.text("next_at"), id: try $0.text("next_id")) },
            passing: Passing("usage line") { after in
                """
                SELECT recorded_at::text AS next_at, usage_id::text AS next_id, 1 AS examined,
                    usage_id::text AS name
                FROM holdfast.usage_line
                WHERE (recorded_at, usage_id) > (\(after.at)::timestamptz, \(after.id)::bigint)
                ORDER BY recorded_at, usage_id LIMIT 1
                """
            }
        ) { after, most in
            """
            SELECT examined, next_at, next_id::text AS next_id, to_json(found)::text AS found,
                NULL AS refused
            FROM holdfast.match_usage(\(after.at)::timestamptz, \(after.id)::bigint,
                \(most)::integer)
            """
        }
        _ = try turn(
            connection, shouldStop, body, from: 0, next: { try $0.int64("next_id") },
            passing: Passing("callback") { after in
                """
                SELECT callback_id AS next_id, 1 AS examined, callback_id::text AS name
                FROM holdfast.callback WHERE callback_id > \(after)::bigint
                    AND (result = 'unmatched' OR drained_at IS NULL)
                ORDER BY callback_id LIMIT 1
                """
            }
        ) { after, most in
            """
            SELECT examined, next_id, to_json(found)::text AS found, NULL AS refused
            FROM holdfast.match_callbacks(\(after)::bigint, \(most)::integer)
            """
        }
        do {
            _ = try page(
                connection,
                """
                SELECT to_json(found)::text AS found, NULL AS refused
                FROM holdfast.match_rest(\(since)::timestamptz) AS found
                """, body)
        } catch let error as PostgresError where error.isRowTrouble {
            try body(
                .refused(
                    "stray tasks, balances, missing files and late entries could not be matched: "
                        + error.description))
        }
    }

    /// Matches accounts with what moved since the last day that is counted.
    package func accounts(
        _ connection: borrowing Connection, shouldStop: () -> Bool,
        _ body: (Finding) throws -> Void
    ) throws {
        _ = try turn(
            connection, shouldStop, body, from: "", next: { try $0.text("next_account") },
            passing: Passing("account") { after in
                """
                SELECT account_id AS next_account, 1 AS examined, account_id AS name
                FROM holdfast.account WHERE account_id > \(after) ORDER BY account_id LIMIT 1
                """
            }
        ) { after, most in
            """
            SELECT examined, next_account, to_json(found)::text AS found, NULL AS refused
            FROM holdfast.match_accounts(\(after), \(most)::integer)
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

    /// How a row is passed by that cannot be matched.
    private struct Passing<Position> {
        var noun: String
        /// The first row behind a place: what it is called, and the place behind it.
        var next: (Position) -> SQL

        init(_ noun: String, next: @escaping (Position) -> SQL) {
            self.noun = noun
            self.next = next
        }
    }

    /// Turns pages until there is none; the first row of each says where the next begins.
    ///
    /// A page that cannot be matched is taken in smaller ones, until the row is found that keeps it
    /// from being matched; that one is passed by. Without `passing` the database finds it.
    /// - Returns: How many rows were looked at.
    private func turn<Position>(
        _ connection: borrowing Connection, _ shouldStop: () -> Bool,
        _ body: (Finding) throws -> Void, from start: Position, next: (Row) throws -> Position,
        passing: Passing<Position>? = nil, _ query: (Position, Int) -> SQL
    ) throws -> Int {
        var examined = 0
        var after = start
        var most = Self.page
        while !shouldStop() {
            do {
                guard let row = try page(connection, query(after, most), body) else { break }
                examined += try row.int("examined")
                after = try next(row)
                most = min(Self.page, most * Self.narrowing)
            } catch let error as PostgresError where error.isRowTrouble {
                guard let passing else { throw error }
                if most > 1 {
                    most = max(1, most / Self.narrowing)
                    continue
                }
                guard let row = try connection.query(passing.next(after)).first else { break }
                after = try next(row)
                try body(
                    .refused(
                        "\(passing.noun) \(try row.text("name")) could not be matched: "
                            + error.description))
            }
        }
        return examined
    }

    /// - Returns: The row that says how far the page went; nil when there was none.
    private func page(
        _ connection: borrowing Connection, _ query: SQL, _ body: (Finding) throws -> Void
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
        if !found.isEmpty { try body(.breaks(found)) }
        for row in rows {
            if let words = try row.optionalText("refused") { try body(.refused(words)) }
        }
        return rows.first
    }
}
