/// What a run came to, as a value: counts by outcome, credits moved, what went wrong.
package struct RunReport: Equatable, Sendable {
    package struct Problem: Equatable, Sendable {
        package var jobID: String?
        /// A short stable word for machines.
        package var code: String
        package var message: String

        package init(jobID: String? = nil, code: String, message: String) {
            self.jobID = jobID
            self.code = code
            self.message = message
        }
    }

    package var examined = 0
    package var outcomes: [String: Int] = [:]
    /// Credits by what became of them: captured, voided, charged, refunded, waived.
    package var credits: [String: Int64] = [:]
    package var problems: [Problem] = []
    package var status = ExitStatus.done

    /// How many problems one report keeps; the counts go on.
    package static let problemLimit = 200

    package init() {}

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
