package import Core
package import HTTP

/// Google Veo through the Gemini API; operations of Vertex AI are read and not asked about.
package struct GoogleVeoProvider: PlainProvider {
    package static let name = "google-veo"
    package static let credentialVariables = ["HOLDFAST_GOOGLE_VEO_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_GOOGLE_VEO_BASE_URL"
    package static let defaultBaseURL = "https://generativelanguage.googleapis.com"

    package let settings: ProviderSettings
    let dialect: any TaskDialect = GoogleVeoDialect()
    /// None is documented.
    let callbackPlace = AnswerPlace.undescribed

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: Google documents no limit on asking about operations",
            urlLife: GoogleVeoDialect.urlLife, downloadNeedsCredentials: true,
            // `sampleCount` is at most 4.
            mostOutputs: 4)
    }

    /// - Parameter taskID: The operation's name, `models/…/operations/…`.
    package func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request {
        let key = try keyHeader()
        guard !taskID.hasPrefix("projects/") else {
            throw Failure(
                .needsPerson, code: "vertex_operation",
                "google-veo asks the Gemini API, and this operation is one of Vertex AI, whose "
                    + "files are in a bucket of your own: settle the job by hand")
        }
        var path = "/v1beta"
        for part in taskID.split(separator: "/", omittingEmptySubsequences: false) {
            path += "/" + (try TaskIDText.forURL(String(part)))
        }
        return request(path, key)
    }

    /// Operations are described, at either service; Interactions and batches are something else.
    func place(of endpoint: String?) -> AnswerPlace {
        guard let path = endpoint.filled.map({ EndpointText.path($0).asciiLowercased }) else {
            return .described
        }
        return .init(
            isDescribed: path == PlainEndpoint.name || path.hasSuffix(":fetchpredictoperation")
                || path.contains("operations/") || path.hasSuffix("/{operation name}"))
    }

    package func downloadHeaders(for url: String) throws(Failure) -> [Header] {
        owns(url) ? [try keyHeader()] : []
    }

    private func keyHeader() throws(Failure) -> Header {
        Header("x-goog-api-key", try key())
    }
}

/// A long-running operation of the Gemini API or of Vertex AI.
///
/// Source: ai.google.dev/gemini-api/docs/video; for filtered runs public issues.
struct GoogleVeoDialect: TaskDialect {
    static let urlLife = Duration.seconds(48 * 3600)

    let shape = RecordShape(
        idKeys: ["name"], wrapperKeys: [], codePath: [], requiresID: true)

    /// Where the two services and their clients put what was made; the last is a bucket's.
    private static let videos = [
        ["response", "generateVideoResponse", "generatedSamples", "*", "video", "uri"],
        ["response", "generatedVideos", "*", "video", "uri"],
    ]
    private static let lists = [
        ["response", "generateVideoResponse", "generatedSamples"],
        ["response", "generatedVideos"], ["response", "videos"],
    ]
    private static let responses = [["response"], ["response", "generateVideoResponse"]]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        let hasError = record["error"]?.opened.object != nil
        switch record["done"] ?? .null {
        case .null, .bool(false):
            // An error without an operation is about the request.
            return GivenID(record["name"]) == .none || hasError ? nil : .running
        case .bool(true):
            if hasError { return .failed }
            if hasVideo(record) { return .succeeded }
            return isFiltered(record) ? .failed : nil
        case .number, .string, .array, .object: return nil
        }
    }

    func files(of record: JSONObject) -> [String] { record.files(at: Self.videos) }

    func reasonForNoFile(in record: JSONObject) -> String? {
        "finished without a usable URL: what is in a bucket (gs://) or in the answer itself cannot "
            + "be fetched"
    }

    func failureText(of record: JSONObject) -> String? {
        if let error = record["error"].flatMap({ RefusalText.read($0.opened) }) { return error }
        return Self.responses.lazy.compactMap { path in
            RefusalText.read(record.value(at: path + ["raiMediaFilteredReasons"]).opened)
        }.first
    }

    /// The end is not told: no sooner than it was seen.
    func expiry(of record: JSONObject, now: Instant) -> Instant? { now + Self.urlLife }

    /// Errors are about the request, also 400 and 404: an operation's own end is in its record.
    func meaning(ofStatus status: Int) -> Refusal {
        var meaning = Refusal.status(status)
        meaning.errorClass = .transient
        return meaning
    }

    private func hasVideo(_ record: JSONObject) -> Bool {
        Self.lists.contains { record.value(at: $0).opened.array?.isEmpty == false }
    }

    private func isFiltered(_ record: JSONObject) -> Bool {
        Self.responses.contains { path in
            record.value(at: path + ["raiMediaFilteredCount"]).wholeNumber.map { $0 > 0 } ?? false
        }
    }
}
