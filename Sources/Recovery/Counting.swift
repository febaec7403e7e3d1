import Core
import Jobs

extension RunReport {
    /// The words of `credits` for what the settling function did.
    package static let creditWords = [
        "capture": "captured", "void": "voided", "charge": "charged", "refund": "refunded",
        "waive": "waived",
    ]
    /// The words under which the recoverer counts settlements.
    static let settlementWords = [
        "capture": "captured", "void": "voided", "charge": "late_charged", "refund": "refunded",
        "waive": "waived",
    ]

    /// Counts what became of a batch of decisions.
    mutating func take(_ results: [MoveResult], _ decisions: [String: Decision], _ pass: Pass) {
        var counted: Set<String> = []
        for result in results {
            let decision = decisions[result.jobID]
            if counted.insert(result.jobID).inserted {
                count(result, decision?.outcome ?? result.newState ?? "settled")
                if result.outcome == "go", let surplus = decision?.move.surplus, surplus > 0 {
                    note(surplus: surplus, of: result.jobID)
                }
            }
            guard result.outcome == "go", let action = result.action else { continue }
            if let word = Self.creditWords[action] { add(credits: result.amount ?? 0, as: word) }
            if pass == .recover, let word = Self.settlementWords[action] { count(word) }
        }
    }

    private mutating func note(surplus: Int, of jobID: String) {
        add(
            Problem(
                jobID: jobID, code: "surplus_outputs",
                message: "its task gave \(surplus) files more than policy max_outputs allows; they "
                    + "are not stored. Where they were promised, open such jobs with their "
                    + "expected_outputs, or: holdfast policy set max_outputs NUMBER"),
            status: .needsPerson)
    }

    private mutating func count(_ result: MoveResult, _ outcome: String) {
        switch result.outcome {
        case "go":
            count(outcome)
            if outcome == "set_aside" || outcome == "submission_unknown" {
                add(
                    Problem(
                        jobID: result.jobID, code: outcome,
                        message: "waits for a person"
                            + (result.detail.map { "; next: \($0)" } ?? "")),
                    status: .needsPerson)
            }
        case "braked":
            count("braked")
            add(
                Problem(
                    jobID: result.jobID, code: "braked",
                    message: "would \(result.action ?? "settle") \(result.amount ?? 0) credits; "
                        + "\(result.detail ?? "a brake"); look first with holdfast job show "
                        + "\(result.jobID); if it is right: holdfast policy release-brake --job "
                        + "\(result.jobID); if not, holdfast job requeue \(result.jobID) asks again"
                ),
                status: .needsPerson)
        case "postponed":
            // Put off: because of a callback that waits, or because of the provider's trouble.
            count(outcome == "abandoned" ? "still_running" : "unknown")
        case "refused":
            count("set_aside")
            add(
                Problem(
                    jobID: result.jobID, code: "refused",
                    message: "set aside, because the database refused what was decided: "
                        + "\(result.detail ?? "it did not say why"); "
                        + "see holdfast job show \(result.jobID)"),
                status: .needsPerson)
        default:
            count(result.outcome)
        }
    }
}
