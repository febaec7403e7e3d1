package import Core
package import HTTP

/// What fal charged, request by request, on its platform host; the key has to be one for admins.
///
/// Source: fal.ai/docs/platform-apis/v1/models/billing-events.
extension FalProvider {
    private static let billingPageSize = 1000
    /// Nano dollars are dollars with the point moved by nine.
    private static let nanoPlaces = 9

    package func billingRequest(
        _ window: BillingWindow, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let credentials = try keyHeader()
        let next = cursor.map { "&cursor=" + $0.percentEncoded } ?? ""
        return request(
            to: platformBaseURL + "/v1/models/billing-events?start="
                + window.from.description.percentEncoded + "&end="
                + window.until.description.percentEncoded + "&limit=\(Self.billingPageSize)" + next,
            [credentials])
    }

    package func billingPage(_ answer: Answer, cursor: String?) -> BillingPage? {
        guard let object = wellAnswered(answer), let events = object["billing_events"]?.array else {
            return nil
        }
        let lines = events.map(Self.line)
        let next = object["next_cursor"]?.nonBlankText
        let hasMore = object["has_more"]?.bool != false && next != cursor && !events.isEmpty
        return BillingPage(
            lines: lines.compactMap { $0 }, unreadable: lines.count { $0 == nil },
            next: hasMore ? next : nil)
    }

    /// An event has no id of its own: request, model and time name it.
    private static func line(_ event: JSONValue) -> UsageOffer? {
        guard let id = event["request_id"]?.nonBlankText,
            id.unicodeScalars.count <= UsageOffer.idLimit,
            let time = event["timestamp"]?.nonBlankText, let at = Instant(dateAndTime: time),
            let amount = cost(event), !amount.isNegative, amount <= UsageOffer.amountLimit
        else { return nil }
        let model = event["endpoint_id"]?.nonBlankText?.cut(to: 200)
        return UsageOffer(
            lineKey: "event:"
                + [id, model ?? "", time].map(\.percentEncoded).joined(separator: "/"),
            taskID: id, model: model, amount: amount, unit: "USD", happenedAt: at)
    }

    private static func cost(_ event: JSONValue) -> ExactDecimal? {
        if let nano = event["cost_estimate_nano_usd"]?.exactDecimal {
            return nano.shifted(by: nanoPlaces)
        }
        return event["cost_total"]?.exactDecimal
    }
}
