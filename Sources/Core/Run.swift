/// One execution of one executable: what every part of it needs to know.
package struct Run: Sendable {
    /// UUID text; the same in log lines, the run's row, leases, transfers and observations.
    package var runID: String
    /// `stuck-sweeper` and the like: the actor of everything the run writes.
    package var command: String
    /// Added to the database's clock in every decision; zero outside rehearsals.
    package var clockOffset: Duration
    /// How long a lease lasts before others may take the row.
    package var lease: Duration
    package var requestTimeout: Duration
    /// How long one file's transfer may take.
    package var transferLimit: Duration
    package var maxFileBytes: Int64
    /// What a copy has off until a person sets it anew: `retrigger`, `notices`, `pings`.
    package var off: Set<String>

    package init(
        runID: String, command: String, clockOffset: Duration = .zero,
        lease: Duration = .seconds(120),
        requestTimeout: Duration = .seconds(20), transferLimit: Duration = .seconds(1800),
        maxFileBytes: Int64 = 20 << 30, off: Set<String> = []
    ) {
        self.runID = runID
        self.command = command
        self.clockOffset = clockOffset
        self.lease = lease
        self.requestTimeout = requestTimeout
        self.transferLimit = transferLimit
        self.maxFileBytes = maxFileBytes
        self.off = off
    }
}

/// Which rows a run looks at, and how much of them.
package struct Selection: Sendable {
    /// At most so many rows; nil for all that are due.
    package var limit: Int?
    /// Named jobs: their thresholds do not matter, their leases do.
    package var jobIDs: [String]
    /// Named providers; empty for all that are configured.
    package var providers: [String]
    package var concurrency: Int
    /// When claiming ends, by the machine's monotonic clock.
    package var timeBudget: Duration

    package init(
        limit: Int? = nil, jobIDs: [String] = [], providers: [String] = [], concurrency: Int = 64,
        timeBudget: Duration = .seconds(50)
    ) {
        self.limit = limit
        self.jobIDs = jobIDs
        self.providers = providers
        self.concurrency = concurrency
        self.timeBudget = timeBudget
    }
}
