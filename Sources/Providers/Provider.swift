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
    /// Further hosts of the provider, by the variable that says where each is.
    static var furtherBaseURLs: [String: String] { get }

    init(settings: ProviderSettings)

    var settings: ProviderSettings { get }
    var facts: ProviderFacts { get }

    /// The endpoint families to ask about a task, in order; one when it is known or derivable.
    func endpoints(for task: TaskReference) -> [String]

    /// The most files that one task of a family gives, as far as its pages say.
    func mostOutputs(endpoint: String?) -> Int

    /// The request that asks about a task, with credentials made for this call.
    ///
    /// - Parameter now: The machine's clock, because tokens are about real time.
    func pollRequest(taskID: String, endpoint: String, now: Instant) throws(Failure) -> Request

    /// What an answer says about the task asked for.
    func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict

    /// The second request of a provider that tells the end and the files apart; nil when the first
    /// answer says all there is. Its answer is read as `AnswerKind.result`.
    ///
    /// - Parameter answer: The answer to `pollRequest`.
    func resultRequest(
        after answer: Answer, taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request?

    /// The families whose lists hold the tasks of jobs at `endpointsInUse`; empty where the provider
    /// has no list.
    func listEndpoints(inUse endpointsInUse: [String]) -> [String]

    /// The request for one page of the task list, newest first; nil where the provider has none.
    ///
    /// - Parameter cursor: What the page before gave; nil for the first page.
    func listRequest(endpoint: String, cursor: String?, now: Instant) throws(Failure) -> Request?

    /// One page of a task list; nil when the answer is no list that can be understood.
    ///
    /// - Parameter cursor: What the page was asked with, from which some tell the next one.
    func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage?

    /// The request that finds a task by our own id; nil where the provider cannot.
    func lookupRequest(jobID: String, endpoint: String, now: Instant) throws(Failure) -> Request?

    /// What an answer to `lookupRequest` says: healthy only when it is about our own id.
    func lookupVerdict(_ answer: Answer, jobID: String, endpoint: String, now: Instant) -> Verdict

    /// The request for a fresh URL of a file whose URL expired; nil where the provider cannot.
    func refreshRequest(url: String, now: Instant) throws(Failure) -> Request?
    func refreshedURL(_ answer: Answer) -> RefreshAnswer

    /// The request for one page of what was charged; nil where the provider does not tell.
    ///
    /// - Parameter cursor: What the page before gave; nil for the first page.
    func billingRequest(
        _ window: BillingWindow, cursor: String?, now: Instant
    ) throws(Failure) -> Request?

    /// One page of what was charged; nil when the answer is none that can be understood.
    func billingPage(_ answer: Answer, cursor: String?) -> BillingPage?

    /// The request for what is left on our account; nil where the provider does not tell.
    func balanceRequest(now: Instant) throws(Failure) -> Request?

    /// What is left on our account; nil when the answer does not say.
    func balance(_ answer: Answer) -> AccountBalanceAnswer?

    /// The headers that a download of a result needs, credentials among them; empty for a public
    /// file, and for every address that is not the provider's own.
    func downloadHeaders(for url: String) throws(Failure) -> [Header]
}

extension Provider {
    package static var furtherBaseURLs: [String: String] { [:] }

    package var name: String { Self.name }

    package var isConfigured: Bool {
        settings.credentials.count == Self.credentialVariables.count
    }

    package func mostOutputs(endpoint: String?) -> Int { facts.mostOutputs }

