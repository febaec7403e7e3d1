package import Core
package import Postgres

/// What became of a batch of lines.
package struct UsageCounts: Equatable, Sendable {
    package var new: Int64 = 0
    /// They were in the books already, with the same content or another.
    package var known: Int64 = 0
    /// Known under the same name with other content, and not told before.
    package var conflicts: Int64 = 0
    /// The database would not have them: the names of lines, each with its reason.
    package var refused: [String] = []

    package init() {}

    package mutating func add(_ other: UsageCounts) {
        new += other.new
        known += other.known
        conflicts += other.conflicts
        refused += other.refused
    }
}

/// A file of usage lines as it was checked.
package struct UsageFileFacts: Equatable, Sendable {
    package var name: String
    package var sha256: String
    package var lines: Int64
    package var badLines: Int64
    package var first: Instant?
    package var last: Instant?

    package init(
        name: String, sha256: String, lines: Int64, badLines: Int64, first: Instant?, last: Instant?
    ) {
        self.name = name
        self.sha256 = sha256
        self.lines = lines
        self.badLines = badLines
        self.first = first
        self.last = last
    }
}

/// What providers say they did and charged, and what is left on our accounts there.
package struct UsageBooks: Sendable {
    package enum Source: String, Sendable {
        case billing, `import`
    }

    /// Who brings it: `person:anna@host1`, or a run's command.
    private let actor: String
    private let runID: String?
    private let clockOffset: Duration

    package init(actor: String, runID: String? = nil, clockOffset: Duration = .zero) {
        self.actor = actor
        self.runID = runID
        self.clockOffset = clockOffset
    }

    /// The clock that decisions are made by.
    package func now(_ connection: borrowing Connection) throws -> Instant {
        try connection.query(
            """
            SELECT (extract(epoch FROM clock_timestamp() + \(clockOffset)::interval)
                * 1000000)::bigint AS now_us
            """
        ).single().instant("now_us")
    }

    /// Whether the database knows a time zone by this name.
    package static func knowsZone(
        _ connection: borrowing Connection, _ name: String
    ) throws -> Bool {
        try connection.query(
            "SELECT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = \(name)) AS there"
        ).single().bool("there")
    }

    /// How far a zone is ahead of UTC, from when on each, since 2015.
    ///
    /// Zones change on a half hour at the least, which is how closely they are looked at.
    package static func offsets(
        _ connection: borrowing Connection, zone: String
    ) throws -> [(from: Instant, offset: Duration)] {
        try connection.query(
            """
            SELECT (extract(epoch FROM o.at) * 1000000)::bigint AS from_us,
                (extract(epoch FROM o.ahead) * 1000000)::bigint AS offset_us
            FROM (SELECT s.at, s.ahead, lag(s.ahead) OVER (ORDER BY s.at) AS before
                FROM (SELECT g AS at, (g AT TIME ZONE \(zone)) - (g AT TIME ZONE 'UTC') AS ahead
                    FROM generate_series('2015-01-01Z'::timestamptz, now() + interval '2 days',
                        interval '30 minutes') AS g) s) o
            WHERE o.ahead IS DISTINCT FROM o.before ORDER BY o.at
            """
        ).map { (try $0.instant("from_us"), try $0.duration("offset_us")) }
    }

    /// Those of the units for which money is known somehow: the currency, and what has a `unit_value`.
    package static func valued(
        _ connection: borrowing Connection, provider: String, units: [String]
    ) throws -> Set<String> {
        let rows = try connection.query(
            """
            SELECT u.unit FROM unnest(\(units)::text[]) AS u (unit)
            WHERE u.unit = holdfast.policy_value('currency')
                OR EXISTS (SELECT FROM holdfast.dated_policy p WHERE p.key = 'unit_value'
                    AND p.provider IN ('', \(provider)) AND p.unit = u.unit)
            """)
        return Set(try rows.map { try $0.text("unit") })
    }

    /// Begins the import of a file, or goes on with one that was cut short.
    package func beginImport(
        _ connection: borrowing Connection, provider: String, _ file: UsageFileFacts
    ) throws -> Int64 {
        try connection.query(
            """
            SELECT holdfast.begin_usage_import(\(actor), \(provider), \(file.name), \(file.sha256),
                \(file.lines)::bigint, \(file.badLines)::bigint, \(file.first)::bigint,
                \(file.last)::bigint, \(clockOffset)::interval) AS import_id
            """
        ).single().int64("import_id")
    }

    /// Takes in a page of a bill's lines, once each.
    ///
    /// - Parameter importID: The file that they came in; nil for a provider's own billing.
    package func record(
        _ connection: borrowing Connection, provider: String, source: Source, importID: Int64?,
        _ offers: [UsageOffer]
    ) throws -> UsageCounts {
        var refused: [String] = []
        let parts = try connection.repeatable(offers) {
            try write(connection, provider, source, importID, $0)
        } refused: {
            refused.append("line \($0.lineKey): \($1.message) (\($1.sqlState))")
        }
        var counts = UsageCounts()
        for part in parts { counts.add(part) }
        counts.refused = refused
        return counts
    }

    private func write(
        _ connection: borrowing Connection, _ provider: String, _ source: Source,
        _ importID: Int64?, _ offers: [UsageOffer]
    ) throws -> UsageCounts {
        let json = JSON.write(.array(offers.map(\.json)))
        let row = try connection.query(
            """
            SELECT * FROM holdfast.record_usage(\(runID)::uuid, \(actor), \(provider),
                \(source.rawValue), \(importID)::bigint, \(json)::jsonb,
                \(clockOffset)::interval)
            """
        ).single()
        var counts = UsageCounts()
        counts.new = try row.int64("new_lines")
        counts.known = try row.int64("known_lines")
        counts.conflicts = try row.int64("new_conflicts")
        return counts
    }

    /// How many of these lines the books lack; writes nothing.
    package static func missing(
        _ connection: borrowing Connection, provider: String, _ offers: [UsageOffer]
    ) throws -> Int64 {
        try connection.query(
            """
            SELECT count(*) AS missing FROM unnest(\(offers.map(\.lineKey))::text[]) AS k (line_key)
            WHERE NOT EXISTS (SELECT FROM holdfast.usage_line l
                WHERE l.provider = \(provider) AND l.line_key = k.line_key)
            """
        ).single().int64("missing")
    }
}

