/// What a run came to, as a value: counts by outcome, credits moved, what went wrong.
package struct RunReport: Equatable, Sendable {
    package struct Problem: Equatable, Sendable {
        package var jobID: String?
        /// A short stable word for machines.
        package var code: String
        package var message: String
        /// What it is about where that is no job: a provider, a store.
        ///
        /// Trouble of one kind about one subject is one condition, which is said once and not in each
        /// run.
        package var subject: String?

        package init(
            jobID: String? = nil, code: String, message: String, subject: String? = nil
        ) {
            self.jobID = jobID
            self.code = code
            self.message = message
            self.subject = subject
        }
    }

    package var examined = 0
    package var outcomes: [String: Int] = [:]
    /// Credits by what became of them: captured, voided, charged, refunded, waived.
    package var credits: [String: Int64] = [:]
    package var problems: [Problem] = []
    /// Of the outcome `callbacks_unmatched`: those whose proof was wrong or missing, by what was.
    package var refusedCallbacks: [String: Int] = [:]
    package var status = ExitStatus.done

    /// How many problems one report keeps; the counts go on.
    package static let problemLimit = 200

    package init() {}

    /// `tag wrong`, or `1 no proof, 2 tag wrong` where there are several.
    package static func words(_ reasons: [String: Int]) -> String {
        if reasons.count == 1 { return reasons.keys.joined() }
        return reasons.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            .joined(separator: ", ")
    }

    package mutating func count(_ outcome: String, _ number: Int = 1) {
        outcomes[outcome, default: 0] += number
    }

    package mutating func add(credits amount: Int64, as action: String) {
        let (sum, overflow) = credits[action, default: 0].addingReportingOverflow(amount)
        credits[action] = overflow ? .max : sum
    }

    /// Adds a problem and raises the exit status to the worse of the two.
    package mutating func add(_ problem: Problem, status: ExitStatus) {
        if problems.count < Self.problemLimit, !problems.contains(problem) {
            problems.append(problem)
        }
        self.status = ExitStatus.worst(self.status, status)
    }
}
