import Core
import HTTP

@testable import Providers

/// A provider that nobody has: everything that adding one takes, in one folder.
///
/// It answers `GET /toys/{id}` with `{"toy": "…", "phase": "wound up", "box": "https://…"}`.
struct ToyProvider: TaskResourceProvider {
    static let name = "toy"
    static let credentialVariables = ["HOLDFAST_TOY_API_KEY"]
    static let baseURLVariable = "HOLDFAST_TOY_BASE_URL"
    static let defaultBaseURL = "https://api.toy.example"

    let settings: ProviderSettings
    let dialect: any TaskDialect = ToyDialect()
    let tasksPath = "/toys"

    var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5, rateSource: "made up", urlLife: .seconds(3600))
    }
}

struct ToyDialect: TaskDialect {
    let shape = RecordShape(idKeys: ["toy"], wrapperKeys: [], codePath: [], requiresID: true)

    private static let phases: [String: TaskState] = [
        "wound up": .running, "done": .succeeded, "broken": .failed,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "phase", in: Self.phases)
    }

    func files(of record: JSONObject) -> [String] { record.files(at: [["box"]]) }

    func failureText(of record: JSONObject) -> String? { record.text(at: [["why"]]) }
}
