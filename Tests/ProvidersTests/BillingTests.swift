import Core
import HTTP
import Providers
import Testing

@Suite("Bills and balances")
struct BillingTests {
    private func answer(_ body: String, status: Int = 200) -> Answer {
        Answer(httpStatus: status, body: Array(body.utf8))
    }

    static let window = BillingWindow(
        from: Instant(unixSeconds: 1_795_000_000), until: Instant(unixSeconds: 1_795_086_400))

    @Test("fal is asked on its platform host, with the key, for a window")
    func falRequest() throws {
        let fal = try configured("fal")
        let first = try #require(
            try fal.billingRequest(Self.window, cursor: nil, now: testNow))
        #expect(
            first.url
                == "https://api.fal.ai/v1/models/billing-events?start=2026-11-18T11%3A06%3A40Z"
                + "&end=2026-11-19T11%3A06%3A40Z&limit=1000")
        #expect(first.headers.first(named: "Authorization") == "Key canary-key")
        let next = try fal.billingRequest(Self.window, cursor: "Mg==", now: testNow)
        #expect(next?.url.hasSuffix("&cursor=Mg%3D%3D") == true)
        let off = try #require(ProviderRegistry.reader("fal"))
        #expect(throws: Failure.self) {
            try off.billingRequest(Self.window, cursor: nil, now: testNow)
        }
    }

    static let falPage = """
        {"billing_events": [
            {"request_id": "abc123", "endpoint_id": "fal-ai/flux/dev",
             "timestamp": "2026-01-15T10:30:45Z", "output_units": 1.5, "unit_price": 0.001,
             "percent_discount": null, "cost_estimate_nano_usd": 1500000},
            {"request_id": "def/456", "endpoint_id": "fal-ai/flux/dev",
             "timestamp": "2026-01-15T10:25:30.123Z", "output_units": 2, "unit_price": 0.001,
             "percent_discount": 10, "cost_estimate_nano_usd": 18000000000000},
            {"request_id": "ghi", "timestamp": "2026-01-15T10:25:30Z", "cost_total": "0.25"},
            {"request_id": "no-cost", "timestamp": "2026-01-15T10:25:30Z"},
            {"request_id": "no-time", "cost_total": 1},
            {"timestamp": "2026-01-15T10:25:30Z", "cost_total": 1},
            {"request_id": "less", "timestamp": "2026-01-15T10:25:30Z", "cost_total": -1},
            7
        ], "next_cursor": "MjAy", "has_more": true}
        """

    @Test("fal's events are lines in dollars, exactly")
    func falPage() throws {
        let fal = try #require(ProviderRegistry.reader("fal"))
        let page = try #require(fal.billingPage(answer(Self.falPage), cursor: nil))
        #expect(page.next == "MjAy")
        #expect(page.unreadable == 5)
        #expect(
            page.lines.map { "\($0.taskID ?? "-") \($0.amount.text) \($0.unit) \($0.happenedAt)" }
                == [
                    "abc123 0.0015 USD 2026-01-15T10:30:45Z",
                    "def/456 18000 USD 2026-01-15T10:25:30Z", "ghi 0.25 USD 2026-01-15T10:25:30Z",
                ])
        #expect(Set(page.lines.map(\.lineKey)).count == 3)
        #expect(page.lines.first?.model == "fal-ai/flux/dev")
        // The same event on another page is the same line.
        let again = fal.billingPage(answer(Self.falPage), cursor: "x")?.lines.map(\.lineKey)
        #expect(again == page.lines.map(\.lineKey))
    }

    @Test(
        "the last page asks for no other",
        arguments: [
            (#"{"billing_events":[],"next_cursor":"a","has_more":true}"#, nil),
            (#"{"billing_events":[7],"next_cursor":"a","has_more":false}"#, nil),
            (#"{"billing_events":[7],"next_cursor":null,"has_more":true}"#, nil),
            (#"{"billing_events":[7],"next_cursor":"same"}"#, nil),
            (#"{"billing_events":[7],"next_cursor":"other"}"#, "other"),
        ] as [(String, String?)])
    func falEnd(body: String, next: String?) throws {
        let fal = try #require(ProviderRegistry.reader("fal"))
        let page = try #require(fal.billingPage(answer(body), cursor: "same"))
        #expect(page.next == next)
    }

    static let unreadable = [
        ("", 200), ("<html>", 200), ("[]", 200), ("{}", 200), ("null", 200),
        (#"{"billing_events":{}}"#, 200), (#"{"billing_events":[]}"#, 500),
        (#"{"detail":"Admin API key required"}"#, 403), (#"{"code":200,"data":"many"}"#, 200),
        (#"{"code":200}"#, 200), (#"{"code":401,"data":5}"#, 200), (#"{"code":200,"data":5}"#, 502),
        (#"{"data":5}"#, 200), (#"{"code":200,"data":1e30}"#, 200),
        (#"{"credit_balance":null}"#, 200), (#"{"credit_balance":"lots"}"#, 200),
        (#"{"credit_balance":5}"#, 401), (#"{"credit_balance":5,"credit_balance":6}"#, 200),
    ]

    @Test("what is no bill and no balance says nothing", arguments: unreadable)
    func unclear(body: String, status: Int) throws {
        for name in ["fal", "kie", "luma", "kling"] {
            let provider = try #require(ProviderRegistry.reader(name))
            #expect(provider.billingPage(answer(body, status: status), cursor: nil) == nil)
            #expect(provider.balance(answer(body, status: status)) == nil, "\(name)")
        }
    }

    @Test(
        "what is left, digit for digit",
        arguments: [
            ("kie", #"{"code":200,"msg":"success","data":1234.5}"#, "1234.5", "credits"),
            ("kie", #"{"code":200,"msg":"success","data":"0"}"#, "0", "credits"),
            ("kie", #"{"code":200,"data":-3}"#, "-3", "credits"),
            ("luma", #"{"credit_balance":1234.5}"#, "12.345", "USD"),
            ("luma", #"{"credit_balance":0}"#, "0", "USD"),
        ])
    func balances(name: String, body: String, amount: String, unit: String) throws {
        let provider = try #require(ProviderRegistry.reader(name))
        let balance = try #require(provider.balance(answer(body)))
        #expect(balance.amount.text == amount && balance.unit == unit)
    }

    @Test(
        "balances are asked for with the key, at the provider's own host",
        arguments: [
            ("kie", "https://api.kie.ai/api/v1/chat/credit"),
            ("luma", "https://api.lumalabs.ai/dream-machine/v1/credits"),
        ])
    func balanceRequests(name: String, url: String) throws {
        let request = try #require(try configured(name).balanceRequest(now: testNow))
        #expect(request.url == url && request.method == "GET")
        #expect(request.headers.first(named: "Authorization") == "Bearer canary-key")
    }

    @Test("the facts say what there is")
    func facts() throws {
        for name in ProviderRegistry.names {
            let provider = try #require(ProviderRegistry.reader(name))
            let billing = provider.facts.billing
            #expect(billing.hasLines == (name == "fal"))
            #expect(billing.hasBalance == ["kie", "luma"].contains(name))
        }
    }
}
