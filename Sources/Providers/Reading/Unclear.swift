import Core
import HTTP

extension Verdict {
    /// A verdict that changes nothing about the job, and why.
    static func unclear(
        _ message: String, _ errorClass: ErrorClass = .transient, taskID: String? = nil
    ) -> Verdict {
        Verdict(
            taskID: taskID, state: .unknown, errorClass: errorClass,
            errorMessage: PrivateText.message(message), isUnreadable: errorClass == .transient)
    }

    /// A verdict on a word that ends a task elsewhere, where no page says that it does here.
    static func undescribed(taskID: String?) -> Verdict {
        unclear("no page of the provider says that this ends a task here", taskID: taskID)
    }

    /// A verdict on an answer that refuses, fails, or cannot be read.
    ///
    /// - Parameter code: The provider's own code in the body, when it gave one.
    static func refusal(
        _ message: String?, code: Int64?, answer: Answer, now: Instant,
        errorClass: ErrorClass = .transient
    ) -> Verdict {
        var place = answer.httpStatus == 200 ? "" : "HTTP \(answer.httpStatus)"
        if let code { place += (place.isEmpty ? "" : ", ") + "code \(code)" }
        let text = message ?? "the provider gives no reason"
        var verdict = unclear(place.isEmpty ? text : "\(text) (\(place))", errorClass)
        verdict.retryAfter = RetryAfter.read(answer.headers, now: now)
        // A code or a status of its own says what the trouble is.
        verdict.isUnreadable =
            errorClass == .transient && code == nil && (200..<300).contains(answer.httpStatus)
        return verdict
    }
}