    package func resultRequest(
        after answer: Answer, taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request? {
        nil
    }

    package func listEndpoints(inUse endpointsInUse: [String]) -> [String] {
        facts.canList ? [""] : []
    }

    package func listRequest(
        endpoint: String, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        nil
    }

    package func listPage(
        _ answer: Answer, endpoint: String?, cursor: String?, now: Instant
    ) -> ListPage? {
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

    package func downloadHeaders(for url: String) throws(Failure) -> [Header] { [] }

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
    /// How long result URLs work after completion; where that is not established a careful guess,
    /// by which files are put in order and nothing else.
    package var urlLife: Duration
    package var urlLifeIsEstablished: Bool
    /// Requests until the files of a task that has ended are known.
    package var pollSteps: Int
    /// Good credentials are refused now and then, so that only a long streak is an alarm.
    package var mayRefuseGoodCredentials: Bool
    package var canLookUpByOwnID: Bool
    package var canList: Bool
    package var canRefresh: Bool
    /// The unit in which answers tell what a task cost; nil where they do not.
    package var costUnit: String?
    /// Files are handed out against the provider's key only.
    package var downloadNeedsCredentials: Bool
    package var webhook: WebhookScheme
    package var billing: BillingFacts
    /// The most files that one task gives, as far as the pages say.
    package var mostOutputs: Int

    package init(
        ratePerSecond: Int, rateBurst: Int, rateSource: String, urlLife: Duration,
        urlLifeIsEstablished: Bool = true, pollSteps: Int = 1,
        mayRefuseGoodCredentials: Bool = false, canLookUpByOwnID: Bool = false,
        canList: Bool = false, canRefresh: Bool = false, costUnit: String? = nil,
        downloadNeedsCredentials: Bool = false, webhook: WebhookScheme = .unsigned,
        billing: BillingFacts = BillingFacts(), mostOutputs: Int = 1
    ) {
        self.ratePerSecond = ratePerSecond
        self.rateBurst = rateBurst
        self.rateSource = rateSource
        self.urlLife = urlLife
        self.urlLifeIsEstablished = urlLifeIsEstablished
        self.pollSteps = pollSteps
        self.mayRefuseGoodCredentials = mayRefuseGoodCredentials
        self.canLookUpByOwnID = canLookUpByOwnID
        self.canList = canList
        self.canRefresh = canRefresh
        self.costUnit = costUnit
        self.downloadNeedsCredentials = downloadNeedsCredentials
        self.webhook = webhook
        self.billing = billing
        self.mostOutputs = mostOutputs
    }
}

/// How a provider proves that a callback is its own.
package enum WebhookScheme: Equatable, Sendable {
    /// Nothing is signed: only our own secret or tag in the address can tell.
    case unsigned
    /// `X-Webhook-Signature` is the base64 HMAC-SHA256 of task id, dot and `X-Webhook-Timestamp`; the
    /// body is not covered. The key is in the variable.
    case taskHMAC(keyVariable: String)
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, HMAC-SHA256 over
    /// id, timestamp and body. After `whsec_` the secret is base64, or text as it stands.
    case standard(secretVariable: String, secretIsBase64: Bool)
    /// ED25519 over request id, user id, timestamp and the body's digest; the provider publishes its
    /// keys at the address, which the variable overrides.
    case publishedKeys(url: String, urlVariable: String)
    /// The secret itself comes in a header; the one that is expected is in the variable.
    case clearSecret(header: String, secretVariable: String)
}

/// One page of a provider's task list.
package struct ListPage: Equatable, Sendable {
    package var tasks: [ListedTask]
    /// Asks for the page after this one, with older tasks; nil on the last page.
    package var next: String?

    package init(tasks: [ListedTask], next: String?) {
        self.tasks = tasks
        self.next = next
    }
}

/// One line of a provider's task list.
package struct ListedTask: Equatable, Sendable {
    package var verdict: Verdict
    /// The id that the application gave the task when it created it.
    package var ownID: String?
    /// Where the provider calls back, as it echoes it: the job's id and tag may stand in it.
    package var callbackURL: String?
    package var createdAt: Instant?

    package init(
        verdict: Verdict, ownID: String? = nil, callbackURL: String? = nil, createdAt: Instant?
    ) {
        self.verdict = verdict
        self.ownID = ownID
        self.callbackURL = callbackURL
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
