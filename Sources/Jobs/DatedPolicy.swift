package import Core
package import Postgres

/// A policy with a date: a price, a cost, or what something is worth in money.
package enum DatedKey: String, CaseIterable, Sendable {
    /// Credits for one output.
    case price
    /// The provider's units for one output.
    case cost
    /// Money for one of the provider's units.
    case unitValue = "unit_value"
    /// Money for one of our credits.
    case creditValue = "credit_value"

    package var meaning: String {
        switch self {
        case .price: "credits that one output is sold for"
        case .cost: "what a provider charges for one output, in its unit"
        case .unitValue: "money that one unit of a provider is worth"
        case .creditValue: "money that one of our credits is sold for"
        }
    }

    /// What it takes, with an example.
    package var takes: String {
        switch self {
        case .price: "whole credits, such as 200"
        case .cost: "an amount and its unit, such as '60 credits'"
        case .unitValue, .creditValue: "an amount and the currency, such as '0.005 USD'"
        }
    }

    fileprivate var isMoney: Bool { self == .unitValue || self == .creditValue }
}

/// An amount and what it counts.
package struct DatedValue: Equatable, Sendable {
    package var amount: ExactDecimal
    /// `credits`, a provider's unit, or a currency.
    package var counts: String

    package init(amount: ExactDecimal, counts: String) {
        self.amount = amount
        self.counts = counts
    }

    /// `60 credits`.
    package var text: String { "\(amount.text) \(counts)" }
}

/// Where a dated policy holds.
package struct DatedScope: Hashable, Sendable {
    package var scope: PolicyScope
    /// The unit that a `unit_value` is about; empty for the other keys.
    package var unit: String

    package init(scope: PolicyScope, unit: String? = nil) {
        self.scope = scope
        self.unit = unit ?? ""
    }

    /// `provider kie, unit credits`, or `all jobs`.
    package var words: String {
        let jobs = scope == PolicyScope() && !unit.isEmpty ? nil : scope.words
        return [jobs, unit.isEmpty ? nil : "unit \(unit)"].compactMap { $0 }
            .joined(separator: ", ")
    }
}

/// One row of a dated policy.
package struct DatedRow: Equatable, Sendable {
    package var key: DatedKey
    package var scope: DatedScope
    package var value: DatedValue
    /// Nil for a row that holds from the beginning.
    package var from: Instant?
    package var setAt: Instant
    package var setBy: String
}

extension DatedKey {
    private static let amountLimit = ExactDecimal(1_000_000_000)

    /// Reads a value; what a money value counts is checked against the currency where it is set.
    ///
    /// - Throws: `policy_value` (64) with what the key takes.
    package func read(_ text: String) throws(Failure) -> DatedValue {
        let parts = text.split(separator: " ", omittingEmptySubsequences: true)
        let counts = parts.count == 2 ? String(parts[1]) : self == .price ? "credits" : nil
        guard (1...2).contains(parts.count), let counts, UnitName.isValid(counts),
            let amount = ExactDecimal(parts[0]), !amount.isNegative, amount <= Self.amountLimit,
            self != .price || (amount.isWhole && counts == "credits"),
            !isMoney || Currency.isCode(counts)
        else {
            throw Failure(
                .wrongUsage, code: "policy_value",
                "'\(text)' is no value for \(rawValue) (\(meaning)); it takes \(takes), up to "
                    + "\(Self.amountLimit.text)")
        }
        return DatedValue(amount: amount, counts: counts)
    }

    /// Refuses a scope that nothing would ever look at.
    package func check(_ scope: DatedScope) throws(Failure) {
        func refuse(_ words: String) -> Failure {
            Failure(.wrongUsage, code: "policy_scope", words)
        }
        switch self {
        case .price, .cost:
            if !scope.unit.isEmpty {
                throw refuse("\(rawValue) has no --unit; the unit stands in the value")
            }
        case .unitValue:
            if scope.unit.isEmpty || !UnitName.isValid(scope.unit) {
                throw refuse("unit_value needs --unit with the unit's name, such as credits")
            }
            if !scope.scope.kind.isEmpty || !scope.scope.model.isEmpty {
                throw refuse("unit_value can differ by provider only; leave --kind and --model out")
            }
        case .creditValue:
            if scope != DatedScope(scope: PolicyScope()) {
                throw refuse(
                    "credit_value holds for the whole installation; leave --provider, --kind, "
                        + "--model and --unit out")
            }
        }
    }
}

