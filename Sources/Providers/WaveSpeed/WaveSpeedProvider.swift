package import Core
package import HTTP

/// WaveSpeedAI: predictions in an envelope that says "success" of failed ones too.
package struct WaveSpeedProvider: TaskResourceProvider {
    package static let name = "wavespeed"
    package static let credentialVariables = ["HOLDFAST_WAVESPEED_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_WAVESPEED_BASE_URL"
    package static let defaultBaseURL = "https://api.wavespeed.ai"

    let tasksPath = "/api/v3/predictions"
    /// The same answer under another path.
    let taskRests = ["result"]
    /// The most that a page holds.
    private static let pageSize = 100

    package let settings: ProviderSettings
    let dialect: any TaskDialect = WaveSpeedDialect()

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: WaveSpeed documents no limit on queries",
            urlLife: WaveSpeedDialect.urlLife, canList: true,
            webhook: .standard(
                secretVariable: "HOLDFAST_WAVESPEED_WEBHOOK_SECRET", secretIsBase64: false))
    }

    /// - Parameter cursor: The page's number, counted from 1.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let page = number(cursor, from: 1)
        return try ask("?page=\(page)&page_size=\(Self.pageSize)")
    }

    /// The last seven days, newest first.
    ///
    /// Source: wavespeed.ai/docs/docs-common-api/predictions, which has the same parameters in the
    /// body of a POST; that they work in the query of a GET is what public clients do.
    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        let reader = reader(answer, endpoint, now: now)
        let total = reader.value(at: ["data", "total"])
        return reader.page {
            nextPage(after: cursor, count: $0.count, size: Self.pageSize, total: total)
        }
    }
}

/// WaveSpeed's prediction; a callback may bring it without its envelope.
///
/// Source: wavespeed.ai/docs/get-result, what-are-predictions.
struct WaveSpeedDialect: TaskDialect {
    static let urlLife = Duration.seconds(7 * 86_400)

    let shape = RecordShape(
        okCode: 200, idKeys: ["id"], wrapperKeys: ["data", "items"], requiresCode: true,
        requiresID: true)

    private static let states: [String: TaskState] = [
        "created": .pending, "processing": .running, "completed": .succeeded, "failed": .failed,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "status", in: Self.states)
    }

    func files(of record: JSONObject) -> [String] { record.files(at: [["outputs"]]) }

    /// From the start of the task, since its end is not told: a little early, never late.
    func expiry(of record: JSONObject, now: Instant) -> Instant? {
        record.end(of: Self.urlLife, from: "created_at", now: now)
    }
}
