import Core
import TestSupport
import Testing

/// Prices and values with their dates, and the policies that the books are kept by, as people set them.
@Suite struct DatedPolicyCommands {
    private let line: RescueLine

    init() throws { line = try RescueLine() }

    private func policy(_ words: String...) async throws -> Finished {
        try await line.run("holdfast", ["policy"] + words)
    }

    private func dated() async throws -> [String] {
        let shown = try await line.report("holdfast", ["policy", "show"])
        return (shown["dated_policies"]?.array ?? []).map { row in
            ["key", "amount", "counts", "provider", "model", "unit", "from"]
                .compactMap { row[$0]?.text }.joined(separator: " ")
        }
    }

    @Test func `a price is kept with its dates, shown and taken back`() async throws {
        let first = try await policy("set", "price", "200", "--provider", "kie", "--model", "veo3")
        #expect(
            first.stdout
                == "price is 200 credits for provider kie, model veo3 from the beginning on\n")
        let second = try await policy(
            "set", "price", "250 credits", "--provider", "kie", "--model", "veo3", "--from",
            "2026-12-01")
        #expect(second.stdout.hasSuffix("from 2026-12-01T00:00:00Z on; it was 200 credits\n"))
        _ = try await policy("set", "cost", "60 credits", "--provider", "kie")
        _ = try await policy(
            "set", "unit_value", "0.005 USD", "--provider", "kie", "--unit", "credits")
        _ = try await policy("set", "credit_value", "0.010 USD", "--from", "2026-11-01T08:00:00Z")
        #expect(
            try await dated() == [
                "price 200 credits kie veo3", "price 250 credits kie veo3 2026-12-01T00:00:00Z",
                "cost 60 credits kie", "unit_value 0.005 USD kie credits",
                "credit_value 0.01 USD 2026-11-01T08:00:00Z",
            ])
        let shown = try await policy("show")
        #expect(shown.stdout.contains("DATED POLICY"))

        let ambiguous = try await policy(
            "unset", "price", "--provider", "kie", "--model", "veo3")
        #expect(ambiguous.status == 64)
        #expect(ambiguous.stderr.contains("--from: beginning, 2026-12-01T00:00:00Z"))
        let gone = try await policy(
            "unset", "price", "--provider", "kie", "--model", "veo3", "--from",
            "2026-12-01T00:00:00Z")
        #expect(gone.status == 0)
        #expect(try await dated().first == "price 200 credits kie veo3")
        #expect(try await dated().count == 4)
        let nothing = try await policy("unset", "cost", "--provider", "kling")
        #expect(nothing.status == 0 && nothing.stdout.contains("nothing was changed"))
    }

    @Test func `a day begins where the books' day begins`() async throws {
        _ = try await policy("set", "business_zone", "Europe/Berlin")
        _ = try await policy("set", "business_cutoff", "04:00")
        for (day, from) in [
            ("2026-12-01", "2026-12-01T03:00:00Z"), ("2027-06-01", "2027-06-01T02:00:00Z"),
        ] {
            let said = try await policy("set", "price", "5", "--from", day)
            #expect(said.stdout.contains(from), "\(said.stdout)\(said.stderr)")
            let gone = try await policy("unset", "price", "--from", day)
            #expect(gone.stdout.contains(from))
        }
    }

    @Test func `setting the same date again replaces it`() async throws {
        for price in ["5", "6"] {
            _ = try await policy("set", "price", price, "--from", "2026-12-01")
        }
        #expect(try await dated() == ["price 6 credits 2026-12-01T00:00:00Z"])
    }

    @Test(arguments: [
        (["price", "1.5"], Int32(64), "whole credits"),
        (["price", "--", "-1"], 64, "whole credits"),
        (["price", "200 tokens"], 64, "whole credits"),
        (["price", "1000000001"], 64, "1000000000"),
        (["cost", "60"], 64, "'60 credits'"),
        (["cost", "60 credits now"], 64, "'60 credits'"),
        (["unit_value", "0.005 USD"], 64, "--unit"),
        (["unit_value", "0.005 EUR", "--unit", "credits"], 64, "kept in USD"),
        (["unit_value", "1 USD", "--unit", "USD"], 64, "always counts 1"),
        (["unit_value", "1 USD", "--unit", "a b"], 64, "--unit"),
        (["unit_value", "1 USD", "--unit", "credits", "--model", "m"], 64, "provider only"),
        (["credit_value", "0.01 dollars"], 64, "currency"),
        (["credit_value", "0.01 USD", "--provider", "kie"], 64, "whole installation"),
        (["price", "5", "--from", "tomorrow"], 64, "2026-12-01"),
        (["price", "5", "--from", "2026-02-30"], 64, "2026-12-01"),
        (["price", "5", "--unit", "credits"], 64, "stands in the value"),
        (["price", "5", "--provider", "nobody"], 78, "unknown provider nobody"),
        (["lease", "3m", "--from", "2026-12-01"], 64, "no dates"),
        (["business_zone", "Mars/Olympus"], 64, "no time zone 'Mars/Olympus'"),
        (["business_zone", "'; DROP"], 64, "time zone"),
        (["business_cutoff", "24:00"], 64, "23:59"),
        (["business_cutoff", "4:00"], 64, "23:59"),
        (["currency", "usd"], 64, "three capital letters"),
        (["currency", "EUR", "--provider", "kie"], 64, "whole installation"),
        (["cost_tolerance", "5"], 64, "5%"),
        (["cost_tolerance", "101%"], 64, "100%"),
        (["cost_tolerance", "--", "-1%"], 64, "100%"),
        (["billing_grace", "2d", "--model", "m"], 64, "provider only"),
        (["books_window", "0s"], 64, "longer than nothing"),
    ])
    func `what nothing could use is refused`(
        _ words: [String], _ status: Int32, _ says: String
    ) async throws {
        let refused = try await line.run("holdfast", ["policy", "set"] + words)
        #expect(refused.status == status)
        #expect(refused.stderr.contains(says), "\(refused.stderr)")
        #expect(try await dated() == [])
    }

    @Test func `the currency does not change under rates and figures`() async throws {
        #expect(try await policy("set", "currency", "EUR").status == 0)
        _ = try await policy("set", "credit_value", "0.01 EUR")
        for words in [["set", "currency", "USD"], ["unset", "currency"]] {
            let refused = try await line.run("holdfast", ["policy"] + words)
            #expect(refused.status == 1)
            #expect(refused.stderr.contains("policy unset"))
        }
        _ = try await policy("unset", "credit_value")
        #expect(try await policy("unset", "currency").status == 0)
    }
}
