package import Core
package import Postgres

/// For which jobs a policy holds; an empty part means any.
package struct PolicyScope: Hashable, Sendable {
    package var provider = ""
    package var kind = ""
    package var model = ""

    package init(provider: String? = nil, kind: String? = nil, model: String? = nil) {
        self.provider = provider ?? ""
        self.kind = kind ?? ""
        self.model = model ?? ""
    }

    /// `provider kie, kind video`, or `all jobs`.
    package var words: String {
        let parts = [("provider", provider), ("kind", kind), ("model", model)]
            .filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1)" }
        return parts.isEmpty ? "all jobs" : parts.joined(separator: ", ")
    }

    /// Some job is in both.
    func meets(_ other: PolicyScope) -> Bool {
        parts.elementsEqual(other.parts) { $0.isEmpty || $1.isEmpty || $0 == $1 }
    }

    /// Every job of `other` is in this one.
    func contains(_ other: PolicyScope) -> Bool {
        parts.elementsEqual(other.parts) { $0.isEmpty || $0 == $1 }
    }

    /// The jobs that are in both, for scopes that meet.
    func common(_ other: PolicyScope) -> PolicyScope {
        PolicyScope(
            provider: provider.isEmpty ? other.provider : provider,
            kind: kind.isEmpty ? other.kind : kind, model: model.isEmpty ? other.model : model)
    }

    private var parts: [String] { [provider, kind, model] }
}

/// One row of a policy.
package struct PolicyRow: Equatable, Sendable {
    package var key: String
    package var scope: PolicyScope
    package var value: String
    /// It came with the schema.
    package var isDefault: Bool
    package var setAt: Instant
    package var setBy: String
    /// False when a row that ranks before it covers all of its jobs.
    package var isInEffect = true

    /// The order in which rows are looked at: set ones first, then the most specific.
    fileprivate var rank: [Int] {
        [
            isDefault ? 1 : 0, scope.model.isEmpty ? 1 : 0, scope.kind.isEmpty ? 1 : 0,
            scope.provider.isEmpty ? 1 : 0,
        ]
    }
}

