package import Core
package import HTTP

/// A provider of generations: turns a task into requests, and any answer into a verdict.
///
/// Reading never throws and never traps: what is not understood is a verdict too, `unknown`.
/// An adapter without credentials reads as well as one with them; it only refuses to ask.
package protocol Provider: Sendable {
    /// The word that jobs, variables and callback addresses use, in lower case.
    static var name: String { get }
    /// The variables that hold its credentials; all of them are needed.
    static var credentialVariables: [String] { get }
    static var baseURLVariable: String { get }
    static var defaultBaseURL: String { get }

    init(settings: ProviderSettings)

    var settings: ProviderSettings { get }
    var facts: ProviderFacts { get }

    /// The endpoint families to ask about a task, in order; one when it is known or derivable.
    func endpoints(for task: TaskReference) -> [String]

    /// The request that asks about a task, with credentials made for this call.
    ///
    /// - Parameter now: The machine's clock, because tokens are about real time.
    func pollRequest(taskID: String, endpoint: String, now: Instant) throws(Failure) -> Request

    /// What an answer says about the task asked for.
    func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict

    /// The request for one page of the task list; nil where the provider has none.
    ///
    /// - Parameter page: Counted from 1.
    func listRequest(endpoint: String, page: Int, now: Instant) throws(Failure) -> Request?

    /// Every task in a list, in order; nil when the answer is no list that can be understood.
    func listedTasks(_ answer: Answer, endpoint: String?, now: Instant) -> [ListedTask]?

    /// The request that finds a task by our own id; nil where the provider cannot.
    func lookupRequest(jobID: String, endpoint: String, now: Instant) throws(Failure) -> Request?

    /// What an answer to `lookupRequest` says: healthy only when it is about our own id.
    func lookupVerdict(_ answer: Answer, jobID: String, endpoint: String, now: Instant) -> Verdict

    /// The request for a fresh URL of a file whose URL expired; nil where the provider cannot.
    func refreshRequest(url: String, now: Instant) throws(Failure) -> Request?
    func refreshedURL(_ answer: Answer) -> RefreshAnswer
}

extension Provider {
    package var name: String { Self.name }

    package var isConfigured: Bool {
        settings.credentials.count == Self.credentialVariables.count
    }

    package func tasks(inList answer: Answer, endpoint: String?, now: Instant) -> [Verdict]? {
        listedTasks(answer, endpoint: endpoint, now: now)?.map(\.verdict)
    }

    package func listRequest(
        endpoint: String, page: Int, now: Instant
    ) throws(Failure) -> Request? {
        nil
    }

    package func listedTasks(_ answer: Answer, endpoint: String?, now: Instant) -> [ListedTask]? {
        nil
    }

    package func lookupRequest(
        jobID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request? {
        nil
    }

    package func lookupVerdict(
        _ answer: Answer, jobID: String, endpoint: String, now: Instant
    ) -> Verdict {
        .unclear("\(name) cannot find a task by our own id")
    }

    package func refreshRequest(url: String, now: Instant) throws(Failure) -> Request? { nil }

    package func refreshedURL(_ answer: Answer) -> RefreshAnswer {
        .refused("\(name) cannot refresh a URL")
    }

    /// The credential kept under `variable`.
    func credential(_ variable: String) throws(Failure) -> String {
        if let value = settings.credentials[variable] { return value }
        throw Failure(
            .configuration, code: "provider_off",
            "\(name) is off: set \(variable)")
    }
}

/// What a provider sent, whole: judged, kept as evidence and logged from these same bytes.
package struct Answer: Sendable {
    package var httpStatus: Int
    package var headers: [Header]
    package var body: [UInt8]

    package init(httpStatus: Int, headers: [Header] = [], body: [UInt8]) {
        self.httpStatus = httpStatus
        self.headers = headers
        self.body = body
    }

    package init(_ response: Response) {
        self.init(
            httpStatus: response.status, headers: response.headers, body: response.body)
    }
}

/// A task as a job row knows it.
package struct TaskReference: Sendable {
    package var taskID: String
    /// The family that the application named, or that knew the task before.
    package var endpoint: String?
    package var model: String
    package var kind: JobKind

    package init(taskID: String, endpoint: String? = nil, model: String, kind: JobKind) {
        self.taskID = taskID
        self.endpoint = endpoint
        self.model = model
        self.kind = kind
    }
}

/// What an answer answers.
package enum AnswerKind: String, Sendable, CaseIterable {
    case poll, callback, result, list
}

/// What is known about a provider apart from its shapes.
package struct ProviderFacts: Sendable {
    package var ratePerSecond: Int
    package var rateBurst: Int
    /// Where the rate comes from, for people who read `holdfast policy show`.
    package var rateSource: String
    /// How long result URLs work after completion.
    package var urlLife: Duration
    /// Good credentials are refused now and then, so that only a long streak is an alarm.
    package var mayRefuseGoodCredentials: Bool
    package var canLookUpByOwnID: Bool
    package var canList: Bool
    package var canRefresh: Bool

    package init(
        ratePerSecond: Int, rateBurst: Int, rateSource: String, urlLife: Duration,
        mayRefuseGoodCredentials: Bool = false, canLookUpByOwnID: Bool, canList: Bool,
        canRefresh: Bool
    ) {
        self.ratePerSecond = ratePerSecond
        self.rateBurst = rateBurst
        self.rateSource = rateSource
        self.urlLife = urlLife
        self.mayRefuseGoodCredentials = mayRefuseGoodCredentials
        self.canLookUpByOwnID = canLookUpByOwnID
        self.canList = canList
        self.canRefresh = canRefresh
    }
}

/// One line of a provider's task list.
package struct ListedTask: Equatable, Sendable {
    package var verdict: Verdict
    /// The id that the application gave the task when it created it.
    package var ownID: String?
    package var createdAt: Instant?

    package init(verdict: Verdict, ownID: String?, createdAt: Instant?) {
        self.verdict = verdict
        self.ownID = ownID
        self.createdAt = createdAt
    }
}

/// What came of asking for a fresh URL.
package enum RefreshAnswer: Equatable, Sendable {
    case url(String, life: Duration?)
    /// The provider will not give one for this file.
    case refused(String)
    /// Nothing final: ask again.
    case transient(String)
}