/// The dated policies in the database.
package enum DatedPolicies {
    /// Rows that hold from the beginning have this date: before any provider, after all conversions.
    private static let beginning = "'1970-01-01T00:00:00Z'::timestamptz"
    /// To the second, so that the date that is shown is the date that it is.
    private static let now = "date_trunc('second', clock_timestamp())"

    /// All rows that matter to jobs of `scope`, by key, scope and date.
    package static func show(
        _ connection: borrowing Connection, _ scope: PolicyScope
    ) throws -> [DatedRow] {
        try rows(connection, "true").filter { $0.scope.scope.meets(scope) }
    }

    private static func rows(
        _ connection: borrowing Connection, _ condition: SQL
    ) throws -> [DatedRow] {
        try connection.query(
            """
            SELECT key, provider, kind, model, unit, amount::text AS amount, counts, set_by,
                \(raw: JobStatus.microseconds("valid_from")) AS from_us,
                \(raw: JobStatus.microseconds("set_at")) AS set_us
            FROM holdfast.dated_policy
            WHERE \(sql: condition)
            ORDER BY array_position(ARRAY['price', 'cost', 'unit_value', 'credit_value'], key),
                provider, kind, model, unit, valid_from
            """
        ).compactMap { row in
            guard let key = DatedKey(rawValue: try row.text("key")),
                let amount = ExactDecimal(try row.text("amount"))
            else { return nil }
            let from = try row.instant("from_us")
            return DatedRow(
                key: key,
                scope: DatedScope(
                    scope: PolicyScope(
                        provider: try row.text("provider"), kind: try row.text("kind"),
                        model: try row.text("model")),
                    unit: try row.text("unit")),
                value: DatedValue(amount: amount, counts: try row.text("counts")),
                from: from.microseconds == 0 ? nil : from, setAt: try row.instant("set_us"),
                setBy: try row.text("set_by"))
        }
    }

    /// The rows of exactly this scope, the earliest first.
    private static func rows(
        _ connection: borrowing Connection, _ key: DatedKey, _ scope: DatedScope
    ) throws -> [DatedRow] {
        try rows(
            connection,
            """
            key = \(key.rawValue) AND provider = \(scope.scope.provider)
                AND kind = \(scope.scope.kind) AND model = \(scope.scope.model)
                AND unit = \(scope.unit)
            """)
    }

    /// Sets what holds from a date on, until the next date of the same scope.
    ///
    /// - Parameter from: A day or an instant; nil for now, and for the beginning where nothing is set
    ///   for the scope yet.
    /// - Returns: the row, and what held for exactly this scope at that instant before.
    /// - Throws: `policy_scope` or `policy_value` (64), also for money in another currency than the
    ///   installation's.
    package static func set(
        _ connection: borrowing Connection, _ key: DatedKey, _ value: DatedValue,
        _ scope: DatedScope, from: PolicyDate?, by person: String
    ) throws -> (row: DatedRow, before: DatedValue?) {
        try key.check(scope)
        return try connection.transaction {
            try checkCurrency(connection, key, value, scope)
            let earlier = try rows(connection, key, scope)
            let start = from?.sql ?? (earlier.isEmpty ? SQL(raw: beginning) : SQL(raw: now))
            let row = try connection.query(
                """
                INSERT INTO holdfast.dated_policy (key, provider, kind, model, unit, valid_from,
                    amount, counts, set_by)
                VALUES (\(key.rawValue), \(scope.scope.provider), \(scope.scope.kind),
                    \(scope.scope.model), \(scope.unit), \(sql: start),
                    \(value.amount.text)::numeric, \(value.counts), \(person))
                ON CONFLICT (key, provider, kind, model, unit, valid_from) DO UPDATE
                SET amount = excluded.amount, counts = excluded.counts,
                    set_at = excluded.set_at, set_by = excluded.set_by
                RETURNING \(raw: JobStatus.microseconds("valid_from")) AS from_us,
                    \(raw: JobStatus.microseconds("set_at")) AS set_us
                """
            ).single()
            let begins = try row.instant("from_us")
            let before = earlier.last { $0.from == nil || $0.from.map { $0 <= begins } == true }
            return (
                DatedRow(
                    key: key, scope: scope, value: value,
                    from: begins.microseconds == 0 ? nil : begins,
                    setAt: try row.instant("set_us"), setBy: person),
                before?.value
            )
        }
    }

    private static func checkCurrency(
        _ connection: borrowing Connection, _ key: DatedKey, _ value: DatedValue,
        _ scope: DatedScope
    ) throws {
        guard key.isMoney else { return }
        let currency = try connection.query(
            "SELECT holdfast.policy_value('currency') AS currency"
        ).single().text("currency")
        guard value.counts == currency else {
            throw Failure(
                .wrongUsage, code: "policy_value",
                "the books are kept in \(currency) (policy currency), so \(key.rawValue) takes "
                    + "\(currency) and not \(value.counts)")
        }
        guard scope.unit != currency else {
            throw Failure(
                .wrongUsage, code: "policy_scope",
                "\(currency) is the currency of the books and always counts 1; it takes no "
                    + "unit_value")
        }
    }

    /// Takes back what was set for exactly this scope from exactly this date.
    ///
    /// - Parameter from: nil where the scope has one date only.
    /// - Returns: what was taken back; nil when there is no such row.
    /// - Throws: `policy_dates` (64) when the scope has several dates and none is named.
    package static func unset(
        _ connection: borrowing Connection, _ key: DatedKey, _ scope: DatedScope,
        from: PolicyDate?
    ) throws -> DatedRow? {
        try key.check(scope)
        return try connection.transaction {
            let there = try rows(connection, key, scope)
            var wanted = there.first
            if let from {
                let at = try connection.query(
                    "SELECT \(raw: JobStatus.microseconds("t.t")) AS at_us FROM (SELECT \(sql: from.sql) AS t) t"
                ).single().instant("at_us")
                wanted = there.first { ($0.from ?? Instant(microseconds: 0)) == at }
            } else if there.count > 1 {
                throw Failure(
                    .wrongUsage, code: "policy_dates",
                    "\(key.rawValue) is set with \(there.count) dates for \(scope.words); say which "
                        + "one with --from: "
                        + there.map { $0.from?.description ?? PolicyDate.beginningWord }
                        .joined(separator: ", "))
            }
            guard let wanted else { return nil }
            try connection.execute(
                """
                DELETE FROM holdfast.dated_policy
                WHERE key = \(key.rawValue) AND provider = \(scope.scope.provider)
                    AND kind = \(scope.scope.kind) AND model = \(scope.scope.model)
                    AND unit = \(scope.unit)
                    AND \(raw: JobStatus.microseconds("valid_from"))
                        = \((wanted.from ?? Instant(microseconds: 0)))::bigint
                """)
            return wanted
        }
    }
}

/// From when on a dated policy holds.
package enum PolicyDate: Equatable, Sendable {
    /// A business day, from its beginning.
    case day(String)
    case instant(Instant)
    case beginning

    package static let beginningWord = "beginning"

    /// Reads `2026-12-01`, `2026-12-01T08:00:00Z` or `beginning`; nil for anything else.
    package init?(_ text: String) {
        if text == Self.beginningWord {
            self = .beginning
        } else if CalendarDay.isValid(text) {
            self = .day(text)
        } else if let instant = Instant(dateAndTime: text), instant.microseconds > 0 {
            self = .instant(instant)
        } else {
            return nil
        }
    }

    /// A day begins in the business zone at the cut-off, like a day of the books.
    fileprivate var sql: SQL {
        switch self {
        case .day(let day):
            """
            ((\(day)::date + holdfast.policy_value('business_cutoff')::time)
                AT TIME ZONE holdfast.policy_value('business_zone'))
            """
        case .instant(let instant): "to_timestamp(\(instant)::bigint / 1000000.0)"
        case .beginning: "'1970-01-01T00:00:00Z'::timestamptz"
        }
    }
}
