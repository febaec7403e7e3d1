package import Core
package import HTTP

/// MiniMax Hailuo: an older family that names a file and a newer one that names its URL.
package struct MiniMaxProvider: Provider {
    package static let name = "minimax"
    package static let credentialVariables = ["HOLDFAST_MINIMAX_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_MINIMAX_BASE_URL"
    /// Outside China; inside it is api.minimaxi.com.
    package static let defaultBaseURL = "https://api.minimax.io"

    /// The most that a page may hold is not established.
    private static let pageSize = 20

    package let settings: ProviderSettings

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 5, rateBurst: 5,
            rateSource: "our own choice: MiniMax documents no limit on queries",
            // Established for templates only; an hour keeps its files near the front of the queue.
            urlLife: .seconds(3600), urlLifeIsEstablished: false, pollSteps: 2, canList: true)
    }

    package func endpoints(for task: TaskReference) -> [String] {
        if let family = task.endpoint.flatMap(MiniMaxFamily.named) { return [family.rawValue] }
        return MiniMaxFamily.candidates(model: task.model).map(\.rawValue)
    }

    package func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request {
        let key = try bearer()
        guard let family = MiniMaxFamily.named(endpoint) else {
            throw Failure(
                .needsPerson, code: "unknown_endpoint",
                "minimax has no endpoint family \(endpoint.cut(to: 60)): name one of "
                    + MiniMaxFamily.allCases.map(\.rawValue).joined(separator: ", "))
        }
        let id = try TaskIDText.forURL(taskID)
        return request(family.path + (family == .v2 ? "/" : "?task_id=") + id, key)
    }

    /// The older family names a file; where it is takes a second request.
    package func resultRequest(
        after answer: Answer, taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request? {
        let reader = TaskReader(
            MiniMaxV1(family: .named(endpoint)), answer, from: .described, now: now)
        guard reader.verdict(asked: taskID).state == .running,
            reader.value(at: ["status"]).nonBlankText?.word == MiniMaxV1.success,
            let file = GivenID(reader.value(at: ["file_id"])).text
        else { return nil }
        return request("/v1/files/retrieve?file_id=" + (try TaskIDText.forURL(file)), try bearer())
    }

    package func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict {
        let asked = askedTaskID.filled
        if kind == .result {
            return TaskReader(MiniMaxFile(), answer, from: .undescribed, now: now).verdict(
                asked: asked)
        }
        let newer = TaskReader(
            MiniMaxV2(), answer, from: place(of: endpoint, kind, [.v2]), now: now)
        let isNewer = ["task", "items"].contains { !newer.value(at: [$0]).isNull }
        let family = endpoint.flatMap(MiniMaxFamily.named)
        let older = MiniMaxV1(family: family)
        let reader =
            isNewer
            ? newer
            : TaskReader(
                older, answer, from: place(of: endpoint, kind, [.v1, .template]), body: newer.body,
                now: now)
        return kind == .callback
            ? reader.callback(asked: asked, endpoint: endpoint) : reader.verdict(asked: asked)
    }

    /// The shape tells which family's words these are; on the path of another they mean nothing.
    private func place(
        of endpoint: String?, _ kind: AnswerKind, _ families: [MiniMaxFamily]
    ) -> AnswerPlace {
        guard kind != .callback, let endpoint = endpoint.filled else { return .described }
        return .init(isDescribed: MiniMaxFamily.named(endpoint).map(families.contains) ?? false)
    }

    /// Only the newer family has a list.
    package func listEndpoints(inUse endpointsInUse: [String]) -> [String] {
        let isInUse = endpointsInUse.contains { MiniMaxFamily.named($0) == .v2 }
        return isInUse ? [MiniMaxFamily.v2.rawValue] : []
    }

    /// - Parameter cursor: The page's number, counted from 1.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let page = number(cursor, from: 1)
        return request(
            "\(MiniMaxFamily.v2.path)?page_num=\(page)&page_size=\(Self.pageSize)", try bearer())
    }

    /// The last seven days, newest first; the order is inferred.
    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        let reader = TaskReader(
            MiniMaxV2(), answer, from: place(of: endpoint, .list, [.v2]), now: now)
        let total = reader.value(at: ["total"])
        return reader.page {
            nextPage(after: cursor, count: $0.count, size: Self.pageSize, total: total)
        }
    }
}

/// MiniMax's endpoint families.
enum MiniMaxFamily: String, CaseIterable {
    case v1, v2, template

    var path: String {
        switch self {
        case .v1: "/v1/query/video_generation"
        case .v2: "/v2/query/video_generation"
        case .template: "/v1/query/video_template_generation"
        }
    }

    /// The family of a short name, or of a path with or without method, task id and query.
    static func named(_ text: String) -> MiniMaxFamily? {
        let path = EndpointText.path(text).asciiLowercased
        return allCases.first {
            $0.rawValue == path || $0.path == path || path.hasPrefix($0.path + "/")
        }
    }

    /// The families to look in when nobody named one, in order.
    static func candidates(model: String) -> [MiniMaxFamily] {
        let model = model.word
        return model.contains("hailuo-03") || model.hasSuffix("h3") ? [.v2] : [.v1, .v2]
    }
}
