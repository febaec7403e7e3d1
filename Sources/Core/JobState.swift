/// The states of a job; the database holds the table of moves between them and refuses all others.
package enum JobState: String, Sendable, CaseIterable {
    case created, submitted, running, succeeded, delivered, failed, abandoned, dismissed
    case timedOut = "timed_out"

    /// What a task says moves nothing any more: another has succeeded, or a person has closed the job.
    package var ignoresTasks: Bool {
        switch self {
        case .succeeded, .delivered, .dismissed: true
        case .created, .submitted, .running, .timedOut, .failed, .abandoned: false
        }
    }
}

/// Why a job is neither polled nor aged until somebody frees it.
package enum Blocked: String, Sendable, CaseIterable {
    case brake, crashed, person
    case submissionUnknown = "submission_unknown"
}

/// The `error_code` of a failed job.
package enum JobErrorCode: String, Sendable, CaseIterable {
    case providerFailed = "provider_failed"
    case providerCancelled = "provider_cancelled"
    case providerExpired = "provider_expired"
    case neverSubmitted = "never_submitted"
    case resultLost = "result_lost"
    case application
    /// By the customer: final, and never charged.
    case cancelled
}

/// What a customer was promised; thresholds and deadlines depend on it.
package enum JobKind: String, Sendable, CaseIterable {
    case image, video, audio, other
}
