package import Core
package import HTTP

/// A verdict as `holdfast classify` prints it.
package enum Classification {
    /// Reads one body and gives the object to print: the verdict, or `tasks` for a list.
    ///
    /// - Parameter endpoint: Method and path as the fact pages write them, the path alone, or the
    ///   family's short name.
    package static func classify(
        provider: any Provider, kind: AnswerKind, endpoint: String?, askedTaskID: String?,
        httpStatus: Int, headers: [Header], now: Instant, body: [UInt8]
    ) -> JSONValue {
        let answer = Answer(httpStatus: httpStatus, headers: headers, body: body)
        guard kind != .list else {
            let page = provider.listPage(answer, endpoint: endpoint, cursor: nil, now: now)
            return ["tasks": .array((page?.tasks ?? []).map { object($0.verdict) })]
        }
        return object(
            provider.verdict(
                answer, askedTaskID: askedTaskID, endpoint: endpoint, kind: kind, now: now))
    }

    /// The verdict as JSON, absent values null.
    package static func object(_ verdict: Verdict) -> JSONValue {
        [
            "task_id": .optional(verdict.taskID),
            "state": .string(verdict.state.rawValue),
            "result_urls": .array(verdict.resultURLs.map { .string($0) }),
            "error_class": .string(verdict.errorClass.rawValue),
            "error_message": .optional(verdict.errorMessage),
            "progress": verdict.progress.map { .integer($0) } ?? .null,
            "cost": verdict.cost.map {
                ["amount": .string($0.amount), "unit": .string($0.unit)]
            } ?? .null,
            "url_expires_at": .optional(verdict.urlExpiresAt?.description),
        ]
    }
}
