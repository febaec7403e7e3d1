package import Core
package import Jobs

/// What to do about a job that has no task.
package enum SubmissionStep: Equatable, Sendable {
    /// Ask the provider for a task under our own id.
    case lookUp
    /// Nothing can have been sent: ask the application to start again.
    case retrigger
    case decide(Decision)
}

extension Rules {
    /// Lookups without a find before a person is asked.
    package static let lookupLimit = 3

    /// How long a job waits for the provider's list to be read before it is sent again all the same.
    package static let listPatience = Duration.seconds(1800)

    /// The next step for a job without a task.
    ///
    /// Without the mark and without a word from the application since the job's creation, nothing was
    /// sent. With either, something may have been, and only the provider can tell. The provider is asked
    /// in any case before a job is sent again or called never submitted: by our own id, or by its list.
    ///
    /// - Parameter wasLookedUp: The provider has just said that it knows no task under our own id.
    package static func submission(
        _ item: WorkItem, canLookUp: Bool, canList: Bool = false, canRetrigger: Bool,
        wasLookedUp: Bool = false
    ) -> SubmissionStep {
        if item.ignoresTasks {
            // It was watched for a task that has ended meanwhile.
            var move = Move(jobID: item.jobID, token: item.token)
            move.endsWatch = true
            return .decide(Decision(move, "finished_meanwhile"))
        }
        if item.wasSubmitting || item.wasHeardOf {
            return canLookUp
                ? .lookUp
                : .decide(
                    setAside(item, "\(item.provider) cannot be asked for a task by our own id"))
        }
        if !wasLookedUp {
            if canLookUp { return .lookUp }
            if let hold = item.rewind { return .decide(heldBack(item, hold)) }
            if canList, item.isUnlisted, item.now - item.createdAt < listPatience {
                return .decide(wait(item, RewindWatch.pause))
            }
        }
        guard item.state == .created else { return .decide(neverSubmitted(item)) }
        if item.retriggers < item.retriggerAttempts {
            if canRetrigger { return .retrigger }
            // Nobody to ask again: the job gets the time that the attempts would have taken.
            var patience = Duration.zero
            for _ in 0...item.retriggerAttempts { patience += item.unsubmittedAfter }
            if item.now - item.createdAt < patience {
                var move = Move(jobID: item.jobID, token: item.token)
                move.wait = patience - (item.now - item.createdAt)
                return .decide(Decision(move, "still_running"))
            }
        }
        return .decide(neverSubmitted(item))
    }

    /// What a lookup by our own id came to.
    package static func lookup(
        _ item: WorkItem, _ verdict: Verdict, endpoint: String?,
        using chance: inout some RandomNumberGenerator
    ) -> Decision {
        guard verdict.isHealthy, let taskID = verdict.taskID else {
            if verdict.taskIsUnknownHere, item.refusals + 1 >= lookupLimit {
                return setAside(item, "\(item.provider) knows no task under our own id")
            }
            var found = Move(jobID: item.jobID, token: item.token)
            found.answer = verdict.taskIsUnknownHere ? .refusal : .silence
            found.wait = Backoff(base: backoffBase, maximum: item.backoffMaximum)
                .wait(attempt: item.silences + 1, using: &chance)
            return Decision(found, "unknown")
        }
        var adopted = item
        adopted.taskID = taskID
        var decision =
            item.state == .timedOut
            ? recover(adopted, verdict, using: &chance) : sweep(adopted, verdict, using: &chance)
        decision.move.taskEndpoint = endpoint
        if decision.move.newState == nil, item.state == .created {
            decision.move.newState = .submitted
        }
        if decision.outcome == "still_running" || decision.outcome == "advanced" {
            decision.outcome = "adopted"
        }
        return decision
    }

    /// What one try at the application's trigger came to.
    package static func retriggered(
        _ item: WorkItem, attempt: Int, accepted: Bool, problem: String?
    ) -> Decision {
        var move = Move(jobID: item.jobID, token: item.token)
        move.revision = item.revision
        let doublings = min(max(attempt - 1, 0), 4)
        move.wait = item.unsubmittedAfter * (1 << doublings)
        return Decision(move, accepted ? "retriggered" : "unknown")
    }

    /// Whether nothing of a job was sent, as far as the database knows.
    static func seemsUnsent(_ item: WorkItem) -> Bool {
        item.taskID == nil && !item.state.ignoresTasks && !item.wasSubmitting && !item.wasHeardOf
    }

    /// A job of a database that lost commits waits for its provider's word; after one deadline, for a
    /// person.
    static func heldBack(_ item: WorkItem, _ hold: RewindHold) -> Decision {
        switch hold {
        case .held: return wait(item, max(item.stuckAfter, RewindWatch.pause))
        case .over:
            var move = Move(jobID: item.jobID, token: item.token)
            move.blocked = .submissionUnknown
            move.blockedReason =
                "rewind: the database has lost commits that may have been about it, and "
                + "\(item.provider) cannot tell; see holdfast rewind show. If its console has a task of "
                + "this job: holdfast job link \(item.jobID) --task TASK; if not: holdfast rewind "
                + "release --job \(item.jobID) --reason TEXT"
            move.revision = item.revision
            return Decision(move, "submission_unknown")
        }
    }

    /// Looked at again after a while; nothing else changes.
    static func wait(_ item: WorkItem, _ duration: Duration) -> Decision {
        var move = Move(jobID: item.jobID, token: item.token)
        move.wait = duration
        return Decision(move, "still_running")
    }

    private static func neverSubmitted(_ item: WorkItem) -> Decision {
        var move = Move(jobID: item.jobID, token: item.token)
        move.newState = .failed
        move.errorCode = .neverSubmitted
        move.errorMessage =
            item.retriggers == 0
            ? "the task was never created at \(item.provider)"
            : "the task was never created at \(item.provider), after \(item.retriggers) retriggers"
        // A mark or a heartbeat at the last instant wins.
        move.revision = item.revision
        return Decision(move, "never_submitted")
    }

    private static func setAside(_ item: WorkItem, _ why: String) -> Decision {
        var move = Move(jobID: item.jobID, token: item.token)
        move.blocked = .submissionUnknown
        move.blockedReason = "it may have been submitted, and its task id is not known: \(why)"
        move.revision = item.revision
        return Decision(move, "submission_unknown")
    }
}
