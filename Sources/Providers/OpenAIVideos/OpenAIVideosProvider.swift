package import Core
package import HTTP

/// OpenAI's Videos API, and whoever copies it: the file is at an address made from the id.
package struct OpenAIVideosProvider: TaskResourceProvider {
    package static let name = "openai-videos"
    package static let credentialVariables = ["HOLDFAST_OPENAI_VIDEOS_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_OPENAI_VIDEOS_BASE_URL"
    package static let defaultBaseURL = "https://api.openai.com"

    let tasksPath = "/v1/videos"
    /// The most that a page holds.
    private static let pageSize = 100

    package let settings: ProviderSettings

    package init(settings: ProviderSettings) { self.settings = settings }

    var dialect: any TaskDialect { OpenAIVideo(place: settings.baseURL + tasksPath) }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: OpenAI documents no limit on asking about videos",
            urlLife: OpenAIVideo.urlLife, canList: true, downloadNeedsCredentials: true,
            webhook: .standard(
                secretVariable: "HOLDFAST_OPENAI_VIDEOS_WEBHOOK_SECRET", secretIsBase64: true))
    }

    package func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict {
        let asked = askedTaskID.filled
        guard kind == .callback else {
            return reader(answer, endpoint, now: now).verdict(asked: asked)
        }
        // Gateways that copy the API post the video itself, which no page describes.
        let reader = TaskReader(dialect, answer, from: .undescribed, now: now)
        guard reader.value(at: ["object"]).nonBlankText == OpenAIEvent.object else {
            return reader.callback(asked: asked, endpoint: endpoint)
        }
        // The project's one address gets the events of everything else too.
        guard reader.value(at: ["type"]).nonBlankText?.word.hasPrefix("video.") == true else {
            return .unclear("the event is not about a video")
        }
        let event = OpenAIEvent(place: settings.baseURL + tasksPath)
        return TaskReader(event, answer, from: .described, body: reader.body, now: now)
            .callback(asked: asked, endpoint: endpoint)
    }

    package func downloadHeaders(for url: String) throws(Failure) -> [Header] {
        owns(url) ? [try bearer()] : []
    }

    /// - Parameter cursor: The id of the last task of the page before.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let after = cursor.map { "&after=" + $0.percentEncoded } ?? ""
        return try ask("?limit=\(Self.pageSize)&order=desc" + after)
    }

    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        let reader = reader(answer, endpoint, now: now)
        let hasMore = reader.value(at: ["has_more"]).bool == true
        return reader.page { tasks in
            let last = GivenID(reader.value(at: ["last_id"])).text ?? tasks.last?.verdict.taskID
            return hasMore && last != cursor ? last : nil
        }
    }
}

/// The video object, which polls and lists share.
///
/// Source: developers.openai.com/api/docs/guides/video-generation and the reference of videos.
struct OpenAIVideo: TaskDialect {
    /// An hour after the end, where the object does not say it.
    static let urlLife = Duration.seconds(3600)

    /// Base address and path of all videos.
    let place: String

    let shape = RecordShape(idKeys: ["id"], codePath: [], requiresID: true)

    private static let states: [String: TaskState] = [
        "queued": .pending, "in_progress": .running, "completed": .succeeded, "failed": .failed,
        // The word of gateways that copy the API.
        "processing": .running,
    ]

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        guard record["object"]?.nonBlankText == "video",
            let state = record.state(at: "status", in: Self.states)
        else { return nil }
        let end = Timestamp.read(record["expires_at"])
        return state == .succeeded && end.map { $0 <= now } ?? false ? .expired : state
    }

    /// No body names the file: its address is made from the id.
    func files(of record: JSONObject) -> [String] { Self.file(GivenID(record["id"]), at: place) }

    func progress(of record: JSONObject) -> Int? { record.percent(at: "progress", of: 100) }

    func expiry(of record: JSONObject, now: Instant) -> Instant? {
        Timestamp.read(record["expires_at"])
            ?? record.end(of: Self.urlLife, from: "completed_at", now: now)
    }

    static func file(_ id: GivenID, at place: String) -> [String] {
        guard let id = id.text, let part = try? TaskIDText.forURL(id),
            let url = UsableURL.check("\(place)/\(part)/content")
        else { return [] }
        return [url]
    }
}

/// An event of the project's webhook: its own id is not the video's.
///
/// Source: developers.openai.com/api/docs/guides/webhooks.
struct OpenAIEvent: TaskDialect {
    static let object = "event"

    let place: String

    let shape = RecordShape(
        idKeys: [], fallbackIDPaths: [["data", "id"]], wrapperKeys: [], codePath: [],
        requiresID: true)

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(
            at: "type", in: ["video.completed": .succeeded, "video.failed": .failed])
    }

    func files(of record: JSONObject) -> [String] {
        OpenAIVideo.file(shape.id(of: record), at: place)
    }

    func expiry(of record: JSONObject, now: Instant) -> Instant? {
        record.end(of: OpenAIVideo.urlLife, from: "created_at", now: now)
    }
}
