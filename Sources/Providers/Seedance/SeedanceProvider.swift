package import Core
package import HTTP

/// Seedance through BytePlus ModelArk or Volcengine Ark.
package struct SeedanceProvider: TaskResourceProvider {
    package static let name = "seedance"
    package static let credentialVariables = ["HOLDFAST_SEEDANCE_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_SEEDANCE_BASE_URL"
    /// Outside China; inside it is ark.cn-beijing.volces.com.
    package static let defaultBaseURL = "https://ark.ap-southeast.bytepluses.com"

    let tasksPath = "/api/v3/contents/generations/tasks"
    private static let pageSize = 100

    package let settings: ProviderSettings
    let dialect: any TaskDialect = SeedanceDialect()

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: Ark documents no limit on queries",
            urlLife: SeedanceDialect.urlLife, canList: true, costUnit: SeedanceDialect.costUnit)
    }

    /// - Parameter cursor: The page's number, counted from 1.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let page = number(cursor, from: 1)
        return try ask("?page_num=\(page)&page_size=\(Self.pageSize)")
    }

    /// The last seven days, newest first; the order is inferred.
    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        let reader = reader(answer, endpoint, now: now)
        let total = reader.value(at: ["total"])
        return reader.page {
            nextPage(after: cursor, count: $0.count, size: Self.pageSize, total: total)
        }
    }
}

/// Ark's task, which polls, lists and callbacks share.
///
/// Source: mirrors of the query page of content generation tasks; to be checked against the portal.
struct SeedanceDialect: TaskDialect {
    static let urlLife = Duration.seconds(24 * 3600)
    static let costUnit = "tokens"

    let shape = RecordShape(
        idKeys: ["id"], wrapperKeys: ["items"], codePath: [], requiresID: true)

    private static let states: [String: TaskState] = [
        "queued": .pending, "running": .running, "succeeded": .succeeded, "failed": .failed,
        "cancelled": .cancelled,
        // The task and not its file: it took longer than it was given.
        "expired": .expired,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "status", in: Self.states)
    }

    func files(of record: JSONObject) -> [String] {
        record.files(at: [["content", "video_url"]])
    }

    func cost(of record: JSONObject) -> Cost? {
        let tokens =
            record.value(at: ["usage", "completion_tokens"]).decimal
            ?? record.value(at: ["usage", "total_tokens"]).decimal
        return tokens.map { Cost(amount: $0, unit: Self.costUnit) }
    }

    func expiry(of record: JSONObject, now: Instant) -> Instant? {
        record.end(of: Self.urlLife, from: "updated_at", now: now)
    }
}
