package import Core
package import HTTP

/// Credits left at KIE: `{"code":200,"msg":"success","data":1234.5}`.
///
/// Source: docs.kie.ai/common-api/get-account-credits.
extension KIEProvider {
    package func balanceRequest(now: Instant) throws(Failure) -> Request? {
        request("/api/v1/chat/credit", try bearer())
    }

    package func balance(_ answer: Answer) -> AccountBalanceAnswer? {
        guard let object = wellAnswered(answer), object["code"]?.wholeNumber == KIEReader.okCode,
            let amount = object["data"]?.exactDecimal
        else { return nil }
        return AccountBalanceAnswer(amount: amount, unit: "credits")
    }
}
