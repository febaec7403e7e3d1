package import Core
package import Jobs

/// What a pass decided for one job, and the word under which the run counts it.
package struct Decision: Equatable, Sendable {
    package var move: Move
    package var outcome: String

    package init(_ move: Move, _ outcome: String) {
        self.move = move
        self.outcome = outcome
    }
}

/// Pure rules: a job as it was claimed and what was learned give a decision.
///
/// No clock, no database, no network; chance is passed in.
package enum Rules {
    /// Answers in a row that call our request wrong before a person is asked.
    package static let refusalLimit = 5
    /// Silent answers in a row at the end of a watch before it counts as ended in silence.
    package static let silenceLimit = 5
    /// Where backoff starts.
    package static let backoffBase = Duration.seconds(15)

    /// Decides for a job in flight (the sweeper's).
    package static func sweep(
        _ item: WorkItem, _ verdict: Verdict, using chance: inout some RandomNumberGenerator
    ) -> Decision {
        var move = base(item, verdict)
        switch verdict.state {
        case .succeeded:
            return succeed(&move, verdict)
        case .failed, .cancelled, .expired:
            return fail(&move, item, verdict)
        case .pending, .running:
            move.answer = .healthy
            if item.deadlineHasPassed {
                move.newState = .timedOut
                move.errorMessage = "no final word before the deadline"
                move.revision = item.revision
                move.wait = item.stuckAfter
                return Decision(move, "timed_out")
            }
            move.wait = item.stuckAfter
            if verdict.state == .running, item.state != .running {
                move.newState = .running
                return Decision(move, "advanced")
            }
            return Decision(move, "still_running")
        case .unknown:
            return learnNothing(&move, item, verdict, &chance)
        }
    }

    /// Decides for a job that is watched after its deadline or after its end (the recoverer's).
    package static func recover(
        _ item: WorkItem, _ verdict: Verdict, using chance: inout some RandomNumberGenerator
    ) -> Decision {
        if item.ignoresTasks { return leftOver(item, verdict, using: &chance) }
        var move = base(item, verdict)
        let isOver = item.state != .timedOut
        switch verdict.state {
        case .succeeded:
            return succeed(&move, verdict)
        case .failed, .cancelled, .expired:
            if isOver {
                move.answer = .healthy
                move.endsWatch = item.otherOpenTasks == 0
                move.wait = .zero
                return Decision(move, "still_running")
            }
            return fail(&move, item, verdict)
        case .pending, .running:
            move.answer = .healthy
            move.wait = item.stuckAfter
            guard item.watchHasEnded else { return Decision(move, "still_running") }
            if isOver {
                move.endsWatch = true
                return Decision(move, "still_running")
            }
            if let hold = item.rewind { return atWatchEnd(move, item, hold) }
            // The only way in which time alone gives credits back: on a healthy answer about this
            // task, asked for after the window's end.
            move.newState = .abandoned
            move.revision = item.revision
            move.errorMessage = "not finished at the end of the watch window"
            return Decision(move, "abandoned")
        case .unknown:
            if item.watchHasEnded, isOver {
                move.answer = .silence
                move.endsWatch = true
                move.cause = .silence
                return Decision(move, "unknown")
            }
            if item.watchHasEnded, !verdict.isUnreadable || item.voidsOnSilence,
                item.silences + 1 >= silenceLimit
            {
                let wait = learnNothing(&move, item, verdict, &chance).move.wait
                return endInSilence(&move, item, wait)
            }
            return learnNothing(&move, item, verdict, &chance)
        }
    }

    /// Decides about a task that outlived its job: what came of it is written down, and moves nothing.
    private static func leftOver(
        _ item: WorkItem, _ verdict: Verdict, using chance: inout some RandomNumberGenerator
    ) -> Decision {
        var move = base(item, verdict)
        move.progress = nil
        switch verdict.state {
        case .succeeded, .failed, .cancelled, .expired:
            move.answer = .healthy
            move.endsWatch = item.otherOpenTasks == 0
            move.wait = .zero
            return Decision(move, "finished_meanwhile")
        case .pending, .running:
            move.answer = .healthy
            move.endsWatch = item.watchHasEnded
            move.wait = item.stuckAfter
            return Decision(move, "still_running")
        case .unknown:
            let isHopeless = verdict.errorClass == .final && item.refusals + 1 >= refusalLimit
            move.answer = verdict.errorClass == .final ? .refusal : .silence
            move.endsWatch = item.watchHasEnded || isHopeless
            move.wait = Backoff(base: backoffBase, maximum: item.backoffMaximum)
                .wait(attempt: item.silences + 1, using: &chance)
            return Decision(move, "unknown")
        }
    }

    private static func base(_ item: WorkItem, _ verdict: Verdict) -> Move {
        var move = Move(jobID: item.jobID, token: item.token)
        move.taskID = item.taskID
        move.taskState = verdict.state
        move.progress = verdict.progress
        move.cost = verdict.cost
        return move
    }

    private static func succeed(_ move: inout Move, _ verdict: Verdict) -> Decision {
        move.answer = .healthy
        move.newState = .succeeded
        move.resultURLs = verdict.resultURLs
        move.urlExpiresAt = verdict.urlExpiresAt
        move.isUnnamed = verdict.isUnnamed
        move.surplus = verdict.surplus
        return Decision(move, "succeeded")
    }

    private static func fail(
        _ move: inout Move, _ item: WorkItem, _ verdict: Verdict
    ) -> Decision {
        move.answer = .healthy
        move.errorMessage = verdict.errorMessage
        guard item.otherOpenTasks == 0 else {
            // Another task of the job may still succeed: it is asked next.
            move.wait = .zero
            return Decision(move, "still_running")
        }
        move.newState = .failed
        move.revision = item.revision
        move.errorCode =
            switch verdict.state {
            case .cancelled: .providerCancelled
            case .expired: .providerExpired
            default: .providerFailed
            }
        return Decision(move, "failed")
    }

    private static func learnNothing(
        _ move: inout Move, _ item: WorkItem, _ verdict: Verdict,
        _ chance: inout some RandomNumberGenerator
    ) -> Decision {
        let isRefusal = verdict.errorClass == .final
        move.answer = isRefusal ? .refusal : .silence
        let backoff = Backoff(base: backoffBase, maximum: item.backoffMaximum)
        let wait = backoff.wait(attempt: item.silences + 1, using: &chance)
        move.wait = max(wait, min(verdict.retryAfter ?? .zero, item.backoffMaximum))
        if isRefusal, item.refusals + 1 >= refusalLimit {
            move.blocked = .person
            move.blockedReason =
                "\(item.provider) keeps refusing our request about this task: "
                + (verdict.errorMessage ?? "no reason given")
            return Decision(move, "set_aside")
        }
        if verdict.isUnreadable, item.deadlineHasPassed,
            item.state.isUndecided, !(item.voidsOnSilence && item.state == .timedOut),
            let unheardFor = item.unheardFor, unheardFor >= item.stuckAfter
        {
            // The job's own trouble, unless the database knows of others: then it is put off.
            move.blocked = .person
            move.cause = .unreadable
            move.blockedReason =
                "nobody can read what \(item.provider) answers about this task: "
                + (verdict.errorMessage ?? "no reason given")
            return Decision(move, "set_aside")
        }
        return Decision(move, "unknown")
    }

    /// Voids nothing of a job that another task may have, which a database that lost commits has
    /// forgotten.
    private static func atWatchEnd(
        _ move: Move, _ item: WorkItem, _ hold: RewindHold
    ) -> Decision {
        var decision = heldBack(item, hold)
        let (wait, blocked, reason) = (
            decision.move.wait, decision.move.blocked, decision.move.blockedReason
        )
        decision.move = move
        decision.move.revision = item.revision
        decision.move.wait = wait
        decision.move.blocked = blocked
        decision.move.blockedReason = reason
        return decision
    }

    /// Sets a job aside that heard nothing through its whole watch, or voids it if policy says so.
    private static func endInSilence(
        _ move: inout Move, _ item: WorkItem, _ wait: Duration?
    ) -> Decision {
        move.answer = .silence
        move.cause = .silence
        move.wait = wait
        move.blocked = nil
        move.blockedReason = nil
        if item.voidsOnSilence, let hold = item.rewind {
            move.cause = nil
            return atWatchEnd(move, item, hold)
        }
        if item.voidsOnSilence {
            move.newState = .abandoned
            move.revision = item.revision
            move.errorMessage = "the watch window ended in silence, and on_silence is void"
            return Decision(move, "abandoned")
        }
        move.blocked = .person
        move.blockedReason =
            "the watch window ended without a healthy answer; the hold stands until a person decides"
        return Decision(move, "set_aside")
    }
}

extension JobState {
    /// Somebody waits for what comes of its task.
    fileprivate var isUndecided: Bool {
        switch self {
        case .created, .submitted, .running, .timedOut: true
        default: false
        }
    }
}
