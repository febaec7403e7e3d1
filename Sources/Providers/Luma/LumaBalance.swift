package import Core
package import HTTP

/// Money left at Luma, told in US cents: `{"credit_balance": 1234.5}`.
///
/// Source: docs.lumalabs.ai/changelog/callbacks-and-credits-balance; github.com/lumalabs/lumaai-api.
extension LumaProvider {
    package func balanceRequest(now: Instant) throws(Failure) -> Request? {
        request("/dream-machine/v1/credits", try bearer())
    }

    package func balance(_ answer: Answer) -> AccountBalanceAnswer? {
        guard let object = wellAnswered(answer),
            let cents = object["credit_balance"]?.exactDecimal, let dollars = cents.shifted(by: 2)
        else { return nil }
        return AccountBalanceAnswer(amount: dollars, unit: "USD")
    }
}
