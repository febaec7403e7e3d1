package import Core
package import Postgres

/// What is bought at a provider: tells which of its lists have to be read.
package struct Offer: Equatable, Sendable {
    /// Nil where the application named no family.
    package var endpoint: String?
    package var kind: JobKind
    package var model: String
}

/// Where a walk through one list goes on, and how far back it goes.
package struct WalkStart: Equatable, Sendable {
    /// Nil for the first page.
    package var page: String?
    /// Tasks created before this are known.
    package var backTo: Instant

    package init(page: String?, backTo: Instant) {
        self.page = page
        self.backTo = backTo
    }
}

/// A task of a list, as far as the books need it.
package struct SightedTask: Equatable, Sendable {
    package var taskID: String
    /// The job that the task names, checked; nil when it names none that can be believed.
    package var jobID: String?
    package var state: TaskState
    package var cost: Cost?
    package var createdAt: Instant?

    package init(
        taskID: String, jobID: String?, state: TaskState, cost: Cost?, createdAt: Instant?
    ) {
        self.taskID = taskID
        self.jobID = jobID
        self.state = state
        self.cost = cost
        self.createdAt = createdAt
    }

    var json: JSONValue {
        [
            "task_id": .string(taskID), "job_id": .optional(jobID),
            "state": .string(state.rawValue), "cost_amount": .optional(cost?.amount),
            "cost_unit": .optional(cost?.unit),
            "created_us": createdAt.map { .integer($0.microseconds) } ?? .null,
        ]
    }
}

/// A task at a provider that no job knows.
package struct StrayTask: Equatable, Sendable {
    package var provider: String
    package var taskID: String
    package var state: String
    /// Amount and unit, when the provider told them.
    package var cost: String?
}

/// The providers' lists of tasks, as far as they have been read.
package struct TaskLists: Sendable {
    private let run: Run

    package init(run: Run) { self.run = run }

    /// Providers something was bought at lately, whose lists are due.
    package func due(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            "SELECT l AS provider FROM holdfast.lists_due(\(run.clockOffset)::interval) l"
        ).map { try $0.text("provider") }
    }

    package func offers(
        _ connection: borrowing Connection, provider: String
    ) throws -> [Offer] {
        try connection.query(
            """
            SELECT nullif(o.endpoint, '') AS endpoint, o.kind, o.model FROM holdfast.offer o
            WHERE o.provider = \(provider) ORDER BY o.endpoint, o.kind, o.model
            """
        ).map { row in
            Offer(
                endpoint: try row.optionalText("endpoint"),
                kind: JobKind(rawValue: try row.text("kind")) ?? .other,
                model: try row.text("model"))
        }
    }

    /// Takes the lease of a list; nil when it is not due or somebody else reads it.
    package func begin(
        _ connection: borrowing Connection, provider: String, endpoint: String
    ) throws -> WalkStart? {
        try connection.query(
            """
            SELECT w.* FROM holdfast.begin_walk(\(run.runID)::uuid, \(provider), \(endpoint),
                \(run.clockOffset)::interval) w
            """
        ).first.map { row in
            WalkStart(
                page: try row.optionalText("next_page"), backTo: try row.instant("back_to_us"))
        }
    }

    /// Takes in a page of tasks.
    ///
    /// - Returns: the tasks that became tasks of a job, with the job's id.
    package func record(
        _ connection: borrowing Connection, provider: String, endpoint: String,
        _ tasks: [SightedTask]
    ) throws -> [(taskID: String, jobID: String)] {
        let json = JSON.write(.array(tasks.map(\.json)))
        return try connection.query(
            """
            SELECT r.* FROM holdfast.record_listed(\(run.runID)::uuid, \(provider), \(endpoint),
                \(run.clockOffset)::interval, \(json)::jsonb) r
            """
        ).map { (try $0.text("task_id"), try $0.text("job_id")) }
    }

    /// Writes how far a walk came.
    ///
    /// - Parameters:
    ///   - page: The page to go on with; nil when the walk is complete.
    ///   - isOver: This run walks no further, so the lease goes back.
    ///   - problem: What kept the walk from its next page.
    package func note(
        _ connection: borrowing Connection, provider: String, endpoint: String, page: String?,
        isOver: Bool, problem: String?
    ) throws {
        try connection.execute(
            """
            SELECT holdfast.record_walk(\(run.runID)::uuid, \(provider), \(endpoint),
                \(run.clockOffset)::interval, \(page), \(isOver)::boolean, \(problem))
            """)
    }

    /// Strays that have been strays for long enough, each told once.
    package func strays(_ connection: borrowing Connection) throws -> [StrayTask] {
        try connection.query(
            """
            SELECT s.* FROM holdfast.report_strays(\(run.runID)::uuid,
                \(run.clockOffset)::interval) s ORDER BY s.provider, s.task_id
            """
        ).map { row in
            StrayTask(
                provider: try row.text("provider"), taskID: try row.text("task_id"),
                state: try row.text("state"), cost: try row.optionalText("cost"))
        }
    }
}
