package import Core
package import Postgres

/// A transfer in a statement, with the balances that it led to.
package struct StatementEntry: Equatable, Sendable {
    package var transferID, kind: String
    /// Credits, always above 0; which way they went the sides tell.
    package var amount: Int64
    /// `issued`, `available`, `held` or `spent`: from where, to where.
    package var debit, credit: String
    package var jobID, reason: String?
    package var actor: String
    package var createdAt: Instant
    /// The sealed day that an adjustment corrects.
    package var corrects: String?
    /// What was paid for a grant: an exact decimal, and its currency.
    package var paid, currency: String?
    package var after: CreditStand
}

/// An account from one instant to another.
package struct AccountStatement: Equatable, Sendable {
    package var accountID: String
    /// In UTC; the end is not part of it.
    package var from: Instant?
    package var until: Instant?
    package var opening: CreditStand
    package var entries: [StatementEntry]
    package var closing: CreditStand
    /// There are more entries after the last one here.
    package var isCut: Bool
}

extension CreditStand {
    /// Moves credits from one side to another.
    ///
    /// - Throws: a defect when the sum cannot be held, which the database refuses before.
    mutating func move(_ amount: Int64, from debit: String, to credit: String) throws(Failure) {
        try add(-amount, to: debit)
        try add(amount, to: credit)
    }

    private mutating func add(_ amount: Int64, to side: String) throws(Failure) {
        let overflow: Bool
        switch side {
        case "available": (available, overflow) = available.addingReportingOverflow(amount)
        case "held": (held, overflow) = held.addingReportingOverflow(amount)
        case "spent": (spent, overflow) = spent.addingReportingOverflow(amount)
        default: return
        }
        if overflow {
            throw Failure(.defect, code: "overflow", "the balances of a statement are too large")
        }
    }
}

extension Accounts {
    /// Corrects an account in either direction, once for each reference.
    ///
    /// - Parameter day: The sealed day that is corrected; nil where there is none.
    /// - Returns: whether anything changed, and what is available now.
    /// - Throws: HF001 below zero, HF002 for a reference with other arguments, HF005 without account.
    package static func adjust(
        _ connection: borrowing Connection, account: String, credits: Int64, reason: String,
        reference: String, by person: String, correcting day: String? = nil
    ) throws -> (changed: Bool, available: Int64) {
        try connection.repeatable {
            let wasThere = try connection.query(
                """
                SELECT EXISTS (SELECT FROM holdfast.transfer
                    WHERE transfer_id = 'adjustment:' || \(reference)) AS there
                """
            ).single().bool("there")
            let call: SQL =
                day.map { day in
                    """
                    holdfast.correct_day(\(day)::date, \(account), \(credits)::bigint, \(reason),
                        \(reference), \(person))
                    """
                } ?? """
                    holdfast.adjust_credits(\(account), \(credits)::bigint, \(reason),
                        \(reference), \(person))
                    """
            let available = try connection.query("SELECT \(sql: call) AS available").single().int64(
                "available")
            return (!wasThere, available)
        }
    }

    /// The statement of an account; nil when there is no such account.
    ///
    /// - Parameters:
    ///   - from: The first business day; nil for the account's first.
    ///   - to: The last business day; nil for all up to now.
    ///   - most: Entries at most.
    package static func statement(
        _ connection: borrowing Connection, account: String, from: String?, to: String?, most: Int
    ) throws -> AccountStatement? {
        try connection.transaction(.readOnlySnapshot) {
            guard try balance(connection, account) != nil else { return nil }
            let bounds = try connection.query(
                """
                SELECT (extract(epoch FROM \(sql: start(from, 0))) * 1000000)::bigint AS from_us,
                    (extract(epoch FROM \(sql: start(to, 1))) * 1000000)::bigint AS until_us
                """
            ).single()
            let start = try bounds.optionalInstant("from_us")
            let until = try bounds.optionalInstant("until_us")
            let opening = try stand(connection, account, before: start)
            var entries = try entries(connection, account, start, until, most: most + 1)
            let isCut = entries.count > most
            if isCut { entries.removeLast() }
            var running = opening
            for index in entries.indices {
                let entry = entries[index]
                try running.move(entry.amount, from: entry.debit, to: entry.credit)
                entries[index].after = running
            }
            return AccountStatement(
                accountID: account, from: start, until: until, opening: opening, entries: entries,
                closing: running, isCut: isCut)
        }
    }

    private static func start(_ day: String?, _ later: Int) -> SQL {
        guard let day else { return "NULL::timestamptz" }
        return """
            ((\(day)::date + \(later)::integer + holdfast.policy_value('business_cutoff')::time)
                AT TIME ZONE holdfast.policy_value('business_zone'))
            """
    }

    /// The balances before an instant, from the transfers up to it.
    private static func stand(
        _ connection: borrowing Connection, _ account: String, before start: Instant?
    ) throws -> CreditStand {
        guard let start else { return CreditStand() }
        func sum(_ side: String) -> SQL {
            """
            coalesce(sum(CASE \(side) WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END),
                0)::bigint
            """
        }
        let row = try connection.query(
            """
            SELECT \(sql: sum("available")) AS available, \(sql: sum("held")) AS held,
                \(sql: sum("spent")) AS spent
            FROM holdfast.transfer
            WHERE account_id = \(account) AND created_at < to_timestamp(\(start)::bigint / 1000000.0)
            """
        ).single()
        return CreditStand(
            available: try row.int64("available"), held: try row.int64("held"),
            spent: try row.int64("spent"))
    }

    private static func entries(
        _ connection: borrowing Connection, _ account: String, _ start: Instant?,
        _ until: Instant?, most: Int
    ) throws -> [StatementEntry] {
        try connection.query(
            """
            SELECT transfer_id, kind, amount, debit, credit, job_id, reason, actor,
                to_char(corrects, 'YYYY-MM-DD') AS corrects, paid::text AS paid, currency,
                (extract(epoch FROM created_at) * 1000000)::bigint AS created_us
            FROM holdfast.transfer
            WHERE account_id = \(account)
                AND (\(start)::bigint IS NULL
                    OR created_at >= to_timestamp(\(start)::bigint / 1000000.0))
                AND (\(until)::bigint IS NULL
                    OR created_at < to_timestamp(\(until)::bigint / 1000000.0))
            ORDER BY created_at, sequence LIMIT \(most)::integer
            """
        ).map { row in
            StatementEntry(
                transferID: try row.text("transfer_id"), kind: try row.text("kind"),
                amount: try row.int64("amount"), debit: try row.text("debit"),
                credit: try row.text("credit"), jobID: try row.optionalText("job_id"),
                reason: try row.optionalText("reason"), actor: try row.text("actor"),
                createdAt: try row.instant("created_us"),
                corrects: try row.optionalText("corrects"), paid: try row.optionalText("paid"),
                currency: try row.optionalText("currency"), after: CreditStand())
        }
    }
}
