package import Core
package import HTTP

/// The queue of fal.ai: the status tells when a request is through, its response what came of it.
package struct FalProvider: Provider {
    package static let name = "fal"
    package static let credentialVariables = ["HOLDFAST_FAL_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_FAL_BASE_URL"
    package static let defaultBaseURL = "https://queue.fal.run"
    /// Lists are on a host of their own.
    package static let furtherBaseURLs = ["HOLDFAST_FAL_PLATFORM_BASE_URL": "https://api.fal.ai"]

    /// The most that a page holds.
    private static let pageSize = 100

    package let settings: ProviderSettings

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 10, rateBurst: 10,
            rateSource: "our own choice: fal documents no limit on status queries",
            // Set with each request; an hour keeps its files near the front of the queue.
            urlLife: .seconds(3600), urlLifeIsEstablished: false, pollSteps: 2, canList: true,
            webhook: .publishedKeys(
                url: "https://rest.fal.ai/.well-known/jwks.json",
                urlVariable: "HOLDFAST_FAL_KEYS_URL"),
            billing: BillingFacts(
                hasLines: true, window: .seconds(30 * 86_400), delay: .seconds(2 * 86_400)))
    }

    /// The family is the path of the model, which is its name too.
    package func endpoints(for task: TaskReference) -> [String] {
        [task.endpoint.filled ?? task.model]
    }

    package func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request {
        let key = try keyHeader()
        return request(try requestPath(taskID, endpoint) + "/status", key)
    }

    package func resultRequest(
        after answer: Answer, taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request? {
        let reader = TaskReader(FalStatus(), answer, from: .described, now: now)
        guard reader.verdict(asked: taskID).isHealthy,
            reader.value(at: ["status"]).nonBlankText?.word == FalStatus.completed
        else { return nil }
        let key = try keyHeader()
        let path = try requestPath(taskID, endpoint)
        // The answer knows its address best, as long as it is the provider's and this task's.
        if case .string(let url) = reader.value(at: ["response_url"]), owns(url),
            EndpointText.path(url).hasSuffix("/requests/" + (try TaskIDText.forURL(taskID)))
        {
            return request(to: url, [key])
        }
        return request(path, key)
    }

    package func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict {
        let asked = askedTaskID.filled
        switch kind {
        case .callback:
            return TaskReader(FalCallback(), answer, from: .described, now: now)
                .callback(asked: asked, endpoint: endpoint)
        case .result:
            let place = place(of: endpoint, after: nil)
            return FalResult(
                reader: TaskReader(FalStatus(), answer, from: place, now: now)
            ).verdict(asked: asked)
        case .poll, .list:
            let place = kind == .list ? .undescribed : place(of: endpoint, after: "status")
            let reader = TaskReader(FalStatus(), answer, from: place, now: now)
            return FalResult.outOfTurn(reader) ?? reader.verdict(asked: asked)
        }
    }

    /// One list for each model; only the last 24 hours are asked for, as is the default.
    package func listEndpoints(inUse endpointsInUse: [String]) -> [String] {
        var models: [String] = []
        for endpoint in endpointsInUse {
            let model = Self.segments(endpoint).joined(separator: "/")
            if model.contains("/"), !models.contains(model) { models.append(model) }
        }
        return models
    }

    /// Source: fal.ai/docs/platform-apis/v1/models/requests/by-endpoint.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let key = try keyHeader()
        let model = Self.segments(endpoint).joined(separator: "/")
        let next = cursor.map { "&cursor=" + $0.percentEncoded } ?? ""
        return request(
            to: platformBaseURL + "/v1/models/requests/by-endpoint?endpoint_id="
                + model.percentEncoded
                + "&limit=\(Self.pageSize)" + next, [key])
    }

    /// Newest end first, which is the default; the direction is inferred.
    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        // The page of the list names no word that ends a request.
        let reader = TaskReader(FalStatus(), answer, from: .undescribed, now: now)
        let next = reader.value(at: ["next_cursor"]).nonBlankText
        let hasMore = reader.value(at: ["has_more"]).bool != false && next != cursor
        return reader.page { _ in hasMore ? next : nil }
    }

    /// The path of a request: what follows owner and name of a model is only for creating.
    private func requestPath(_ taskID: String, _ endpoint: String) throws(Failure) -> String {
        let id = try TaskIDText.forURL(taskID)
        let segments = Self.segments(endpoint)
        // Workflows have a space of names before the owner.
        let count = ["workflows", "comfy"].contains(segments.first) ? 3 : 2
        guard segments.count >= count,
            segments.allSatisfy({ !$0.utf8.allSatisfy { $0 == UInt8(ascii: ".") } })
        else {
            throw Failure(
                .needsPerson, code: "unknown_endpoint",
                "fal has no model \(endpoint.cut(to: 60)): name the path of one, such as "
                    + "fal-ai/flux/dev, as the job's endpoint or model")
        }
        return "/" + segments.prefix(count).map(\.percentEncoded).joined(separator: "/")
            + "/requests/" + id
    }

    /// The pages describe a model's requests: the status of one, and its response.
    ///
    /// - Parameter last: What follows the request's id.
    private func place(of endpoint: String?, after last: String?) -> AnswerPlace {
        guard let endpoint = endpoint.filled else { return .described }
        let parts = Self.segments(endpoint)
        guard let requests = parts.lastIndex(of: "requests") else {
            // A model's path, or "response_url"; other hosts of fal's have a version in front.
            return .init(isDescribed: !["v1", "v2", "api"].contains(parts.first ?? "v1"))
        }
        let rest = Array(parts.dropFirst(requests + 2))
        return .init(isDescribed: requests + 1 < parts.count && rest == (last.map { [$0] } ?? []))
    }

    private static func segments(_ endpoint: String) -> [String] {
        EndpointText.path(endpoint).split(separator: "/").map(String.init)
    }

    /// Lists and bills are there.
    var platformBaseURL: String {
        Self.furtherBaseURLs.keys.first.flatMap { settings.furtherBaseURLs[$0] } ?? ""
    }

    func keyHeader() throws(Failure) -> Header {
        Header("Authorization", "Key \(try key())")
    }
}
