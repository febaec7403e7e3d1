import Core

/// A break as one matching found it.
package struct FoundBreak: Equatable, Sendable {
    /// Its class, as in `failed-still-held`.
    package var kind: String
    /// The job, account, task, callback or balance that it is about.
    package var subject: String
    package var jobID, accountID, provider: String?
    package var credits: Int64?
    package var detail: String
    /// What a person does next: one command, or a few words with it.
    package var fix: String
    /// What a run may do about it by itself; nil when it needs a person.
    package var action: String?
    /// Credits that the action would move.
    package var moves: Int64?
    /// It contradicts one of the ledger's invariants.
    package var isInvariant: Bool
    /// The books contradict themselves: nothing of the account is mended by itself.
    package var isIntegrity: Bool
    /// All of it, as the database wrote it and takes it back.
    package var json: String

    /// - Throws: A defect when the text is not what the database writes.
    init(json: String, _ classes: BreakClasses) throws {
        let value = try JSON.parse(json)
        func text(_ key: String) -> String? { value[key]?.text }
        guard let kind = text("class"), let subject = text("subject"), let detail = text("detail"),
            let fix = text("fix")
        else { throw Failure(.defect, code: "break_text", "a found break lacks a member") }
        self.kind = kind
        self.subject = subject
        self.detail = detail
        self.fix = fix
        self.json = json
        jobID = text("job_id")
        accountID = text("account_id")
        provider = text("provider")
        credits = value["credits"]?.int
        action = text("action")
        moves = value["moves"]?.int
        isInvariant = classes.invariants.contains(kind)
        isIntegrity = classes.integrity.contains(kind)
    }
}

/// Which classes contradict an invariant, and which stop all mending of an account.
package struct BreakClasses: Equatable, Sendable {
    package var invariants: Set<String>
    package var integrity: Set<String>
}
