package import Core
package import HTTP

/// Kling's official API: one record shape, a path for each kind of task, a token for each request.
package struct KlingProvider: PlainProvider {
    package static let name = "kling"
    package static let credentialVariables = [
        "HOLDFAST_KLING_ACCESS_KEY", "HOLDFAST_KLING_SECRET_KEY",
    ]
    package static let baseURLVariable = "HOLDFAST_KLING_BASE_URL"
    package static let defaultBaseURL = "https://api-singapore.klingai.com"

    /// Source: Kling portal, the query page of each model.
    static let urlLife = Duration.seconds(30 * 86_400)
    static let pageSize = 500
    static let lastPage = 1000

    package let settings: ProviderSettings
    let dialect: any TaskDialect = KlingDialect()

    package init(settings: ProviderSettings) { self.settings = settings }

    package var facts: ProviderFacts {
        ProviderFacts(
            ratePerSecond: 20, rateBurst: 20,
            rateSource: "our own choice: Kling documents no limit on queries",
            urlLife: Self.urlLife, mayRefuseGoodCredentials: true, canLookUpByOwnID: true,
            canList: true, costUnit: KlingDialect.costUnit,
            // Images: `n` is at most 9.
            mostOutputs: 9)
    }

    package func endpoints(for task: TaskReference) -> [String] {
        if let kind = task.endpoint.flatMap(KlingKind.named) { return [kind.name] }
        return KlingKind.candidates(task.kind).map(\.name)
    }

    package func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request {
        let path = try path(endpoint)
        return try signed(path + "/" + TaskIDText.forURL(taskID), now: now)
    }

    /// One list for each kind of task, so that only the kinds in use are walked.
    package func listEndpoints(inUse endpointsInUse: [String]) -> [String] {
        let inUse = Set(endpointsInUse.compactMap { KlingKind.named($0)?.name })
        return KlingKind.all.map(\.name).filter(inUse.contains)
    }

    /// - Parameter cursor: The page's number, counted from 1.
    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        let path = try path(endpoint)
        let page = number(cursor, from: 1)
        return try signed("\(path)?pageNum=\(page)&pageSize=\(Self.pageSize)", now: now)
    }

    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
        reader(answer, endpoint, now: now).page { tasks in
            let next = nextPage(after: cursor, count: tasks.count, size: Self.pageSize)
            return number(next, from: 1) > Self.lastPage ? nil : next
        }
    }

    /// Kling takes `external_task_id` in the place of its own id.
    package func lookupRequest(
        jobID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request? {
        try pollRequest(taskID: jobID, endpoint: endpoint, now: now)
    }

    package func lookupVerdict(
        _ answer: Answer, jobID: String, endpoint: String, now: Instant
    ) -> Verdict {
        reader(answer, endpoint, now: now).verdict(ownID: jobID)
    }

    /// All kinds have the same words, so that nothing hangs on one that nobody named.
    func place(of endpoint: String?) -> AnswerPlace {
        .init(isDescribed: endpoint.filled.map { KlingKind.named($0) != nil } ?? true)
    }

    private func path(_ endpoint: String) throws(Failure) -> String {
        if let kind = KlingKind.named(endpoint) { return kind.path }
        throw Failure(
            .needsPerson, code: "unknown_endpoint",
            "kling has no task kind \(endpoint.cut(to: 60)): name one of "
                + KlingKind.all.map(\.name).joined(separator: ", "))
    }

    private func signed(_ target: String, now: Instant) throws(Failure) -> Request {
        let token = KlingToken.make(
            accessKey: try credential("HOLDFAST_KLING_ACCESS_KEY"),
            secretKey: try credential("HOLDFAST_KLING_SECRET_KEY"), now: now)
        return request(target, Header("Authorization", "Bearer \(token)"))
    }
}
