import Core
import Jobs
import Recovery
import TestSupport
import Testing

/// The pure rules, as a table: what was claimed and what was learned give one decision.
@Suite struct RulesTests {
    static let now = Instant(unixSeconds: 1_800_000_000)

    static func item(
        _ state: JobState = .running, taskID: String? = "t", deadline: Bool = false,
        watchEnded: Bool = false, silences: Int = 0, refusals: Int = 0, others: Int = 0,
        voids: Bool = false
    ) -> WorkItem {
        WorkItem(
            jobID: "j", token: 7, revision: 3, state: state, taskID: taskID, otherOpenTasks: others,
            createdAt: now + .seconds(-600), silences: silences, refusals: refusals,
            deadlineHasPassed: deadline, watchHasEnded: watchEnded, voidsOnSilence: voids, now: now)
    }

    static func verdict(_ state: TaskState, _ errorClass: ErrorClass? = nil) -> Verdict {
        Verdict(
            state: state,
            resultURLs: state == .succeeded ? ["https://x.example/1.mp4"] : [],
            errorClass: errorClass
                ?? (state == .unknown
                    ? .transient : state.isFinal && state != .succeeded ? .final : .none),
            errorMessage: state == .failed ? "no" : nil)
    }

    @Test(
        arguments: [
            (JobState.submitted, TaskState.succeeded, false, "succeeded", JobState.succeeded),
            (.running, .succeeded, true, "succeeded", .succeeded),
            (.running, .failed, true, "failed", .failed),
            (.running, .cancelled, false, "failed", .failed),
            (.running, .expired, false, "failed", .failed),
            (.submitted, .pending, false, "still_running", nil),
            (.submitted, .running, false, "advanced", .running),
            (.running, .running, false, "still_running", nil),
            (.running, .running, true, "timed_out", .timedOut),
            (.submitted, .pending, true, "timed_out", .timedOut),
            // Silence ends nothing, whatever the deadline says.
            (.running, .unknown, true, "unknown", nil),
            (.running, .unknown, false, "unknown", nil),
        ] as [(JobState, TaskState, Bool, String, JobState?)])
    func `the sweeper decides by the verdict, and by the deadline only on a healthy one`(
        _ state: JobState, _ answer: TaskState, _ deadline: Bool, _ outcome: String,
        _ newState: JobState?
    ) {
        var chance = SeededGenerator(seed: 1)
        let decision = Rules.sweep(
            Self.item(state, deadline: deadline), Self.verdict(answer), using: &chance)
        #expect(decision.outcome == outcome)
        #expect(decision.move.newState == newState)
        #expect(decision.move.token == 7)
    }

    @Test(
        arguments: [
            (JobState.timedOut, TaskState.succeeded, false, 0, "succeeded", JobState.succeeded),
            (.timedOut, .failed, false, 0, "failed", .failed),
            (.timedOut, .running, false, 0, "still_running", nil),
            (.timedOut, .running, true, 0, "abandoned", .abandoned),
            (.timedOut, .pending, true, 9, "abandoned", .abandoned),
            (.timedOut, .unknown, false, 99, "unknown", nil),
            (.timedOut, .unknown, true, 0, "unknown", nil),
            (.timedOut, .unknown, true, 4, "set_aside", nil),
            (.abandoned, .succeeded, true, 0, "succeeded", .succeeded),
            (.abandoned, .failed, false, 0, "still_running", nil),
            (.failed, .running, true, 0, "still_running", nil),
            (.failed, .unknown, true, 99, "unknown", nil),
        ] as [(JobState, TaskState, Bool, Int, String, JobState?)])
    func `the recoverer gives credits back on a healthy answer after the window, never on silence`(
        _ state: JobState, _ answer: TaskState, _ ended: Bool, _ silences: Int, _ outcome: String,
        _ newState: JobState?
    ) {
        var chance = SeededGenerator(seed: 1)
        let decision = Rules.recover(
            Self.item(state, watchEnded: ended, silences: silences), Self.verdict(answer),
            using: &chance)
        #expect(decision.outcome == outcome)
        #expect(decision.move.newState == newState)
        #expect(decision.move.blocked == (outcome == "set_aside" ? .person : nil))
    }

