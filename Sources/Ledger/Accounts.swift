package import Postgres

/// One customer's credits as they stand.
package struct AccountBalance: Equatable, Sendable {
    package var accountID: String
    package var available: Int64
    package var held: Int64
    /// Captured and charged, less refunded.
    package var spent: Int64
}

/// One movement of credits; never changed once written.
package struct Transfer: Equatable, Sendable {
    package var transferID: String
    package var kind: String
    package var jobID: String?
    package var amount: Int64
    package var reason: String?
    package var actor: String
    package var createdAt: String
}

/// What people ask of accounts from the command line.
package enum Accounts {
    package static func balance(
        _ connection: borrowing Connection, _ accountID: String
    ) throws -> AccountBalance? {
        try connection.query(
            """
            SELECT account_id, available, held, spent FROM holdfast.account_balance
            WHERE account_id = \(accountID)
            """
        ).first.map { row in
            AccountBalance(
                accountID: try row.text("account_id"), available: try row.int64("available"),
                held: try row.int64("held"), spent: try row.int64("spent"))
        }
    }

    /// The newest transfers first.
    package static func transfers(
        _ connection: borrowing Connection, account: String, most: Int
    ) throws -> [Transfer] {
        try connection.query(
            """
            SELECT transfer_id, kind, job_id, amount, reason, actor,
                to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_at
            FROM holdfast.transfer WHERE account_id = \(account)
            ORDER BY sequence DESC LIMIT \(most)::integer
            """
        ).map { row in
            Transfer(
                transferID: try row.text("transfer_id"), kind: try row.text("kind"),
                jobID: try row.optionalText("job_id"), amount: try row.int64("amount"),
                reason: try row.optionalText("reason"), actor: try row.text("actor"),
                createdAt: try row.text("created_at"))
        }
    }

    /// Adds credits once for each reference; returns what is available.
    package static func grant(
        _ connection: borrowing Connection, account: String, credits: Int64, reference: String
    ) throws -> Int64 {
        try connection.query(
            """
            SELECT holdfast.grant_credits(\(account), \(credits)::bigint, \(reference)) AS available
            """
        ).single().int64("available")
    }
}

/// A hold that stands: credits of a job that is not settled yet.
package struct OpenHold: Equatable, Sendable {
    package var jobID: String
    package var state: String
    package var blocked: String?
    package var credits: Int64
    package var createdAt: String
}

extension Accounts {
    /// The oldest holds first.
    package static func openHolds(
        _ connection: borrowing Connection, account: String, most: Int
    ) throws -> [OpenHold] {
        try connection.query(
            """
            SELECT job_id, state, blocked, credits,
                to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_at
            FROM holdfast.job WHERE account_id = \(account) AND credit_state = 'held'
            ORDER BY job.created_at, job_id LIMIT \(most)::integer
            """
        ).map { row in
            OpenHold(
                jobID: try row.text("job_id"), state: try row.text("state"),
                blocked: try row.optionalText("blocked"), credits: try row.int64("credits"),
                createdAt: try row.text("created_at"))
        }
    }

    /// Whether a grant with this reference is in the books.
    package static func isGranted(
        _ connection: borrowing Connection, reference: String
    ) throws -> Bool {
        try connection.query(
            """
            SELECT EXISTS (SELECT FROM holdfast.transfer
                WHERE transfer_id = 'grant:' || \(reference)) AS there
            """
        ).single().bool("there")
    }
}
