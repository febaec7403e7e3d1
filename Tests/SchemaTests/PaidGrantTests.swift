import Postgres
import TestSupport
import Testing

/// A grant keeps what was paid for it.
@Suite struct PaidGrantTests {
    private static let kept: SQL =
        "SELECT coalesce(paid::text, 'nothing') || ' ' || coalesce(currency, '-') FROM holdfast.transfer"

    @Test(arguments: [
        ("9.90", "EUR", "9.90 EUR"), ("0", "USD", "0 USD"), ("1200", "JPY", "1200 JPY"),
        ("999999999999.999999", "KWD", "999999999999.999999 KWD"),
    ])
    func `digit for digit, with its currency`(
        _ paid: String, _ currency: String, _ kept: String
    ) throws {
        let books = try Books()
        for _ in 1...2 {
            try books.run(
                "SELECT holdfast.grant_credits('a', 100, 'invoice 1', \(paid)::numeric, \(currency))"
            )
        }
        // As a driver binds it that knows text alone, by name, and as before there was any.
        try books.run(
            "SELECT holdfast.grant_credits('a', 100, 'invoice 1', paid => \(paid), currency => \(currency))"
        )
        try books.run("SELECT holdfast.grant_credits('a', 100, 'invoice 1')")
        #expect(try books.text(Self.kept) == kept)
        #expect(try books.balance("a") == "100/0/0")
    }

    @Test(arguments: [
        ("9.90", "NULL", "22023"), ("NULL", "'EUR'", "22023"), ("-1", "'EUR'", "22023"),
        ("'NaN'", "'EUR'", "22023"), ("'Infinity'", "'EUR'", "22023"), ("1", "'eur'", "22023"),
        ("1", "'EURO'", "22023"), ("1", "''", "22023"), ("0.0000001", "'EUR'", "22023"),
        ("1000000000000", "'EUR'", "22023"), ("'9,90'", "'EUR'", "22P02"),
    ])
    func `what is no amount of money is refused`(
        _ paid: String, _ currency: String, _ state: String
    ) throws {
        let books = try Books()
        let call = "SELECT holdfast.grant_credits('a', 100, 'r', \(paid), \(currency))"
        #expect(try books.failure(SQL(raw: call)) == state)
        #expect(try books.text("SELECT count(*)::text FROM holdfast.transfer") == "0")
    }

    @Test func `another amount under the same reference is refused`() throws {
        let books = try Books()
        try books.run("SELECT holdfast.grant_credits('a', 100, 'r', 9.90, 'EUR')")
        for call: SQL in [
            "SELECT holdfast.grant_credits('a', 100, 'r', 9.91, 'EUR')",
            "SELECT holdfast.grant_credits('a', 100, 'r', 9.90, 'USD')",
        ] {
            #expect(try books.failure(call) == "HF002")
        }
        #expect(
            try books.failure("SELECT holdfast.grant_credits('a', 100, 'r', 9.9, 'EUR')") == nil)
    }

    @Test func `there is one grant_credits, and the application may call it`() throws {
        #expect(
            try Books().text(
                """
                SELECT string_agg(oid::regprocedure::text || ' '
                    || has_function_privilege('holdfast_app', oid, 'EXECUTE'), ', ')
                FROM pg_proc WHERE proname = 'grant_credits'
                """) == "holdfast.grant_credits(text,bigint,text,numeric,text) true")
    }
}
