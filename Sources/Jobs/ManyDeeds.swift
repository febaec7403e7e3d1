import Core
package import Postgres

/// A job and the task that a person says is its.
package struct TaskLink: Equatable, Sendable {
    package var jobID: String
    package var taskID: String

    package init(jobID: String, taskID: String) {
        self.jobID = jobID
        self.taskID = taskID
    }
}

/// Deeds to many jobs, each in a transaction of its own: what one refuses stops no other. A dry run asks
/// the same and writes nothing.
extension Deeds {
    /// Gives one job up.
    ///
    /// - Returns: false when the job was abandoned before.
    /// - Throws: `no_such_job` (66); `not_allowed` (1) for a job that cannot be abandoned any more.
    package func abandon(
        _ connection: borrowing Connection, _ jobID: String, reason: String, isDryRun: Bool
    ) throws -> Bool {
        guard isDryRun else { return try abandon(connection, jobID, reason: reason) }
        return try mayAbandon(jobID, try row(connection, jobID, isLocked: false))
    }

    /// Says that a task belongs to a job.
    ///
    /// - Parameter claimed: The tasks that a dry run has given away, by provider and id, with their
    ///   jobs.
    /// - Returns: false when the job had this task before.
    /// - Throws: `no_such_job` (66); `task_taken` (1), or SQLSTATE HF004, when it is another job's.
    package func link(
        _ connection: borrowing Connection, _ link: TaskLink, isDryRun: Bool,
        claimed: inout [[String]: String]
    ) throws -> Bool {
        guard isDryRun else {
            return try self.link(connection, link.jobID, task: link.taskID)
        }
        let job = try row(connection, link.jobID, isLocked: false)
        let key = [job.provider, link.taskID]
        let known = try connection.query(
            """
            SELECT t.job_id FROM holdfast.task t
            WHERE t.provider = \(job.provider) AND t.task_id = \(link.taskID)
            """
        ).first.map { try $0.text("job_id") }
        let holder = known ?? claimed[key]
        guard holder == nil || holder == link.jobID else {
            throw Failure(
                .needsPerson, code: "task_taken",
                "task '\(link.taskID)' of \(job.provider) belongs to job '\(holder ?? "")', not to job "
                    + "'\(link.jobID)'")
        }
        claimed[key] = link.jobID
        return holder == nil
    }
}
