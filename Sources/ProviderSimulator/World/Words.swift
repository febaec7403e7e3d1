/// What a provider calls the states of a task.
struct Words: Sendable {
    var pending: String
    var running: String
    var succeeded: String
    var failed: String
    var cancelled: String?
    var expired: String?

    /// A word that no provider has, for answers that are not to be understood.
    static let unheardOf = "under_review"

    func word(_ state: SimulatedTask.State) -> String {
        switch state {
        case .pending: pending
        case .running: running
        case .succeeded: succeeded
        case .failed: failed
        case .cancelled: cancelled ?? failed
        case .expired: expired ?? failed
        }
    }
}

extension Poll {
    /// The word for the state, or one that nobody knows when the shape wants it so.
    func word(_ words: Words) -> JSONText {
        .text(shape == .unknownState ? Words.unheardOf : words.word(state))
    }

    /// The member of the state once more with the opposite word, when the shape wants it so.
    func contradiction(_ name: String, _ words: Words) -> [(String, JSONText)] {
        guard shape == .duplicateKeys else { return [] }
        return [(name, .text(state == .succeeded ? words.failed : words.succeeded))]
    }
}
