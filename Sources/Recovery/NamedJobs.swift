import Jobs
package import Postgres

/// Jobs that the flags of a run name.
package enum NamedJobs {
    /// Refuses ids that no job bears, all of them at once.
    package static func check(_ connection: borrowing Connection, _ jobIDs: [String]) throws {
        try JobQueries().requireJobs(connection, jobIDs)
    }
}
