import Core
import HTTP

/// Runway: tasks that are asked about until they end; there are no callbacks and no list.
package struct RunwayProvider: TaskResourceProvider {
    package static let name = "runway"
    package static let credentialVariables = ["HOLDFAST_RUNWAY_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_RUNWAY_BASE_URL"
    package static let defaultBaseURL = "https://api.dev.runwayml.com"

    /// The version of the API whose shapes are read; what the provider's own clients send.
    private static let version = "2024-11-06"

    package let settings: ProviderSettings
    let dialect: any TaskDialect = RunwayDialect()
    let tasksPath = "/v1/tasks"
    /// None is documented.
    let callbackPlace = AnswerPlace.undescribed

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: Runway documents no limit on queries",
            urlLife: RunwayDialect.urlLife)
    }

    func credentialHeaders() throws(Failure) -> [Header] {
        [try bearer(), Header("X-Runway-Version", Self.version)]
    }
}

/// Runway's task.
///
/// Source: github.com/runwayml/sdk-python, task_retrieve_response; docs.dev.runwayml.com,
/// "assets/outputs" and "errors".
struct RunwayDialect: TaskDialect {
    /// 24 to 48 hours from when the task was asked about.
    static let urlLife = Duration.seconds(24 * 3600)

    let shape = RecordShape(idKeys: ["id"], wrapperKeys: [], codePath: [], requiresID: true)

    private static let states: [String: TaskState] = [
        "pending": .pending,
        // Waiting for one of our own tasks to end.
        "throttled": .pending,
        "running": .running, "succeeded": .succeeded, "failed": .failed, "cancelled": .cancelled,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "status", in: Self.states)
    }

    func files(of record: JSONObject) -> [String] { record.files(at: [["output"]]) }

    func failureText(of record: JSONObject) -> String? {
        record.text(at: [["failure"], ["failureCode"]])
    }

    func progress(of record: JSONObject) -> Int? { record.percent(at: "progress", of: 1) }

    func expiry(of record: JSONObject, now: Instant) -> Instant? { now + Self.urlLife }
}
