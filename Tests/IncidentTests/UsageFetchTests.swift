import Core
import Postgres
import TestSupport
import Testing

/// What providers tell of their own accord, and what people read in their consoles.
@Suite struct UsageFetches {
    private func scene(_ name: String, _ server: OddServer) throws -> (
        RescueLine, [String: String?]
    ) {
        let line = try RescueLine(providers: PlayedProvider.named(name))
        let variable =
            name == "fal"
            ? "HOLDFAST_FAL_PLATFORM_BASE_URL"
            : "HOLDFAST_\(name.uppercased())_BASE_URL"
        return (line, [variable: server.url("")])
    }

    @Test func `fal's bill is taken in once, and its window goes on`() async throws {
        let page = """
            {"billing_events": [{"request_id": "r1", "endpoint_id": "fal-ai/flux/dev",
              "timestamp": "2026-11-15T10:30:45Z", "cost_estimate_nano_usd": 1500000},
             {"request_id": "r2"}], "next_cursor": null, "has_more": false}
            """
        let server = try OddServer(type: "application/json", Array(page.utf8))
        let (line, changes) = try scene("fal", server)
        let first = try await line.report("holdfast", ["usage", "fetch"], changes)
        let told = try #require(first["providers"]?.array?.first)
        #expect(told["lines"]?.int == 1 || told["lines"]?.int == 2)
        #expect(told["new_lines"]?.int == 1)
        #expect(first["exit_status"]?.int == 0)
        let again = try await line.report(
            "holdfast", ["usage", "fetch", "--provider", "fal"], changes)
        #expect(again["providers"]?.array?.first?["new_lines"]?.int == 0)
        let row = try line.sql(
            """
            SELECT source, task_id, amount::text AS amount, unit, booked::text AS booked
            FROM holdfast.usage_line
            """
        ).single()
        #expect(try row.text("source") == "billing" && row.text("amount") == "0.0015")
        #expect(try row.text("unit") == "USD" && row.text("booked") == "0.0015")
        #expect(
            try line.sql(
                "SELECT covered_until > now() - interval '1 minute' AS is_new FROM holdfast.usage_fetch"
            )
            .single().bool("is_new"))
    }

    @Test func `what is left at KIE is noted`() async throws {
        let server = try OddServer(
            type: "application/json", Array(#"{"code":200,"msg":"success","data":1234.5}"#.utf8))
        let (line, changes) = try scene("kie", server)
        let said = try await line.run("holdfast", ["usage", "fetch"], changes)
        #expect(said.status == 0 && said.stdout == "kie: 1234.5 credits left\n", "\(said.stderr)")
        let row = try line.sql(
            "SELECT amount::text AS amount, source FROM holdfast.provider_balance"
        )
        .single()
        #expect(try row.text("amount") == "1234.5" && row.text("source") == "provider")
    }

    @Test(arguments: [
        (403, #"{"detail":"Admin API key required"}"#, "check that the key is active"),
        (401, "{}", "check the key"), (500, "oops", "status page"),
        (200, "<html>", "no list of charges that can be read"),
        (302, "{}", "redirects are not followed"),
    ])
    func `a provider that does not tell is reported, and nothing is lost`(
        _ status: Int, _ body: String, _ words: String
    ) async throws {
        let server = try OddServer(type: "application/json", [])
        server.change(status: "\(status) X", type: "application/json", Array(body.utf8))
        let (line, changes) = try scene("fal", server)
        let said = try await line.run("holdfast", ["usage", "fetch"], changes)
        #expect(said.status == 69)
        #expect(said.stderr.contains("fal: ") && said.stderr.contains(words), "\(said.stderr)")
        #expect(!said.stderr.contains("simulator-fal-api-key"))
        #expect(
            try line.sql("SELECT problem FROM holdfast.usage_fetch WHERE covered_until IS NULL")
                .single().text("problem").contains(words))
        // Its jobs are none the worse: the breaker counts what is asked about tasks.
        #expect(
            try line.sql("SELECT failures FROM holdfast.provider WHERE provider = 'fal'").single()
                .int("failures") == 0)
    }

    @Test func `a provider that tells nothing, or is off, is said so`() async throws {
        let line = try RescueLine()
        let nothing = try await line.run("holdfast", ["usage", "fetch", "--provider", "kling"])
        #expect(nothing.status == 64 && nothing.stderr.contains("usage import --provider kling"))
        let off = try await line.run("holdfast", ["usage", "fetch", "--provider", "luma"])
        #expect(off.status == 78 && off.stderr.contains("HOLDFAST_LUMA_API_KEY"))
    }

    @Test func `balances and top-ups are noted by hand, once`() async throws {
        let line = try RescueLine()
        func usage(_ words: String...) async throws -> Finished {
            try await line.run("holdfast", ["usage"] + words)
        }
        let at = "2026-11-20T10:00:00Z"
        for expected in ["1250.5 credits are left at kie", "nothing was changed"] {
            let said = try await usage(
                "balance", "--provider", "kie", "--amount", "1250.50", "--unit", "credits", "--at",
                at)
            #expect(said.status == 0 && said.stdout.contains(expected), "\(said.stderr)")
        }
        for expected in ["were paid in", "nothing was changed"] {
            let said = try await usage(
                "top-up", "--provider", "kie", "--amount", "5000", "--unit", "credits",
                "--reference", "inv-1")
            #expect(said.status == 0 && said.stdout.contains(expected), "\(said.stderr)")
        }
        let other = try await usage(
            "top-up", "--provider", "kie", "--amount", "5001", "--unit", "credits", "--reference",
            "inv-1")
        #expect(other.status == 1 && other.stderr.contains("already a top-up of 5000"))
        for (words, status) in [
            (["balance", "--provider", "kie", "--amount", "much", "--unit", "credits"], Int32(64)),
            (["balance", "--provider", "kie", "--amount", "5", "--unit", "a b"], 64),
            (["balance", "--provider", "kie", "--amount", "5", "--unit", "c", "--at", "soon"], 64),
            (
                [
                    "balance", "--provider", "kie", "--amount", "5", "--unit", "c", "--at",
                    "2099-01-01T00:00:00Z",
                ], 64
            ),
            (["balance", "--provider", "nobody", "--amount", "5", "--unit", "c"], 78),
            (
                [
                    "top-up", "--provider", "kie", "--amount", "0", "--unit", "c", "--reference",
                    "r",
                ], 64
            ),
            (
                ["top-up", "--provider", "kie", "--amount", "5", "--unit", "c", "--reference", ""],
                64
            ),
        ] {
            let said = try await line.run("holdfast", ["usage"] + words)
            #expect(said.status == status, "\(words) \(said.stderr)")
        }
    }
}
