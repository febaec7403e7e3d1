package import Core
package import HTTP

/// KIE.ai: one key, several endpoint families with words of their own.
package struct KIEProvider: Provider {
    package static let name = "kie"
    package static let credentialVariables = ["HOLDFAST_KIE_API_KEY"]
    package static let baseURLVariable = "HOLDFAST_KIE_BASE_URL"
    package static let defaultBaseURL = "https://api.kie.ai"

    /// Files are said to stay 14 days, but the task page gives their URLs 24 hours.
    static let urlLife = Duration.seconds(24 * 3600)
    /// Source: docs.kie.ai/common-api/download-url.
    static let refreshedURLLife = Duration.seconds(20 * 60)

    package let settings: ProviderSettings

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 10, rateBurst: 10,
            rateSource: "documented: 10 status requests a second for each key",
            urlLife: Self.urlLife, canRefresh: true, costUnit: "credits",
            webhook: .taskHMAC(keyVariable: "HOLDFAST_KIE_WEBHOOK_KEY"),
            billing: BillingFacts(hasBalance: true))
    }

    package func endpoints(for task: TaskReference) -> [String] {
        if let family = task.endpoint.flatMap(KIEFamily.named) { return [family.name] }
        return KIEFamily.candidates(model: task.model, kind: task.kind).map(\.name)
    }

    package func mostOutputs(endpoint: String?) -> Int {
        endpoint.flatMap(KIEFamily.named)?.mostOutputs ?? facts.mostOutputs
    }

    package func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request {
        guard let family = KIEFamily.named(endpoint) else {
            throw Failure(
                .needsPerson, code: "unknown_endpoint",
                "kie has no endpoint family \(endpoint.cut(to: 60)): name one of "
                    + KIEFamily.all.map(\.name).joined(separator: ", "))
        }
        let id = try TaskIDText.forURL(taskID)
        return request(family.path + "?taskId=" + id, try bearer())
    }

    package func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict {
        let asked = askedTaskID.filled
        switch kind {
        case .callback:
            return KIECallback(answer, asked: asked, endpoint: endpoint, now: now).verdict()
        case .poll, .result, .list:
            return KIEReader(answer, asked: asked, endpoint: endpoint, now: now).verdict()
        }
    }

    package func refreshRequest(url: String, now: Instant) throws(Failure) -> Request? {
        var request = request("/api/v1/common/download-url", method: "POST", try bearer())
        request.headers.append(Header("Content-Type", "application/json"))
        request.body = Array(JSON.write(["url": .string(url)]).utf8)
        return request
    }

    package func refreshedURL(_ answer: Answer) -> RefreshAnswer {
        guard case .document(let document) = AnswerBody(answer.body), document.object != nil else {
            return .transient("no readable answer (HTTP \(answer.httpStatus))")
        }
        let message = document["msg"]?.nonBlankText ?? document["message"]?.nonBlankText
        let code = document["code"]?.wholeNumber
        let place = "HTTP \(answer.httpStatus), code \(code.map(String.init) ?? "none")"
        let reason = PrivateText.message("\(message ?? "the provider gives no reason") (\(place))")
        guard answer.httpStatus < 500 else { return .transient(reason) }
        switch code {
        case KIEReader.okCode where (200..<300).contains(answer.httpStatus):
            guard case .string(let text)? = document["data"], let url = UsableURL.check(text) else {
                return .transient("the answer has no usable URL")
            }
            return .url(url, life: Self.refreshedURLLife)
        case 400, 404, 422: return .refused(reason)
        default: return .transient(reason)
        }
    }
}