extension UsageBooks {
    /// Notes what is left at a provider; false when there is an amount for this instant already.
    ///
    /// - Parameters:
    ///   - at: When it was read; nil for now.
    ///   - margin: How far from that time the amount may have stood; jobs that were under way
    ///     meanwhile may have been paid for before it or after it.
    package func recordBalance(
        _ connection: borrowing Connection, provider: String, amount: ExactDecimal, unit: String,
        at: Instant?, margin: Duration, isFromProvider: Bool
    ) throws -> Bool {
        try connection.query(
            """
            SELECT holdfast.record_provider_balance(\(actor), \(provider), \(unit),
                \(amount.text)::numeric, \(at)::bigint,
                \(isFromProvider ? "provider" : "person"), \(margin)::interval,
                \(clockOffset)::interval) AS is_new
            """
        ).single().bool("is_new")
    }

    /// Notes money paid in at a provider, once for each reference; false when it is there already.
    package func recordTopUp(
        _ connection: borrowing Connection, provider: String, amount: ExactDecimal, unit: String,
        reference: String, at: Instant?
    ) throws -> Bool {
        try connection.query(
            """
            SELECT holdfast.record_top_up(\(actor), \(provider), \(reference), \(unit),
                \(amount.text)::numeric, \(at)::bigint, \(clockOffset)::interval) AS is_new
            """
        ).single().bool("is_new")
    }

    /// From when on a provider's own billing is read: a little before where it was read to, because
    /// lines come late; the books' window where it never was.
    package func fetchStart(
        _ connection: borrowing Connection, provider: String, delay: Duration
    ) throws -> Instant {
        try connection.query(
            """
            SELECT (extract(epoch FROM coalesce(
                (SELECT f.covered_until - \(delay)::interval FROM holdfast.usage_fetch f
                    WHERE f.provider = \(provider)),
                clock_timestamp() + \(clockOffset)::interval
                    - holdfast.policy_interval('books_window'))) * 1000000)::bigint AS from_us
            """
        ).single().instant("from_us")
    }

