package import Core
package import Postgres

/// Jobs whose create call was lost and of which nobody has told anything by the end of their watch
/// window, where policy `on_submission_unknown` is `void`.
package struct LostSubmissions: Sendable {
    /// What is known of the providers, by name: nothing is voided before it has been asked there.
    package struct Reach: Equatable, Sendable {
        /// Has a list of its tasks.
        package var listing: [String]
        /// Can be asked for a task by our own id.
        package var lookingUp: [String]
        /// Can be asked from this host.
        package var askable: [String]

        package init(listing: [String], lookingUp: [String], askable: [String]) {
            self.listing = listing
            self.lookingUp = lookingUp
            self.askable = askable
        }
    }

    /// Jobs of one transaction.
    package static let page = 200

    private let run: Run
    private let reach: Reach

    package init(run: Run, reach: Reach) {
        self.run = run
        self.reach = reach
    }

    /// Voids a page of them under the brakes; those that can be looked up again are freed for that.
    ///
    /// - Returns: A row for each job: its outcome is `looked_up`, `failed`, or a move's.
    package func void(
        _ connection: borrowing Connection, most: Int, jobIDs: [String], providers: [String]
    ) throws -> [MoveResult] {
        try connection.query(
            """
            SELECT v.* FROM holdfast.void_submissions(\(run.runID)::uuid, \(run.command),
                \(run.clockOffset)::interval, \(reach.listing)::text[], \(reach.lookingUp)::text[],
                \(reach.askable)::text[], \(most)::integer, \(jobIDs)::text[],
                \(providers)::text[]) v
            """
        ).map { try MoveResult($0, newState: JobState.abandoned.rawValue) }
    }

    /// How many would be voided now, at most; reads only.
    package func due(
        _ connection: borrowing Connection, most: Int, jobIDs: [String], providers: [String]
    ) throws -> Int {
        try connection.query(
            """
            SELECT count(*) AS jobs FROM holdfast.unknown_submissions(\(reach.listing)::text[],
                \(reach.lookingUp)::text[], \(reach.askable)::text[], \(most)::integer,
                \(jobIDs)::text[], \(providers)::text[],
                clock_timestamp() + \(run.clockOffset)::interval) u
            WHERE u.next = 'void'
            """
        ).single().int("jobs")
    }
}
