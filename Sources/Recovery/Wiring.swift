package import Core
import HTTP
import Jobs
package import Providers
package import Reception

/// The world around a run, passed in so that tests can stand in for it.
package struct Wiring: Sendable {
    package var run: Run
    package var providers: ProviderRegistry
    /// The application's trigger; nil where none is configured.
    package var trigger: ApplicationTrigger?
    /// Checks callbacks, by our own secret and by the providers' signatures.
    package var proof: CallbackProof
    /// Where this host's receiver keeps callbacks while the database is away; nil where there is none.
    package var spool: Spool?
    /// The machine's clock, for tokens and signatures only.
    package var wallClock: @Sendable () -> Instant
    package var shouldStop: @Sendable () -> Bool
    /// A line for people who asked for more: free of secrets, signed queries and prompts.
    package var tell: @Sendable (String) -> Void
    /// The version of this program: another one may read what this one could not.
    package var version = ""
    /// Reads a provider's credentials again; nil where they are the same as before.
    package var renewed: @Sendable (any Provider) -> (any Provider)? = { _ in nil }
    /// Tells whether the database has lost commits.
    package var rewinds: RewindWatch
    /// How files come along, for whoever watches.
    package var progress: @Sendable (FileProgress) -> Void = { _ in }

    package init(
        run: Run, providers: ProviderRegistry, trigger: ApplicationTrigger? = nil,
        proof: CallbackProof = .none, spool: Spool? = nil,
        wallClock: @escaping @Sendable () -> Instant,
        shouldStop: @escaping @Sendable () -> Bool,
        tell: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.run = run
        rewinds = RewindWatch(run, host: "") { [] }
        self.providers = providers
        self.trigger = trigger
        self.proof = proof
        self.spool = spool
        self.wallClock = wallClock
        self.shouldStop = shouldStop
        self.tell = tell
    }

    /// Where a task whose id was lost can be looked for.
    var reach: LostSubmissions.Reach {
        func named(_ isSo: (ProviderFacts) -> Bool) -> [String] {
            providers.names.filter { providers.provider($0).map { isSo($0.facts) } ?? false }
        }
        return LostSubmissions.Reach(
            listing: named(\.canList), lookingUp: named(\.canLookUpByOwnID),
            askable: providers.names.filter(providers.isConfigured))
    }

    /// Whether the receiver of this host has left something to be brought into the inbox.
    package var hasSpooled: Bool { spool?.hasFiles ?? false }

    /// The providers that this host can ask, among those that a selection names.
    package func askable(_ selection: Selection) -> [String] {
        providers.names.filter { name in
            providers.isConfigured(name)
                && (selection.providers.isEmpty || selection.providers.contains(name))
        }
    }
}

/// The application's own endpoint that starts the processing of a job.
package struct ApplicationTrigger: Sendable {
    package var url: String
    package var header: String
    package var secret: String

    package init(url: String, header: String, secret: String) {
        self.url = url
        self.header = header
        self.secret = secret
    }

    /// `POST {"job_id":…,"attempt":…}` under an idempotency key of job and attempt.
    func request(jobID: String, attempt: Int, timeout: Duration) -> Request {
        let body: JSONValue = ["job_id": .string(jobID), "attempt": .integer(attempt)]
        return Request(
            method: "POST", url: url,
            headers: [
                Header("Content-Type", "application/json"),
                Header(header, secret),
                Header("Idempotency-Key", "\(jobID)/\(attempt)"),
            ],
            body: Array(JSON.write(body).utf8), timeout: timeout)
    }
}
