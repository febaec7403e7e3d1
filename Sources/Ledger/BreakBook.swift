package import Core
package import Postgres

/// One fix of a plan, and what became of it.
package struct FixOutcome: Equatable, Sendable {
    package var kind: String
    package var subject: String
    /// `done`, `asked`, `cleared`, `busy`, `braked`, `held_back` or `refused`.
    package var outcome: String
    /// What became of credits: `capture`, `void`, `refund`; nil when none moved.
    package var settled: String?
    package var credits: Int64?
    package var detail: String?
}

/// The breaks that are kept from night to night.
package struct BreakBook: Sendable {
    /// Rows that one transaction closes or mends.
    static let batch = 500

    let run: Run

    package init(run: Run) { self.run = run }

    /// Keeps a page of findings; returns how many were not known before, and which the database would
    /// not have.
    package func record(
        _ connection: borrowing Connection, _ found: [FoundBreak]
    ) throws -> (opened: Int, refused: [String]) {
        var refused: [String] = []
        let opened = try connection.repeatable(found) {
            try connection.query(
                """
                SELECT opened FROM holdfast.record_breaks(\(run.runID)::uuid,
                    \(run.clockOffset)::interval, \(Self.array($0))::jsonb)
                """
            ).single().int("opened")
        } refused: {
            refused.append(
                "break \($0.kind) of \($0.subject) could not be kept: \($1.message) (\($1.sqlState))"
            )
        }
        return (opened.reduce(0, +), refused)
    }

    /// Without those that a person has resolved with the same facts.
    package func unanswered(
        _ connection: borrowing Connection, _ found: [FoundBreak]
    ) throws -> [FoundBreak] {
        let answered = Set(
            try connection.query(
                "SELECT a AS name FROM holdfast.answered_breaks(\(Self.array(found))::jsonb) a"
            ).map { try $0.text("name") })
        return answered.isEmpty
            ? found : found.filter { !answered.contains($0.kind + "\t" + $0.subject) }
    }

    /// Closes what people have resolved; returns how many.
    package func closeResolved(_ connection: borrowing Connection) throws -> Int {
        try close(connection, since: nil)
    }

    /// Closes what a whole matching that began at `since` did not find any more; returns how many.
    package func closeHealed(_ connection: borrowing Connection, since: String) throws -> Int {
        try close(connection, since: since)
    }

    private func close(_ connection: borrowing Connection, since: String?) throws -> Int {
        try inBatches {
            try connection.query(
                """
                SELECT holdfast.close_breaks(\(run.runID)::uuid, \(run.clockOffset)::interval,
                    \(since)::timestamptz, \(Self.batch)::integer) AS closed
                """
            ).single().int("closed")
        }
    }

    /// Mends what the plan names, each after it was looked at again.
    package func fix(
        _ connection: borrowing Connection, _ planned: [FoundBreak], digest: String
    ) throws -> [FixOutcome] {
        var outcomes: [FixOutcome] = []
        for one in planned {
            do {
                outcomes += try connection.repeatable { try fix(connection, one, digest) }
            } catch let error as PostgresError where error.isRowTrouble {
                outcomes.append(
                    FixOutcome(
                        kind: one.kind, subject: one.subject, outcome: "refused", settled: nil,
                        credits: nil, detail: error.description))
            }
        }
        return outcomes
    }

    /// One fix, in a transaction of its own: it locks one job and one account, waits for neither, and
    /// what the database refuses is that fix alone.
    private func fix(
        _ connection: borrowing Connection, _ one: FoundBreak, _ digest: String
    ) throws -> [FixOutcome] {
        try connection.query(
            """
            SELECT class, subject, outcome, settled, amount, detail
            FROM holdfast.fix_breaks(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(digest), \(Self.array([one]))::jsonb)
            """
        ).map { row in
            FixOutcome(
                kind: try row.text("class"), subject: try row.text("subject"),
                outcome: try row.text("outcome"), settled: try row.optionalText("settled"),
                credits: try row.optionalInt64("amount"), detail: try row.optionalText("detail"))
        }
    }

    /// The digest of a plan: the same for the same fixes in the same books.
    package static func digest(
        _ connection: borrowing Connection, _ planned: [FoundBreak]
    ) throws -> String {
        let lines = planned.map {
            "\($0.kind)\t\($0.subject)\t\($0.action ?? "")\t\($0.moves ?? 0)"
        }
        return try connection.query(
            """
            SELECT encode(sha256(convert_to(\(lines.joined(separator: "\n")), 'UTF8')), 'hex')
                AS digest
            """
        ).single().text("digest")
    }

    private static func array(_ found: [FoundBreak]) -> String {
        "[" + found.map(\.json).joined(separator: ",") + "]"
    }

    private func inBatches(_ step: () throws -> Int) throws -> Int {
        var total = 0
        while true {
            let count = try step()
            total += count
            if count < Self.batch { return total }
        }
    }
}
