/// What a provider's answer says about one task, normalised over all providers.
package struct Verdict: Equatable, Sendable {
    /// The id that the body gives for the task, digit for digit; nil when it gives none.
    package var taskID: String?
    package var state: TaskState
    /// Deliverable files, verbatim and in body order; empty unless `state` is succeeded.
    package var resultURLs: [String]
    package var errorClass: ErrorClass
    package var errorMessage: String?
    /// 0 to 100, when the provider says it.
    package var progress: Int?
    package var cost: Cost?
    /// When the result URLs stop working, if the provider says or documents it.
    package var urlExpiresAt: Instant?
    /// The provider says that it does not know the id at this endpoint; another family might.
    package var taskIsUnknownHere: Bool
    /// How long the provider asked us to leave it alone (`Retry-After`).
    package var retryAfter: Duration?
    /// Our credentials were refused (401, 403): a fresh token may help at once.
    package var credentialsRefused: Bool
    /// An answer came whole, with a status that tells of no trouble, and nobody can say what it means.
    package var isUnreadable: Bool
    /// The files stood in an answer that names no task, as the provider's page has it.
    package var isUnnamed = false
    /// Files beyond what a job may have, which are not among `resultURLs`.
    package var surplus = 0

    package init(
        taskID: String? = nil, state: TaskState, resultURLs: [String] = [],
        errorClass: ErrorClass, errorMessage: String? = nil, progress: Int? = nil,
        cost: Cost? = nil, urlExpiresAt: Instant? = nil, taskIsUnknownHere: Bool = false,
        retryAfter: Duration? = nil, credentialsRefused: Bool = false, isUnreadable: Bool = false
    ) {
        self.taskID = taskID
        self.state = state
        self.resultURLs = resultURLs
        self.errorClass = errorClass
        self.errorMessage = errorMessage
        self.progress = progress
        self.cost = cost
        self.urlExpiresAt = urlExpiresAt
        self.taskIsUnknownHere = taskIsUnknownHere
        self.retryAfter = retryAfter
        self.credentialsRefused = credentialsRefused
        self.isUnreadable = isUnreadable
    }

    /// An answer about the task itself, final or not: what rule 6 calls a healthy answer.
    package var isHealthy: Bool { state != .unknown }
}

package enum TaskState: String, Sendable, CaseIterable {
    case pending, running, succeeded, failed, cancelled, expired, unknown

    /// Nothing more will happen to the task at the provider.
    package var isFinal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled, .expired: true
        case .pending, .running, .unknown: false
        }
    }
}

/// Whether asking again can change the answer.
package enum ErrorClass: String, Sendable, CaseIterable {
    /// A healthy answer about the task.
    case none
    /// Says nothing final: ask again later, keep the job as it is.
    case transient
    /// Asking again about this same task changes nothing.
    case final
}

/// What a provider charged for a task, in its own unit; never added up with credits.
package struct Cost: Equatable, Sendable {
    /// A decimal, digit for digit as the provider wrote it.
    package var amount: String
    package var unit: String

    package init(amount: String, unit: String) {
        self.amount = amount
        self.unit = unit
    }
}
