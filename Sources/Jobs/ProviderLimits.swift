package import Core
package import Postgres

/// How a provider answered since the last note, in order.
package struct AnswerTally: Equatable, Sendable {
    package enum Answer: Equatable, Sendable {
        case healthy
        /// It says that the provider is there, and nothing else.
        case unreadable
        /// It may be this job's own trouble, and counts once however often it comes.
        case failure(jobID: String)
        /// It has nothing to do with the task: no connection, a refused key.
        case refusal
    }

    /// The last failure, in words that may be kept.
    package struct Failure: Equatable, Sendable {
        package var status: Int?
        package var message: String?
        package var isKeyRefused: Bool

        package init(status: Int?, message: String?, isKeyRefused: Bool) {
            self.status = status
            self.message = message
            self.isKeyRefused = isKeyRefused
        }
    }

    package private(set) var hadHealthyAnswer = false
    package private(set) var hadUnreadableAnswer = false
    /// Failures since the last healthy answer that no task explains.
    package private(set) var trailingRefusals = 0
    /// The jobs that failed since the last healthy answer.
    package private(set) var failedJobs: Set<String> = []
    package private(set) var retryAfter: Duration?
    package var lastFailure: Failure?

    package init() {}

    package mutating func add(_ answer: Answer, retryAfter: Duration?) {
        switch answer {
        case .healthy:
            hadHealthyAnswer = true
            trailingRefusals = 0
            failedJobs = []
        case .unreadable: hadUnreadableAnswer = true
        case .failure(let jobID): failedJobs.insert(jobID)
        case .refusal: trailingRefusals += 1
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
    /// - Parameter isUrgent: Whether they may come from the quarter that is kept for what cannot wait.
    /// - Returns: how many may be sent now; nil when the provider is to be left alone.
    package func take(
        _ connection: borrowing Connection, provider: String, wanted: Int, isUrgent: Bool = false
    ) throws -> Int? {
        let given = try connection.query(
            """
            SELECT holdfast.take_tokens(\(provider), \(wanted)::integer,
                clock_timestamp() + \(run.clockOffset)::interval, \(isUrgent)::boolean) AS given
            """
        ).single().int("given")
        return given == -1 ? nil : max(given, 0)
    }

    /// Closes the breakers that opened for other credentials than these.
    ///
    /// - Parameter credentials: Providers, and what names the credentials that this host has for each.
    /// - Returns: The providers that may be asked again.
    package func closeBreakers(
        _ connection: borrowing Connection, of credentials: [(provider: String, name: String)]
    ) throws -> [String] {
        try connection.query(
            """
            SELECT c AS provider FROM holdfast.close_breakers(\(run.runID)::uuid,
                \(run.clockOffset)::interval, \(credentials.map(\.provider))::text[],
                \(credentials.map(\.name))::text[]) c
            """
        ).map { try $0.text("provider") }
    }

    /// Notes the answers of a batch.
    ///
    /// - Parameter credentials: What names the credentials that were used.
    /// - Returns: how long the breaker, opened by this call, leaves the provider alone.
    package func note(
        _ connection: borrowing Connection, provider: String, _ tally: AnswerTally,
        credentials: String? = nil
    ) throws -> Duration? {
        try connection.query(
            """
            SELECT (extract(epoch FROM holdfast.note_answers(\(run.runID)::uuid, \(provider),
                \(tally.hadHealthyAnswer)::boolean, \(tally.trailingRefusals)::integer,
                \(tally.retryAfter)::interval, \(run.clockOffset)::interval,
                \(tally.failedJobs.sorted())::text[], \(tally.hadUnreadableAnswer)::boolean,
                \(tally.lastFailure?.status)::integer, \(tally.lastFailure?.message)::text,
                \(tally.lastFailure?.isKeyRefused ?? false)::boolean, \(credentials)::text))
                * 1000000)::bigint
                AS pause_us
            """
        ).single().optionalDuration("pause_us")
    }
}

/// A family of a provider whose answers nobody can read.
package struct UnreadableFamily: Equatable, Sendable {
    package var provider: String
    /// Empty where the provider has one family.
    package var endpoint: String
    package var since: Instant
    /// How many jobs wait for an answer that can be read.
    package var jobs: Int
    package var message: String?

    /// `kie market`.
    package var name: String { endpoint.isEmpty ? provider : "\(provider) \(endpoint)" }
}

extension UnreadableFamily {
    /// Every family that nobody can read now; reads only.
    package static func all(_ connection: borrowing Connection) throws -> [UnreadableFamily] {
        try connection.query(
            """
            SELECT f.provider, f.endpoint, f.last_error,
                \(raw: JobStatus.microseconds("f.unreadable_since")) AS since_us,
                (SELECT count(*) FROM holdfast.unheard_job u WHERE u.provider = f.provider
                    AND u.unheard_family = f.endpoint AND u.unheard_as = 'unreadable') AS jobs
            FROM holdfast.family f WHERE f.unreadable_since IS NOT NULL
            ORDER BY f.provider, f.endpoint
            """
        ).map { row in
            UnreadableFamily(
                provider: try row.text("provider"), endpoint: try row.text("endpoint"),
                since: try row.instant("since_us"), jobs: try row.int("jobs"),
                message: try row.optionalText("last_error"))
        }
    }
}
