package import Core
package import Postgres

/// A file that a person wants fetched once more, as it was when they looked.
package struct RefetchOrder: Equatable, Sendable {
    package var ordinal: Int
    package var objectKey: String?
    package var sha256: String?
    /// What was found, as the end of a sentence.
    package var reason: String

    package init(ordinal: Int, objectKey: String?, sha256: String?, reason: String) {
        self.ordinal = ordinal
        self.objectKey = objectKey
        self.sha256 = sha256
        self.reason = reason
    }

    fileprivate var json: JSONValue {
        [
            "ordinal": .integer(ordinal), "object_key": .optional(objectKey),
            "sha256": .optional(sha256), "reason": .string(reason),
        ]
    }
}

/// What became of an order.
package enum RefetchStart: Equatable, Sendable {
    /// The job is settled: the file is fetched beside it, under this lease.
    case begun(FileItem)
    /// The job is not settled: the file waits for the mirrorer again.
    case reopened
    /// It waits for the mirrorer as it is.
    case pending
    /// Somebody changed the file since it was looked at.
    case changed
    /// Its job waits for a person.
    case blocked
    /// Another run fetches it.
    case busy
}

/// Files of jobs that were stored or lost, put back on their way by a person.
package struct Refetches: Sendable {
    private let run: Run

    package init(run: Run) { self.run = run }

    /// Begins in one transaction, which moves no credits and no settled job.
    ///
    /// - Parameter actor: Who does it, as the audit trail shows it: `person:anna@host1`.
    /// - Returns: what became of each order, by ordinal.
    package func begin(
        _ connection: borrowing Connection, _ jobID: String, _ orders: [RefetchOrder],
        actor: String
    ) throws -> [Int: RefetchStart] {
        let json = JSON.write(.array(orders.map(\.json)))
        let rows = try connection.query(
            """
            SELECT b.file, b.outcome, (b.item).* FROM holdfast.begin_refetch(
                \(run.runID)::uuid, \(jobID), \(json)::jsonb, \(actor),
                \(run.clockOffset)::interval) b
            """)
        var starts: [Int: RefetchStart] = [:]
        for row in rows { starts[try row.int("file")] = try Self.start(row) }
        return starts
    }

    private static func start(_ row: Row) throws -> RefetchStart {
        switch try row.text("outcome") {
        case "begun": .begun(try FileItem(row))
        case "reopened": .reopened
        case "pending": .pending
        case "changed": .changed
        case "blocked": .blocked
        case "busy": .busy
        case let word:
            throw Failure(.defect, code: "database_shape", "begin_refetch said \"\(word)\"")
        }
    }
}
