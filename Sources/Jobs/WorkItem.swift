package import Core
import Postgres

/// A claimed job, with what is needed to ask about it and to decide.
package struct WorkItem: Equatable, Sendable {
    package var jobID: String
    /// The fencing token of the lease; every later write repeats it.
    package var token: Int64
    /// Counts what the application did; a decision to end the job holds only for this revision.
    package var revision: Int
    package var provider: String
    package var model: String
    package var kind: JobKind
    package var state: JobState
    package var errorCode: String?
    package var endpoint: String?
    /// The open task that has waited longest; nil when no task is known.
    package var taskID: String?
    package var taskEndpoint: String?
    /// Further tasks of the job that may still succeed.
    package var otherOpenTasks: Int
    package var createdAt: Instant
    /// The application said that it was about to create the task.
    package var wasSubmitting: Bool
    /// The application was heard of after it created the job.
    package var wasHeardOf: Bool
    package var retriggers: Int
    /// Answers in a row that said nothing about the task.
    package var silences: Int
    /// Answers in a row that called our request wrong.
    package var refusals: Int
    /// How long no answer has told anything about the task; nil when the last one did.
    package var unheardFor: Duration?
    package var deadlineHasPassed: Bool
    package var watchHasEnded: Bool
    package var expectedOutputs: Int
    /// The most files that the job may have; nil where the promise and the provider's page decide.
    package var maxOutputs: Int?
    package var stuckAfter: Duration
    package var backoffMaximum: Duration
    package var unsubmittedAfter: Duration
    package var retriggerAttempts: Int
    /// What policy says of a watch that ends in silence: hold kept for a person, or voided.
    package var voidsOnSilence: Bool
    /// The database's clock at the claim, shifted by the run's offset.
    package var now: Instant
    /// The database has lost commits that may have been about it; nil otherwise.
    package var rewind: RewindHold?
    /// The provider's lists have not been read since it may have been sent.
    package var isUnlisted = false

    package init(
        jobID: String, token: Int64 = 1, revision: Int = 0, provider: String = "kie",
        model: String = "", kind: JobKind = .video, state: JobState, errorCode: String? = nil,
        endpoint: String? = nil, taskID: String? = nil, taskEndpoint: String? = nil,
        otherOpenTasks: Int = 0, createdAt: Instant, wasSubmitting: Bool = false,
        wasHeardOf: Bool = false, retriggers: Int = 0, silences: Int = 0, refusals: Int = 0,
        unheardFor: Duration? = nil, deadlineHasPassed: Bool = false, watchHasEnded: Bool = false,
        expectedOutputs: Int = 1, maxOutputs: Int? = nil,
        stuckAfter: Duration = .seconds(300), backoffMaximum: Duration = .seconds(300),
        unsubmittedAfter: Duration = .seconds(120), retriggerAttempts: Int = 3,
        voidsOnSilence: Bool = false, now: Instant
    ) {
        self.jobID = jobID
        self.token = token
        self.revision = revision
        self.provider = provider
        self.model = model
        self.kind = kind
        self.state = state
        self.errorCode = errorCode
        self.endpoint = endpoint
        self.taskID = taskID
        self.taskEndpoint = taskEndpoint
        self.otherOpenTasks = otherOpenTasks
        self.createdAt = createdAt
        self.wasSubmitting = wasSubmitting
        self.wasHeardOf = wasHeardOf
        self.retriggers = retriggers
        self.silences = silences
        self.refusals = refusals
        self.unheardFor = unheardFor
        self.deadlineHasPassed = deadlineHasPassed
        self.watchHasEnded = watchHasEnded
        self.expectedOutputs = expectedOutputs
        self.maxOutputs = maxOutputs
        self.stuckAfter = stuckAfter
        self.backoffMaximum = backoffMaximum
        self.unsubmittedAfter = unsubmittedAfter
        self.retriggerAttempts = retriggerAttempts
        self.voidsOnSilence = voidsOnSilence
        self.now = now
    }
}

extension WorkItem {
    /// What its task says moves nothing any more, and only what it cost is of interest.
    package var ignoresTasks: Bool {
        state.ignoresTasks
            || (state == .failed && errorCode == JobErrorCode.cancelled.rawValue)
    }

    /// Files that a task may give beyond what was promised, or beyond what its provider's page says.
    private static let grace = 4

    /// The most files of this job that are taken.
    ///
    /// - Parameter told: What the provider's page says that a task may give.
    package func outputLimit(told: Int) -> Int {
        maxOutputs ?? max(expectedOutputs, told) + Self.grace
    }

    init(_ row: Row) throws {
        self.init(
            jobID: try row.text("job_id"), token: try row.int64("token"),
            revision: try row.int("revision"), provider: try row.text("provider"),
            model: try row.text("model"),
            kind: JobKind(rawValue: try row.text("kind")) ?? .other,
            state: try row.state("state"), errorCode: try row.optionalText("error_code"),
            endpoint: try row.optionalText("endpoint"), taskID: try row.optionalText("task_id"),
            taskEndpoint: try row.optionalText("task_endpoint"),
            otherOpenTasks: try row.int("other_open_tasks"),
            createdAt: try row.instant("created_us"), wasSubmitting: try row.bool("submitting"),
            wasHeardOf: try row.bool("alive"), retriggers: try row.int("retriggers"),
            silences: try row.int("silences"), refusals: try row.int("refusals"),
            unheardFor: try row.optionalDuration("unheard_us"),
            deadlineHasPassed: try row.bool("deadline_passed"),
            watchHasEnded: try row.bool("watch_ended"),
            expectedOutputs: try row.int("expected_outputs"),
            maxOutputs: try row.optionalInt("max_outputs"),
            stuckAfter: try row.duration("stuck_after_us"),
            backoffMaximum: try row.duration("backoff_max_us"),
            unsubmittedAfter: try row.duration("unsubmitted_after_us"),
            retriggerAttempts: try row.int("retrigger_attempts"),
            voidsOnSilence: try row.text("on_silence") == "void",
            now: try row.instant("now_us"))
        rewind = try row.optionalText("rewind").flatMap(RewindHold.init)
        isUnlisted = try row.bool("unlisted")
    }
}

extension Row {
    func state(_ column: String) throws -> JobState {
        let text = try text(column)
        guard let state = JobState(rawValue: text) else {
            throw Failure(
                .defect, code: "unknown_state",
                "the database has a job state '\(text)' that this build does not know")
        }
        return state
    }
}
