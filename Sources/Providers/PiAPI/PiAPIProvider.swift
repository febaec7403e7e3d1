import Core
import HTTP

/// PiAPI: one task record for the models of many providers.
package struct PiAPIProvider: TaskResourceProvider {
    package static let name = "piapi"
    package static let credentialVariables = ["HOLDFAST_PIAPI_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_PIAPI_BASE_URL"
    package static let defaultBaseURL = "https://api.piapi.ai"

    package let settings: ProviderSettings
    let dialect: any TaskDialect = PiAPIDialect()
    let tasksPath = "/api/v1/task"

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: PiAPI documents no limit on queries",
            // Differs by model; an hour keeps its files near the front of the queue.
            urlLife: .seconds(3600), urlLifeIsEstablished: false,
            webhook: .clearSecret(
                header: "x-webhook-secret", secretVariable: "HOLDFAST_PIAPI_WEBHOOK_SECRET"))
    }

    func credentialHeaders() throws(Failure) -> [Header] { [Header("x-api-key", try key())] }
}

/// PiAPI's task; a callback brings it in an envelope without a code.
///
/// Source: piapi.ai/docs/dream-machine/get-task, unified-webhook.
struct PiAPIDialect: TaskDialect {
    let shape = RecordShape(
        okCode: 200, idKeys: ["task_id"], requiresCode: true, requiresID: true)

    private static let states: [String: TaskState] = [
        "pending": .pending, "staged": .pending, "processing": .running, "completed": .succeeded,
        "failed": .failed,
    ]

    /// The order of these is inferred; the first that has a file counts, so that one rendering is
    /// taken of those that a model gives of the same work.
    private static let places = [
        ["video_raw", "url"], ["video", "url"], ["generation", "video", "url"], ["video_url"],
        ["image_urls"], ["image_url"],
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "status", in: Self.states)
    }

    /// The place depends on the model; covers, thumbnails and last frames are none.
    func files(of record: JSONObject) -> [String] {
        guard let output = record["output"]?.opened.object else { return [] }
        let works = output["works"]?.opened ?? .null
        let files = (works.array ?? [works]).compactMap { $0.opened.object.flatMap(Self.file) }
        return files.isEmpty ? output.files(at: Self.places) : files
    }

    // The clean one of a pair.
    private static func file(of work: JSONObject) -> String? {
        for kind in ["video", "image"] {
            for twin in ["resource_without_watermark", "resource"] {
                if let url = work.files(at: [[kind, twin]]).first { return url }
            }
        }
        return nil
    }

    /// The error is always there, and empty where there is none.
    func failureText(of record: JSONObject) -> String? {
        record.text(at: [["error", "message"], ["error", "raw_message"]])
    }
}