    /// Notes how far a provider's billing was read this time, and what stood in the way.
    package func noteFetch(
        _ connection: borrowing Connection, provider: String, coveredUntil: Instant?,
        problem: String?
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.note_usage_fetch(\(runID)::uuid, \(provider), \(coveredUntil)::bigint,
                \(problem), \(clockOffset)::interval)
            """)
    }
}

/// Which usage lines to look at; nil for all.
package struct UsageFilter: Equatable, Sendable {
    package var provider: String?
    /// A day in the business zone, from its cut-off.
    package var day: String?
    package var taskID: String?

    package init(provider: String? = nil, day: String? = nil, taskID: String? = nil) {
        self.provider = provider
        self.day = day
        self.taskID = taskID
    }
}

/// A usage line as it stands in the books.
package struct UsageLine: Equatable, Sendable {
    package var provider, lineKey, source: String
    package var taskID, jobID, model, status: String?
    package var amount, unit, booked: String
    package var happenedAt, recordedAt: Instant
}

extension UsageBooks {
    /// The newest lines first.
    package static func lines(
        _ connection: borrowing Connection, _ filter: UsageFilter, most: Int
    ) throws -> [UsageLine] {
        var conditions: SQL = "true"
        if let provider = filter.provider {
            conditions = "\(sql: conditions) AND l.provider = \(provider)"
        }
        if let taskID = filter.taskID {
            conditions = "\(sql: conditions) AND l.task_id = \(taskID)"
        }
        if let day = filter.day {
            conditions = """
                \(sql: conditions) AND l.happened_at >= \(sql: Self.start(of: day, 0))
                    AND l.happened_at < \(sql: Self.start(of: day, 1))
                """
        }
        return try connection.query(
            """
            SELECT l.provider, l.line_key, l.source, l.task_id, l.job_id, l.model, l.status,
                trim_scale(l.amount)::text AS amount, l.unit, trim_scale(l.booked)::text AS booked,
                (extract(epoch FROM l.happened_at) * 1000000)::bigint AS happened_us,
                (extract(epoch FROM l.recorded_at) * 1000000)::bigint AS recorded_us
            FROM holdfast.provider p CROSS JOIN LATERAL (
                SELECT l.* FROM holdfast.usage_line l
                WHERE l.provider = p.provider AND \(sql: conditions)
                ORDER BY l.happened_at DESC, l.usage_id DESC LIMIT \(most)::integer) l
            ORDER BY l.happened_at DESC, l.usage_id DESC LIMIT \(most)::integer
            """
        ).map { row in
            UsageLine(
                provider: try row.text("provider"), lineKey: try row.text("line_key"),
                source: try row.text("source"), taskID: try row.optionalText("task_id"),
                jobID: try row.optionalText("job_id"), model: try row.optionalText("model"),
                status: try row.optionalText("status"), amount: try row.text("amount"),
                unit: try row.text("unit"), booked: try row.text("booked"),
                happenedAt: try row.instant("happened_us"),
                recordedAt: try row.instant("recorded_us"))
        }
    }

    private static func start(of day: String, _ later: Int) -> SQL {
        """
        ((\(day)::date + \(later)::integer + holdfast.policy_value('business_cutoff')::time)
            AT TIME ZONE holdfast.policy_value('business_zone'))
        """
    }

    /// A profile's options; nil when there is none of that name.
    package static func profile(
        _ connection: borrowing Connection, _ name: String
    ) throws -> JSONValue? {
        try connection.query(
            "SELECT options::text AS options FROM holdfast.usage_profile WHERE profile = \(name)"
        ).first.map { try JSON.parse(try $0.text("options")) }
    }

    package static func profiles(_ connection: borrowing Connection) throws -> [String] {
        try connection.query("SELECT profile FROM holdfast.usage_profile ORDER BY profile")
            .map { try $0.text("profile") }
    }

    package static func saveProfile(
        _ connection: borrowing Connection, _ name: String, _ options: JSONValue, by person: String
    ) throws {
        try connection.execute(
            """
            INSERT INTO holdfast.usage_profile (profile, options, set_by)
            VALUES (\(name), \(JSON.write(options))::jsonb, \(person))
            ON CONFLICT (profile) DO UPDATE
            SET options = excluded.options, set_at = excluded.set_at, set_by = excluded.set_by
            """)
    }
}