    @Test func `policy on_silence void gives the credits back after a window of silence`() {
        var chance = SeededGenerator(seed: 1)
        let decision = Rules.recover(
            Self.item(.timedOut, watchEnded: true, silences: 4, voids: true),
            Self.verdict(.unknown),
            using: &chance)
        #expect(decision.move.newState == .abandoned)
    }

    @Test func `a failed task does not fail a job that has another`() {
        var chance = SeededGenerator(seed: 1)
        let decision = Rules.sweep(
            Self.item(others: 1), Self.verdict(.failed), using: &chance)
        #expect(decision.move.newState == nil && decision.move.taskState == .failed)
    }

    @Test
    func `moves that end a job for want of something hold for the revision they were made on`() {
        var chance = SeededGenerator(seed: 1)
        #expect(Rules.sweep(Self.item(), Self.verdict(.failed), using: &chance).move.revision == 3)
        #expect(
            Rules.sweep(Self.item(deadline: true), Self.verdict(.running), using: &chance)
                .move.revision == 3)
        #expect(
            Rules.sweep(Self.item(), Self.verdict(.succeeded), using: &chance).move.revision == nil)
    }

    @Test(arguments: [(3, "unknown"), (4, "set_aside")])
    func `a provider that keeps refusing our request is a person's business`(
        _ refusals: Int, _ outcome: String
    ) {
        var chance = SeededGenerator(seed: 1)
        let decision = Rules.sweep(
            Self.item(refusals: refusals), Self.verdict(.unknown, .final), using: &chance)
        #expect(decision.outcome == outcome)
        #expect(decision.move.newState == nil)
    }

    @Test func `silent answers are asked again later and later, within the policy's maximum`() {
        var chance = SeededGenerator()
        for silences in 0..<40 {
            let decision = Rules.sweep(
                Self.item(silences: silences), Self.verdict(.unknown), using: &chance)
            let wait = decision.move.wait ?? .zero
            #expect(wait >= .seconds(3) && wait <= .seconds(300), "\(silences) \(chance)")
        }
    }

    // MARK: Jobs without a task

    static func created(
        submitting: Bool = false, heard: Bool = false, retriggers: Int = 0, minutes: Int = 3
    ) -> WorkItem {
        WorkItem(
            jobID: "j", state: .created, createdAt: now + .seconds(-60 * minutes),
            wasSubmitting: submitting, wasHeardOf: heard, retriggers: retriggers, now: now)
    }

    static func name(_ step: SubmissionStep) -> String {
        switch step {
        case .lookUp: "look up"
        case .retrigger: "retrigger"
        case .decide(let decision): decision.outcome
        }
    }

    @Test(arguments: [
        // marked, heard of, tries, can look up, can retrigger, minutes old
        (false, false, 0, true, true, 3, "look up"),
        (false, false, 2, false, true, 9, "retrigger"),
        (false, false, 3, false, true, 12, "never_submitted"),
        (false, false, 0, false, false, 3, "still_running"),
        (false, false, 0, false, false, 8, "never_submitted"),
        (true, false, 0, true, true, 3, "look up"),
        (true, false, 0, false, true, 3, "submission_unknown"),
        (false, true, 0, true, true, 3, "look up"),
        (false, true, 0, false, true, 3, "submission_unknown"),
        (true, true, 3, false, true, 99, "submission_unknown"),
    ])
    func `only what provably never left is retriggered or failed`(
        _ marked: Bool, _ heard: Bool, _ tries: Int, _ canLookUp: Bool, _ canRetrigger: Bool,
        _ minutes: Int, _ expected: String
    ) {
        let step = Rules.submission(
            Self.created(submitting: marked, heard: heard, retriggers: tries, minutes: minutes),
            canLookUp: canLookUp, canRetrigger: canRetrigger)
        #expect(Self.name(step) == expected)
    }

    @Test func `a task found under our own id is adopted with what it says`() {
        var chance = SeededGenerator(seed: 1)
        var found = Self.verdict(.running)
        found.taskID = "t9"
        let decision = Rules.lookup(
            Self.created(submitting: true), found, endpoint: "image2video", using: &chance)
        #expect(decision.outcome == "adopted")
        #expect(decision.move.taskID == "t9" && decision.move.taskEndpoint == "image2video")
        #expect(decision.move.newState == .running)
    }
}
