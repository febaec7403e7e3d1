package import Core

/// Something that a run committed and a person has to know.
package struct News: Equatable, Sendable {
    package var code: String
    package var jobID: String?
    package var message: String
    /// Set where it was an earlier run that committed it.
    package var happenedAt: Instant?

    package init(code: String, jobID: String?, message: String, happenedAt: Instant?) {
        self.code = code
        self.jobID = jobID
        self.message = message
        self.happenedAt = happenedAt
    }

    package var problem: RunReport.Problem {
        let when = happenedAt.map { " (since \($0); the run that did it could not say so)" } ?? ""
        return .init(jobID: jobID, code: code, message: message + when)
    }

    /// Good news, which needs nobody.
    package var isOver: Bool { code == "condition_over" }

    /// What the database hands to a run that begins: an array of objects, or nothing.
    static func list(_ text: String?) throws -> [News] {
        guard let text else { return [] }
        return try JSON.parse(Array(text.utf8)).array?.map { one in
            News(
                code: one["code"]?.text ?? "news", jobID: one["job_id"]?.text,
                message: one["message"]?.text ?? "",
                happenedAt: one["happened_us"]?.int.map { Instant(microseconds: $0) })
        } ?? []
    }
}

/// A run that failed, with what it had to say before that.
package struct FailedRun: Error {
    package var failure: Failure
    package var problems: [RunReport.Problem]
    /// What is to be said of the failure, where the database knew; nil where nobody asked it.
    package var saying: Saying?

    package init(
        failure: Failure, problems: [RunReport.Problem] = [], saying: Saying? = nil
    ) {
        self.failure = failure
        self.problems = problems
        self.saying = saying
    }
}
