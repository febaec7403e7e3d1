import Core
package import Postgres

/// What a check of one sealed day came to.
package struct SealFinding: Equatable, Sendable {
    package var day: String
    package var entries: Int64
    /// What does not agree; nil when the day is as it was sealed.
    package var problem: String?
}

/// Counts sealed days once more and compares them with their digests.
package enum SealCheck {
    /// The sealed days from `from` to `to`, the oldest first; the bounds are optional.
    package static func days(
        _ connection: borrowing Connection, from: String?, to: String?
    ) throws -> [String] {
        try connection.query(
            """
            SELECT to_char(day, 'YYYY-MM-DD') AS day FROM holdfast.business_day
            WHERE state = 'sealed' AND day >= coalesce(\(from)::date, '-infinity')
                AND day <= coalesce(\(to)::date, 'infinity')
            ORDER BY holdfast.business_day.day
            """
        ).map { try $0.text("day") }
    }

    /// The days that each night looks at again, the oldest first: the last one that was sealed, and
    /// each whose seal was found broken, so that such a break closes only when its day is right again.
    package static func daysToRecheck(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT to_char(d.day, 'YYYY-MM-DD') AS day FROM holdfast.business_day d
            WHERE d.state = 'sealed' AND (
                d.day = (SELECT max(l.day) FROM holdfast.business_day l WHERE l.state = 'sealed')
                OR to_char(d.day, 'YYYY-MM-DD') IN (SELECT b.subject FROM holdfast.break b
                    WHERE b.class = 'seal-broken' AND b.closed_at IS NULL))
            ORDER BY d.day
            """
        ).map { try $0.text("day") }
    }

    /// Counts one day again, page by page, and compares figures, digest and chain.
    ///
    /// - Throws: `digest_formula` (78) where a later release has sealed it by a formula of its own,
    ///   which says nothing about the day.
    package static func verify(
        _ connection: borrowing Connection, day: String
    ) throws -> SealFinding {
        do {
            return try check(connection, day: day)
        } catch let error as PostgresError where error.sqlState == "HF013" {
            throw Failure(
                .configuration, code: "digest_formula",
                "\(error.message); run holdfast migrate with the newer build that sealed it")
        }
    }

    private static func check(
        _ connection: borrowing Connection, day: String
    ) throws -> SealFinding {
        let sealed = try connection.query(
            """
            SELECT d.entries, d.running_digest, d.digest, d.previous_digest,
                holdfast.digest_of(d) AS recomputed,
                coalesce((SELECT b.digest FROM holdfast.business_day b WHERE b.day < d.day
                    ORDER BY b.day DESC LIMIT 1), '') AS before
            FROM holdfast.business_day d WHERE d.day = \(day)::date AND d.state = 'sealed'
            """
        ).single()
        var finding = SealFinding(day: day, entries: try sealed.int64("entries"))
        if try sealed.text("previous_digest") != sealed.text("before") {
            finding.problem = "the digest of the day before is not the one it was chained to"
        } else if try sealed.text("digest") != sealed.text("recomputed") {
            finding.problem = "its figures are not those that were sealed"
        } else if try recount(connection, day: day) != sealed.text("running_digest") {
            finding.problem = "its entries are not those that were counted"
        }
        return finding
    }

    private static func recount(_ connection: borrowing Connection, day: String) throws -> String {
        var (phase, at, id, account, running) = ("late", "-infinity", Int64(0), "", "")
        while phase != "counted" {
            let row = try connection.query(
                """
                SELECT * FROM holdfast.recount_page(\(day)::date, \(phase), \(at), \(id)::bigint,
                    \(account), \(running))
                """
            ).single()
            phase = try row.text("phase")
            at = try row.text("after_at")
            id = try row.int64("after_id")
            account = try row.text("after_account")
            running = try row.text("running")
        }
        return running
    }

    /// A sealed day that is no longer what it was, as a break of class `seal-broken`.
    package static func asBreak(_ finding: SealFinding, _ matching: Matching) throws -> FoundBreak?
    {
        guard let problem = finding.problem else { return nil }
        let value: JSONValue = [
            "class": "seal-broken", "subject": .string(finding.day), "also": [],
            "detail": .string("the books of \(finding.day): \(problem)"),
            "fix": .string("holdfast books verify  # and keep everything as it is"),
            "evidence": ["problem": .string(problem)],
        ]
        return try matching.found(JSON.write(value))
    }
}
