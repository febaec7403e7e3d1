import Core
import Jobs
import Postgres
import Providers

/// Jobs that seem never to have been sent: their providers are asked, and then, unless the database has
/// lost commits that may say otherwise, they are sent again or given up.
extension Polling {
    /// Does what comes next for a job without a task.
    mutating func begin(
        _ item: WorkItem, _ provider: any Provider, wasLookedUp: Bool,
        _ connection: borrowing Connection
    ) throws {
        let step = Rules.submission(
            item, canLookUp: provider.facts.canLookUpByOwnID, canList: provider.facts.canList,
            canRetrigger: wiring.trigger != nil, wasLookedUp: wasLookedUp)
        switch step {
        case .lookUp:
            let endpoints = provider.endpoints(
                for: TaskReference(
                    taskID: item.jobID, endpoint: item.endpoint, model: item.model, kind: item.kind)
            )
            return send(Question(item: item, kind: .lookup, endpoints: endpoints))
        case .decide(let decision) where decision.move.errorCode != .neverSubmitted:
            return keep(item, decision)
        case .decide, .retrigger: break
        }
        if let decision = try held(item, wasLookedUp: wasLookedUp, connection) {
            return keep(item, decision)
        }
        if case .decide(let decision) = step { return keep(item, decision) }
        // The attempt is committed before the request leaves, so that a crash counts it.
        if let attempt = try claims.countRetrigger(connection, item) {
            send(Question(item: item, kind: .retrigger(attempt: attempt), endpoints: []))
        } else if let hold = try Marks(run: wiring.run).hold(connection, item.jobID) {
            keep(item, Rules.heldBack(item, hold))
        } else {
            report.count("finished_meanwhile")
            try claims.release(connection, [item])
        }
    }

    /// What to do instead of sending a job again or calling it never submitted; nil where nothing is in
    /// the way.
    private mutating func held(
        _ item: WorkItem, wasLookedUp: Bool, _ connection: borrowing Connection
    ) throws -> Decision? {
        guard case .readable = try rewinds.look(connection, &report) else {
            return Rules.wait(item, RewindWatch.pause)
        }
        guard item.rewind != nil || rewinds.hasNoticed else { return nil }
        let marks = Marks(run: wiring.run)
        // An answer from before the sign says nothing about what was lost.
        if wasLookedUp, item.rewind != nil { try marks.letGoLookedUp(connection, item.jobID) }
        return try marks.hold(connection, item.jobID).map { Rules.heldBack(item, $0) }
    }

    /// Goes on with jobs of which their provider knows no task under our own id.
    mutating func goOnLookedUp(_ connection: borrowing Connection) throws {
        let items = lookedUp
        lookedUp = []
        for item in items {
            guard let provider = wiring.providers.provider(item.provider) else { continue }
            try begin(item, provider, wasLookedUp: true, connection)
        }
    }

    /// Keeps voids back, at the end of a watch, while it cannot be told whether commits were lost.
    mutating func holdVoids(_ connection: borrowing Connection) throws {
        guard decided.contains(where: { $0.decision.move.newState == .abandoned }) else { return }
        let answer = try rewinds.look(connection, &report)
        for place in decided.indices where decided[place].decision.move.newState == .abandoned {
            let (item, move) = (decided[place].item, decided[place].decision.move)
            if case .unreadable = answer {
                decided[place].decision = Rules.postponedVoid(item, move, RewindWatch.pause)
            } else if rewinds.hasNoticed,
                let hold = try Marks(run: wiring.run).hold(connection, item.jobID)
            {
                let wait = Rules.heldBack(item, hold).move.wait ?? RewindWatch.pause
                decided[place].decision = Rules.postponedVoid(item, move, wait)
            }
        }
    }
}

extension Rules {
    /// A void at the end of a watch, put off: the answer is kept, and asked for again.
    static func postponedVoid(_ item: WorkItem, _ move: Move, _ wait: Duration) -> Decision {
        var move = move
        move.newState = nil
        move.errorMessage = nil
        move.wait = wait
        return Decision(move, "still_running")
    }
}
