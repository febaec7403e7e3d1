package import Core
package import HTTP

/// Replicate: predictions, whose files and outputs are gone an hour after they end.
package struct ReplicateProvider: TaskResourceProvider {
    package static let name = "replicate"
    package static let credentialVariables = ["HOLDFAST_REPLICATE_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_REPLICATE_BASE_URL"
    package static let defaultBaseURL = "https://api.replicate.com"

    package let settings: ProviderSettings
    let dialect: any TaskDialect = ReplicateDialect()
    let tasksPath = "/v1/predictions"

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 50, rateBurst: 50,
            rateSource: "documented: 3000 requests a minute that create nothing",
            urlLife: ReplicateDialect.urlLife, canList: true, costUnit: ReplicateDialect.costUnit,
            webhook: .standard(
                secretVariable: "HOLDFAST_REPLICATE_WEBHOOK_SECRET", secretIsBase64: true))
    }

    /// - Parameter cursor: What the query of `next` says; its host is never asked.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let query = cursor.map { "?cursor=" + $0.percentEncoded } ?? ""
        return try ask(query)
    }

    /// Newest first, as the reference says; the size of a page is the provider's.
    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        let reader = reader(answer, endpoint, now: now)
        let next = reader.value(at: ["next"]).nonBlankText.flatMap { address in
            CallbackIDs.parameters(EndpointText.query(address))
                .first { $0.name == "cursor" && !$0.value.isEmpty }?.value
        }
        return reader.page { _ in next == cursor ? nil : next }
    }
}
