import Core
import Jobs
import Recovery
import TestSupport
import Testing

/// What the rules make of answers that nobody can read, as a table.
@Suite struct UnreadableRules {
    static let now = Instant(unixSeconds: 1_800_000_000)

    private func item(
        _ state: JobState, unheard minutes: Int?, deadline: Bool, watchEnded: Bool = false,
        silences: Int = 0, voids: Bool = false
    ) -> WorkItem {
        WorkItem(
            jobID: "j", token: 7, revision: 3, state: state, taskID: "t",
            createdAt: Self.now + .seconds(-600), silences: silences,
            unheardFor: minutes.map { .seconds($0 * 60) }, deadlineHasPassed: deadline,
            watchHasEnded: watchEnded, voidsOnSilence: voids, now: Self.now)
    }

    private func decide(_ item: WorkItem, isUnreadable: Bool) -> Decision {
        let verdict = Verdict(
            state: .unknown, errorClass: .transient, errorMessage: "the body is HTML, not JSON",
            isUnreadable: isUnreadable)
        var chance = SeededGenerator(seed: 1)
        return item.state == .submitted || item.state == .running
            ? Rules.sweep(item, verdict, using: &chance)
            : Rules.recover(item, verdict, using: &chance)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var state: JobState
        var unheard: Int?
        var deadline: Bool
        var isUnreadable = true
        var outcome: String
        var testDescription: String {
            "\(state) \(unheard.map { "\($0)m" } ?? "-") \(deadline) \(isUnreadable) \(outcome)"
        }
    }

    static let rows: [Row] = [
        .init(state: .submitted, unheard: nil, deadline: false, outcome: "unknown"),
        .init(state: .submitted, unheard: 60, deadline: false, outcome: "unknown"),
        // Just inside the threshold of five minutes, and just outside.
        .init(state: .submitted, unheard: nil, deadline: true, outcome: "unknown"),
        .init(state: .running, unheard: 4, deadline: true, outcome: "unknown"),
        .init(state: .running, unheard: 5, deadline: true, outcome: "set_aside"),
        .init(state: .timedOut, unheard: 4, deadline: true, outcome: "unknown"),
        .init(state: .timedOut, unheard: 5, deadline: true, outcome: "set_aside"),
        // An answer that is none says nothing about the job.
        .init(
            state: .running, unheard: 600, deadline: true, isUnreadable: false, outcome: "unknown"),
        .init(
            state: .timedOut, unheard: 600, deadline: true, isUnreadable: false, outcome: "unknown"),
        // Nobody waits for these.
        .init(state: .abandoned, unheard: 600, deadline: true, outcome: "unknown"),
        .init(state: .failed, unheard: 600, deadline: true, outcome: "unknown"),
    ]

    @Test(arguments: rows)
    func `a job is set aside after its deadline when its own answer cannot be read`(_ row: Row) {
        let decision = decide(
            item(row.state, unheard: row.unheard, deadline: row.deadline),
            isUnreadable: row.isUnreadable)
        #expect(decision.outcome == row.outcome)
        #expect(decision.move.newState == nil)
        #expect(decision.move.blocked == (row.outcome == "set_aside" ? .person : nil))
        #expect(decision.move.cause == (row.outcome == "set_aside" ? .unreadable : nil))
        #expect(decision.move.wait != nil)
        if row.outcome == "set_aside" {
            #expect(decision.move.blockedReason?.contains("HTML") == true)
        }
    }

    @Test func `whatever ends something for want of an answer says so, and may be put off`() {
        let silent = decide(
            item(.timedOut, unheard: 600, deadline: true, watchEnded: true, silences: 4),
            isUnreadable: false)
        #expect(silent.outcome == "set_aside" && silent.move.cause == .silence)
        #expect(silent.move.wait != nil)
        let voided = decide(
            item(
                .timedOut, unheard: 600, deadline: true, watchEnded: true, silences: 4, voids: true),
            isUnreadable: true)
        #expect(voided.move.newState == .abandoned && voided.move.cause == .silence)
        let over = decide(
            item(.failed, unheard: 600, deadline: true, watchEnded: true), isUnreadable: false)
        #expect(over.move.endsWatch && over.move.cause == .silence)
    }
}