/// The policies in the database, so that every host agrees.
package enum Policies {
    /// The rows that matter to jobs of `scope`, by key in the order of the page, the first that
    /// applies first.
    package static func show(
        _ connection: borrowing Connection, _ scope: PolicyScope
    ) throws -> [PolicyRow] {
        let rows = try connection.query(
            """
            SELECT key, provider, kind, model, value, is_default, set_by,
                \(raw: JobStatus.microseconds("set_at")) AS set_us
            FROM holdfast.policy
            """
        ).map { row in
            PolicyRow(
                key: try row.text("key"),
                scope: PolicyScope(
                    provider: try row.text("provider"), kind: try row.text("kind"),
                    model: try row.text("model")),
                value: try row.text("value"), isDefault: try row.bool("is_default"),
                setAt: try row.instant("set_us"), setBy: try row.text("set_by"))
        }
        return judged(rows, scope)
    }

    /// Leaves out what cannot apply to `scope` and marks what is covered by rows before it.
    static func judged(_ rows: [PolicyRow], _ scope: PolicyScope) -> [PolicyRow] {
        let names = PolicyKey.all.map(\.name)
        let places = Dictionary(
            names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var result: [PolicyRow] = []
        let groups = Dictionary(grouping: rows.filter { $0.scope.meets(scope) }, by: \.key)
        for key in groups.keys.sorted(by: {
            (places[$0] ?? names.count, $0) < (places[$1] ?? names.count, $1)
        }) {
            var before: [PolicyRow] = []
            for var row in (groups[key] ?? []).sorted(by: precedes) {
                let jobs = row.scope.common(scope)
                row.isInEffect = !before.contains { $0.scope.contains(jobs) }
                before.append(row)
                result.append(row)
            }
        }
        return result
    }

    private static func precedes(_ left: PolicyRow, _ right: PolicyRow) -> Bool {
        if left.rank != right.rank { return left.rank.lexicographicallyPrecedes(right.rank) }
        let (one, other) = (left.scope, right.scope)
        return [one.provider, one.kind, one.model].lexicographicallyPrecedes(
            [other.provider, other.kind, other.model])
    }

    /// Sets a policy for a scope.
    ///
    /// - Returns: what held for exactly this scope before, whether it was set there or not.
    /// - Throws: `policy_value` or `policy_scope` (64); `policy_conflict` (1) for a lease that is
    ///   not longer than `request_timeout`, and for another currency than that of rates and figures
    ///   that are there.
    package static func set(
        _ connection: borrowing Connection, _ key: PolicyKey, _ value: String, _ scope: PolicyScope,
        by person: String
    ) throws -> (before: String?, now: String) {
        try key.check(scope)
        let value = try key.normalised(value)
        return try connection.transaction {
            let before = try effective(connection, key, scope)
            try checkBooks(connection, key, value, before: before)
            try connection.execute(
                """
                INSERT INTO holdfast.policy (key, provider, kind, model, value, set_by)
                VALUES (\(key.name), \(scope.provider), \(scope.kind), \(scope.model), \(value),
                    \(person))
                ON CONFLICT (key, provider, kind, model, is_default) DO UPDATE
                SET value = excluded.value, set_at = excluded.set_at, set_by = excluded.set_by
                """)
            try checkLease(connection, key)
            return (before, value)
        }
    }

    /// Takes back what was set for a scope.
    ///
    /// - Returns: what holds for the scope now; nil when nothing was set for it.
    /// - Throws: `policy_scope` (64); `policy_conflict` (1) as for `set`.
    package static func unset(
        _ connection: borrowing Connection, _ key: PolicyKey, _ scope: PolicyScope
    ) throws -> String? {
        try key.check(scope)
        return try connection.transaction {
            let before = try effective(connection, key, scope)
            let gone = try connection.execute(
                """
                DELETE FROM holdfast.policy WHERE key = \(key.name)
                    AND provider = \(scope.provider) AND kind = \(scope.kind)
                    AND model = \(scope.model) AND NOT is_default
                """)
            guard gone > 0 else { return nil }
            let now = try effective(connection, key, scope) ?? ""
            try checkLease(connection, key)
            try checkBooks(connection, key, now, before: before)
            return now
        }
    }

    private static func effective(
        _ connection: borrowing Connection, _ key: PolicyKey, _ scope: PolicyScope
    ) throws -> String? {
        try connection.query(
            """
            SELECT holdfast.policy_value(\(key.name), \(scope.provider), \(scope.kind),
                \(scope.model)) AS value
            """
        ).single().optionalText("value")
    }

    /// What only the database can tell: which zones there are, and in which currency the books are.
    private static func checkBooks(
        _ connection: borrowing Connection, _ key: PolicyKey, _ value: String, before: String?
    ) throws {
        switch key.value {
        case .zone:
            let isKnown = try connection.query(
                "SELECT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = \(value)) AS there"
            ).single().bool("there")
            guard isKnown else {
                throw Failure(
                    .wrongUsage, code: "policy_value",
                    "the database knows no time zone '\(value)'; take one as the view "
                        + "pg_timezone_names spells it, such as UTC or Europe/Berlin")
            }
        case .currency where value != before:
            let row = try connection.query(
                """
                SELECT EXISTS (SELECT FROM holdfast.dated_policy p
                        WHERE p.key IN ('unit_value', 'credit_value') AND p.counts <> \(value))
                        AS has_rates,
                    EXISTS (SELECT FROM holdfast.model_day d WHERE d.revenue_micros IS NOT NULL
                        OR d.cost_micros IS NOT NULL) AS has_figures
                """
            ).single()
            guard try !row.bool("has_figures"), try !row.bool("has_rates") else {
                throw Failure(
                    .needsPerson, code: "policy_conflict",
                    try row.bool("has_figures")
                        ? "the books of sealed days are kept in \(before ?? "another currency"), "
                            + "and their currency cannot change; nothing was changed"
                        : "unit_value or credit_value is set in another currency; nothing was "
                            + "changed; take those back first: holdfast policy unset")
            }
        default: break
        }
    }

    /// A lease that a single request can outlive would be taken over while it is in use.
    private static func checkLease(_ connection: borrowing Connection, _ key: PolicyKey) throws {
        guard ["lease", "request_timeout"].contains(key.name) else { return }
        let row = try connection.query(
            """
            SELECT holdfast.policy_interval('lease') > holdfast.policy_interval('request_timeout')
                    AS is_longer,
                holdfast.policy_value('lease') AS lease,
                holdfast.policy_value('request_timeout') AS request_timeout
            """
        ).single()
        guard try row.bool("is_longer") else {
            throw Failure(
                .needsPerson, code: "policy_conflict",
                "the lease would be \(try row.text("lease")) and request_timeout "
                    + "\(try row.text("request_timeout")), and the lease must be the longer one; "
                    + "nothing was changed; change the other one first")
        }
    }
}
