package import Core
package import HTTP

/// Luma Dream Machine: generations of videos and images.
package struct LumaProvider: TaskResourceProvider {
    package static let name = "luma"
    package static let credentialVariables = ["HOLDFAST_LUMA_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_LUMA_BASE_URL"
    package static let defaultBaseURL = "https://api.lumalabs.ai"

    let tasksPath = "/dream-machine/v1/generations"
    private static let pageSize = 100

    package let settings: ProviderSettings
    let dialect: any TaskDialect = LumaDialect()

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: Luma documents no limit on queries",
            // Not established; an hour keeps its files near the front of the queue.
            urlLife: .seconds(3600), urlLifeIsEstablished: false, canList: true,
            billing: BillingFacts(hasBalance: true))
    }

    /// - Parameter cursor: How many tasks to skip.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let offset = number(cursor, from: 0)
        return try ask("?limit=\(Self.pageSize)&offset=\(offset)")
    }

    /// Newest first; the order is inferred.
    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        let reader = reader(answer, endpoint, now: now)
        let hasMore = reader.value(at: ["has_more"]).bool == true
        return reader.page { tasks in
            hasMore && !tasks.isEmpty ? String(number(cursor, from: 0) + tasks.count) : nil
        }
    }
}

/// The generation object, which polls, lists and callbacks share.
///
/// Source: docs.lumalabs.ai/docs/api; github.com/lumalabs, lumaai-api and lumaai-python.
struct LumaDialect: TaskDialect {
    let shape = RecordShape(
        idKeys: ["id"], wrapperKeys: ["generations"], codePath: [], requiresID: true)

    private static let states: [String: TaskState] = [
        "queued": .pending, "dreaming": .running, "completed": .succeeded, "failed": .failed,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "state", in: Self.states)
    }

    /// The image of a video is its thumbnail: it counts only where an image was asked for.
    func files(of record: JSONObject) -> [String] {
        let kind = record.text(at: [["generation_type"], ["request", "generation_type"]])
        return record.files(at: [["assets", kind?.word == "image" ? "image" : "video"]])
    }

    /// `state_reason` in the older specification.
    func failureText(of record: JSONObject) -> String? {
        record.text(at: [["failure_reason"], ["state_reason"]])
    }
}
