import Core
package import Postgres

/// Sealed days as the database keeps them, for the reports; read on a connection of their own, because
/// what may be long is read page by page while it is written out.
package final class SealedDays {
    /// Accounts or breaks of one page.
    private static let page = 2000

    private let connection: Connection

    package init(_ connection: consuming Connection) { self.connection = connection }

    /// A sealed day; nil when there is none of that date.
    package func pages(day: String) throws -> NightPages? {
        guard let figures = try figures(day) else { return nil }
        return NightPages(
            figures: figures, accounts: { try self.accounts(day, $0) },
            breaks: { try self.breaks(day, $0) })
    }

    private func figures(_ day: String) throws -> NightFigures? {
        guard
            let row = try connection.query(
                """
                SELECT d.*, holdfast.utc(d.starts_at) AS starts, holdfast.utc(d.ends_at) AS ends,
                    holdfast.utc(d.closed_at) AS closed, d.figures ->> 'currency' AS currency,
                    d.figures ->> 'accounts_moved' AS accounts_moved,
                    d.figures ->> 'opening' AS opening, d.figures ->> 'moves' AS moves,
                    d.figures ->> 'closing' AS closing,
                    d.figures ->> 'corrections' AS corrections
                FROM holdfast.business_day d WHERE d.day = \(day)::date AND d.state = 'sealed'
                """
            ).first
        else { return nil }
        return NightFigures(
            day: BusinessDay(
                day: day, zone: try row.text("zone"), startsAt: try row.text("starts"),
                endsAt: try row.text("ends"), closedAt: try row.text("closed"),
                version: try row.text("version"), currency: try row.text("currency"),
                entries: try row.int64("entries"), digest: try row.text("digest"),
                previousDigest: try row.text("previous_digest")),
            opening: try Self.stand(try row.text("opening")),
            moves: try Self.moves(try row.text("moves")),
            closing: try Self.stand(try row.text("closing")),
            accountsMoved: try row.int64("accounts_moved"),
            corrections: try Self.corrections(try row.optionalText("corrections")),
            models: try models(day), usage: try usage(day), heldOverTime: try held(day))
    }

    private static func member(_ object: JSONValue, _ key: String) throws -> Int64 {
        guard let number = object[key]?.int else {
            throw Failure(.defect, code: "figures", "the figures of a day lack '\(key)'")
        }
        return number
    }

    private static func stand(_ json: String) throws -> CreditStand {
        let object = try JSON.parse(json)
        return CreditStand(
            available: try member(object, "available"), held: try member(object, "held"),
            spent: try member(object, "spent"))
    }

    private static func moves(_ json: String) throws -> CreditMoves {
        let object = try JSON.parse(json)
        return CreditMoves(
            granted: try member(object, "granted"), held: try member(object, "held"),
            captured: try member(object, "captured"), voided: try member(object, "voided"),
            charged: try member(object, "charged"), refunded: try member(object, "refunded"),
            adjusted: try member(object, "adjusted"))
    }

    private static func corrections(_ json: String?) throws -> [CorrectionEntry] {
        try (json.map { try JSON.parse($0) }?.array ?? []).map { one in
            CorrectionEntry(
                day: one["day"]?.text ?? "", accountID: one["account_id"]?.text ?? "",
                credits: try member(one, "credits"), reason: one["reason"]?.text ?? "",
                person: one["person"]?.text ?? "")
        }
    }

    private func models(_ day: String) throws -> [ModelDay] {
        try connection.query(
            """
            SELECT * FROM holdfast.model_day WHERE day = \(day)::date
            ORDER BY provider, model, kind
            """
        ).map { row in
            ModelDay(
                provider: try row.text("provider"), model: try row.text("model"),
                kind: try row.text("kind"), opened: try row.int64("opened"),
                delivered: try row.int64("delivered"), failed: try row.int64("failed"),
                abandoned: try row.int64("abandoned"), earned: try row.int64("earned"),
                revenue: try Self.money(row, "revenue_micros"),
                cost: try Self.money(row, "cost_micros"),
                leaked: try Self.money(row, "leaked_micros"),
                unpricedLines: try row.int64("unpriced_lines"),
                medianSeconds: try row.optionalInt64("median_seconds"),
                p95Seconds: try row.optionalInt64("p95_seconds"))
        }
    }

    private func usage(_ day: String) throws -> [UsageDay] {
        try connection.query(
            """
            SELECT provider, unit, sum(lines)::bigint AS lines, sum(amount)::text AS amount,
                CASE WHEN bool_and(micros IS NOT NULL) THEN sum(micros)::bigint END AS micros
            FROM holdfast.usage_day WHERE day = \(day)::date
            GROUP BY provider, unit ORDER BY provider, unit
            """
        ).map { row in
            UsageDay(
                provider: try row.text("provider"), unit: try row.text("unit"),
                lines: try row.int64("lines"), amount: try row.text("amount"),
                money: try Self.money(row, "micros"))
        }
    }

    private func held(_ day: String) throws -> [HeldPoint] {
        try connection.query(
            """
            SELECT to_char(d.day, 'YYYY-MM-DD') AS day, d.figures #>> '{closing,held}' AS held
            FROM holdfast.business_day d
            WHERE d.state = 'sealed' AND d.day <= \(day)::date
            ORDER BY d.day DESC LIMIT 31
            """
        ).map { HeldPoint(day: try $0.text("day"), held: try $0.int64("held")) }.reversed()
    }

    private func accounts(_ day: String, _ body: ([AccountDay]) throws -> Void) throws {
        var after = ""
        while true {
            let rows = try connection.query(
                """
                SELECT * FROM holdfast.account_day
                WHERE day = \(day)::date AND account_id > \(after)
                ORDER BY account_id LIMIT \(Self.page)::integer
                """)
            guard let last = rows.last else { return }
            after = try last.text("account_id")
            try body(rows.map(Self.account))
        }
    }

    private static func account(_ row: Row) throws -> AccountDay {
        AccountDay(
            accountID: try row.text("account_id"),
            opening: CreditStand(
                available: try row.int64("opening_available"), held: try row.int64("opening_held"),
                spent: try row.int64("opening_spent")),
            moves: CreditMoves(
                granted: try row.int64("granted"), held: try row.int64("held"),
                captured: try row.int64("captured"), voided: try row.int64("voided"),
                charged: try row.int64("charged"), refunded: try row.int64("refunded"),
                adjusted: try row.int64("adjusted")),
            closing: CreditStand(
                available: try row.int64("closing_available"), held: try row.int64("closing_held"),
                spent: try row.int64("closing_spent")),
            entries: try row.int64("entries"))
    }

    private func breaks(_ day: String, _ body: ([BreakDay]) throws -> Void) throws {
        var after: (isClosed: Bool, kind: String, subject: String, id: Int64) = (false, "", "", 0)
        while true {
            let rows = try connection.query(
                """
                SELECT b.*, b.status NOT IN ('opened', 'standing') AS is_closed,
                    b.amount::text AS amount_text, holdfast.utc(b.first_seen_at) AS first_seen
                FROM holdfast.break_day b
                WHERE b.day = \(day)::date
                    AND (b.status NOT IN ('opened', 'standing'), b.class, b.subject, b.break_id)
                        > (\(after.isClosed)::boolean, \(after.kind), \(after.subject),
                            \(after.id)::bigint)
                ORDER BY is_closed, b.class, b.subject, b.break_id LIMIT \(Self.page)::integer
                """)
            guard let last = rows.last else { return }
            after = (
                try last.bool("is_closed"), try last.text("class"), try last.text("subject"),
                try last.int64("break_id")
            )
            try body(rows.map(Self.breakDay))
        }
    }

    private static func breakDay(_ row: Row) throws -> BreakDay {
        guard let status = BreakDay.Status(rawValue: try row.text("status")) else {
            throw Failure(.defect, code: "figures", "a break of a day has no known status")
        }
        return BreakDay(
            breakID: try row.int64("break_id"), status: status, ageDays: try row.int("age_days"),
            kind: try row.text("class"), subject: try row.text("subject"),
            jobID: try row.optionalText("job_id"), accountID: try row.optionalText("account_id"),
            provider: try row.optionalText("provider"), model: try row.optionalText("model"),
            loses: try row.text("loses"), credits: try row.optionalInt64("credits"),
            amount: try row.optionalText("amount_text"), unit: try row.optionalText("unit"),
            money: try Self.money(row, "micros"), detail: try row.text("detail"),
            cause: try row.text("cause"), fix: try row.text("fix"),
            firstSeenAt: try row.text("first_seen"))
    }

    private static func money(_ row: Row, _ column: String) throws -> Money? {
        try row.optionalInt64(column).map { Money(micros: $0) }
    }
}
