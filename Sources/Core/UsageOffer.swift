/// One line of what a provider says it charged, on its way into the books.
package struct UsageOffer: Equatable, Sendable {
    package enum Status: String, Sendable {
        case succeeded, failed, cancelled, running
    }

    /// The line's name at its provider: a repetition bears the same one.
    package var lineKey: String
    package var taskID: String?
    /// Our own id, where the provider repeats it.
    package var jobID: String?
    package var model: String?
    package var status: Status?
    /// Negative for what was given back.
    package var amount: ExactDecimal
    package var unit: String
    package var happenedAt: Instant

    /// What one line can charge at most, in whatever unit.
    package static let amountLimit = ExactDecimal(1_000_000_000)
    /// Characters of an id.
    package static let idLimit = 500

    package init(
        lineKey: String, taskID: String?, jobID: String? = nil, model: String? = nil,
        status: Status? = nil, amount: ExactDecimal, unit: String, happenedAt: Instant
    ) {
        self.lineKey = lineKey
        self.taskID = taskID
        self.jobID = jobID
        self.model = model
        self.status = status
        self.amount = amount
        self.unit = unit
        self.happenedAt = happenedAt
    }

    /// As the database's `usage_offer` has it.
    package var json: JSONValue {
        [
            "line_key": .string(lineKey), "task_id": .optional(taskID), "job_id": .optional(jobID),
            "model": .optional(model), "status": .optional(status?.rawValue),
            "amount": .string(amount.text), "unit": .string(unit),
            "happened_us": .integer(happenedAt.microseconds),
        ]
    }
}
