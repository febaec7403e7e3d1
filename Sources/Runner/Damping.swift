package import Core

/// Keeps trouble that lasts from being said in every run: cron sends what is said by mail.
///
/// Only text that nobody watches is damped: at a terminal and in JSON everything is said, and the exit
/// status always tells.
package enum Damping {
    /// Whether a run with these flags is damped at all.
    package static func applies(_ reporting: ReportingOptions) -> Bool {
        reporting.output == .text && !reporting.verbose && !Output.isErrorTerminal
    }

    /// The name of the condition that a failure is; nil for what is said each time: defects, wrong
    /// usage, and what a person asked for that is not there.
    package static func condition(_ failure: Failure) -> String? {
        switch failure.status {
        // Refused, slow, full of connections: to whoever gets the mail it is one trouble.
        case .databaseUnavailable: "database"
        case .unavailable, .configuration: failure.code
        default: nil
        }
    }

    /// A failure by the memory of this host, for runs that have no database to remember in.
    static func saying(_ failure: Failure, _ settings: Settings?) -> (Saying, hasMemory: Bool) {
        guard let name = condition(failure) else { return (.whole, true) }
        guard let folder = StateFolder(settings),
            let saying = folder.note(name, failure.message, at: now(settings))
        else { return (.whole, false) }
        return (saying, true)
    }

    /// The machine's clock, shifted as decisions are.
    package static func now(_ settings: Settings?) -> Instant {
        MachineClock.now() + ((try? settings?.clockOffset()) ?? .zero)
    }

    /// What follows a message that is said again.
    package static func tail(_ saying: Saying) -> String {
        guard case .lasting(let duration, let times) = saying else { return "" }
        return
            " (it lasts \(DurationText.rough(duration)), met \(times) times; said again each hour)"
    }

    package static let noMemory =
        "; it is said in each run, because this host has no folder to remember it in: set "
        + "\(StateFolder.variable)"

    /// One line about a condition that is over.
    package static func over(_ memory: ConditionMemory, at now: Instant) -> String {
        "over: \(memory.name) was met \(memory.times) times within "
            + "\(DurationText.rough(memory.seenAt - memory.beganAt)), the last time "
            + "\(DurationText.rough(now - memory.seenAt)) ago; it was: \(memory.message)"
    }
}
