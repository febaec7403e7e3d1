import Postgres
import TestSupport
import Testing

/// Which price, cost or value holds at an instant, and what an amount is in money.
@Suite struct Rates {
    private func books() throws -> Books {
        let books = try Books()
        for row in [
            "('price', '', '', '', '', '2026-01-01', 100, 'credits')",
            "('price', 'kie', '', '', '', '2026-01-01', 110, 'credits')",
            "('price', 'kie', 'video', '', '', '2026-01-01', 120, 'credits')",
            "('price', 'kie', '', 'veo3', '', '2026-06-01', 200, 'credits')",
            "('price', 'kie', '', 'veo3', '', '2026-12-01', 250, 'credits')",
            "('unit_value', '', '', '', 'credits', '2026-01-01', 1, 'USD')",
            "('unit_value', 'kie', '', '', 'credits', '2026-01-01', 0.005, 'USD')",
            "('unit_value', 'kie', '', '', 'credits', '2026-06-01', 0.0060005, 'USD')",
            "('unit_value', 'kling', '', '', 'units', '2026-06-01', 0.14, 'USD')",
        ] {
            try books.run(
                """
                INSERT INTO holdfast.dated_policy (key, provider, kind, model, unit, valid_from,
                    amount, counts) VALUES \(raw: row)
                """, role: "holdfast_jobs")
        }
        return books
    }

    @Test(
        arguments: [
            ("price", "kie", "video", "veo3", "2026-12-01 00:00:00Z", "250 credits"),
            ("price", "kie", "video", "veo3", "2026-11-30 23:59:59.999999Z", "200 credits"),
            // Before the model's first date the next wider scope counts.
            ("price", "kie", "video", "veo3", "2026-05-31 23:59:59Z", "120 credits"),
            ("price", "kie", "video", "veo2", "2026-12-01Z", "120 credits"),
            ("price", "kie", "image", "veo2", "2026-12-01Z", "110 credits"),
            ("price", "kling", "video", "veo3", "2026-12-01Z", "100 credits"),
            ("price", "kling", "video", "veo3", "2025-12-31 23:59:59Z", "(none)"),
            ("cost", "kie", "video", "veo3", "2026-12-01Z", "(none)"),
        ])
    func `the most specific scope wins, then the latest date`(
        _ key: String, _ provider: String, _ kind: String, _ model: String, _ at: String,
        _ rate: String
    ) throws {
        let found: SQL = """
            SELECT r.amount || ' ' || r.counts FROM holdfast.rate_at(\(key), \(provider), \(kind),
                \(model), '', \(at)::timestamptz) r
            """
        #expect(try books().text(found) == rate)
    }

    @Test(
        arguments: [
            ("60", "kie", "credits", "2026-05-31 23:59:59Z", "300000"),
            ("60", "kie", "credits", "2026-06-01Z", "360030"),
            // 6,000.5 micros; halves go away from zero.
            ("1", "kie", "credits", "2026-06-01Z", "6001"),
            ("-1", "kie", "credits", "2026-06-01Z", "-6001"),
            ("1", "luma", "credits", "2026-06-01Z", "1000000"),
            ("10", "kling", "units", "2026-06-01Z", "1400000"),
            ("10", "kling", "units", "2026-05-31Z", "null"),
            ("0.05", "fal", "USD", "2020-01-01Z", "50000"),
            ("0.05", "fal", "EUR", "2026-06-01Z", "null"),
            ("9007199254.740992", "fal", "USD", "2026-06-01Z", "9007199254740992"),
            ("9007199254.740993", "fal", "USD", "2026-06-01Z", "null"),
            ("999999999999999", "fal", "USD", "2026-06-01Z", "null"),
        ])
    func `an amount is money where a rate is known`(
        _ amount: String, _ provider: String, _ unit: String, _ at: String, _ micros: String
    ) throws {
        let books = try books()
        #expect(
            try books.text(
                """
                SELECT holdfast.money_micros(\(amount)::numeric, \(provider), \(unit),
                    \(at)::timestamptz)
                """) == micros)
        // The same through the join that large reports use.
        #expect(
            try books.text(
                """
                SELECT CASE WHEN abs(m.micros) <= 9007199254740992 THEN m.micros::bigint END
                FROM (SELECT round(\(amount)::numeric * 1000000 * coalesce(own.amount, wide.amount,
                        CASE \(unit)::text WHEN holdfast.policy_value('currency') THEN 1 END))
                        AS micros
                    FROM (SELECT \(at)::timestamptz AS at) l
                    LEFT JOIN holdfast.unit_rate own ON own.provider = \(provider)
                        AND own.unit = \(unit) AND l.at >= own.valid_from AND l.at < own.valid_until
                    LEFT JOIN holdfast.unit_rate wide ON wide.provider = ''
                        AND wide.unit = \(unit) AND l.at >= wide.valid_from
                        AND l.at < wide.valid_until) m
                """) == micros)
    }

    @Test(arguments: ["holdfast_jobs", "holdfast_report"])
    func `programs and reports may ask for rates`(_ role: String) throws {
        let rows = try books().run(
            """
            SELECT holdfast.money_micros(60, 'kie', 'credits', '2026-06-01Z') AS micros, r.amount
            FROM holdfast.rate_at('price', 'kie', '', '', '', '2026-06-01Z') r
            """, role: role)
        #expect(try rows.single().int64("micros") == 360_030)
    }
}
