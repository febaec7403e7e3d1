package import Core
package import Postgres

/// How a provider answered since the last note, in order.
package struct AnswerTally: Equatable, Sendable {
    package private(set) var hadHealthyAnswer = false
    /// Transient failures since the last healthy answer.
    package private(set) var trailingFailures = 0
    package private(set) var retryAfter: Duration?

    package init() {}

    package mutating func add(isFailure: Bool, retryAfter: Duration?) {
        if isFailure {
            trailingFailures += 1
        } else {
            hadHealthyAnswer = true
            trailingFailures = 0
        }
        if let retryAfter { self.retryAfter = max(self.retryAfter ?? .zero, retryAfter) }
    }
}

/// What all hosts know together of a provider: its token bucket and its circuit breaker.
package struct ProviderLimits: Sendable {
    private let run: Run

    package init(run: Run) { self.run = run }

    /// Takes tokens for requests beyond the one that each claim paid for.
    ///
    /// - Returns: how many may be sent now; nil when the provider is to be left alone.
    package func take(
        _ connection: borrowing Connection, provider: String, wanted: Int
    ) throws -> Int? {
        let given = try connection.query(
            """
            SELECT holdfast.take_tokens(\(provider), \(wanted)::integer,
                clock_timestamp() + \(run.clockOffset)::interval) AS given
            """
        ).single().int("given")
        return given == -1 ? nil : max(given, 0)
    }

    /// Notes the answers of a batch.
    ///
    /// - Returns: how long the breaker, opened by this call, leaves the provider alone.
    package func note(
        _ connection: borrowing Connection, provider: String, _ tally: AnswerTally
    ) throws -> Duration? {
        try connection.query(
            """
            SELECT (extract(epoch FROM holdfast.note_answers(\(run.runID)::uuid, \(provider),
                \(tally.hadHealthyAnswer)::boolean, \(tally.trailingFailures)::integer,
                \(tally.retryAfter)::interval, \(run.clockOffset)::interval)) * 1000000)::bigint
                AS pause_us
            """
        ).single().optionalDuration("pause_us")
    }
}
