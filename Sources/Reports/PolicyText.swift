package import Core
package import Jobs

/// Policies for people and for machines.
package enum PolicyText {
    package static func text(_ rows: [PolicyRow]) -> String {
        var table = TextTable(["policy", "value", "for", "from", "meaning"])
        var last = ""
        for row in rows {
            let meaning = PolicyKey.all.first { $0.name == row.key }?.meaning ?? ""
            table.add(
                row.key, row.value, row.scope.words, source(row), row.key == last ? "" : meaning)
            last = row.key
        }
        return table.text
    }

    private static func source(_ row: PolicyRow) -> String {
        (row.isDefault ? "default" : "set by \(row.setBy) at \(row.setAt)")
            + (row.isInEffect ? "" : ", not in effect")
    }

    package static func object(_ row: PolicyRow) -> JSONValue {
        [
            "key": .string(row.key), "value": .string(row.value),
            "provider": .optional(row.scope.provider.isEmpty ? nil : row.scope.provider),
            "kind": .optional(row.scope.kind.isEmpty ? nil : row.scope.kind),
            "model": .optional(row.scope.model.isEmpty ? nil : row.scope.model),
            "source": .string(row.isDefault ? "default" : "set"),
            "set_at": row.isDefault ? .null : .instant(row.setAt),
            "set_by": row.isDefault ? .null : .string(row.setBy),
            "in_effect": .bool(row.isInEffect),
        ]
    }
}

/// What a released brake lets go.
package enum BrakeText {
    /// Jobs listed one by one at most; all of them are in the JSON.
    package static let rowLimit = 100

    package static func text(_ jobs: [BrakedJob], isDryRun: Bool) -> String {
        guard !jobs.isEmpty else { return "no job is stopped by a brake there" }
        var table = TextTable(
            ["job", "account", "provider", "becomes", "credits"])
        for job in jobs.prefix(rowLimit) {
            table.add(
                job.jobID, job.accountID, job.provider, job.newState,
                job.action.map { "\($0) \(job.credits)" } ?? "none move")
        }
        var lines = [table.text]
        if jobs.count > rowLimit { lines.append("and \(jobs.count - rowLimit) more") }
        lines.append(
            "\(jobs.count) \(jobs.count == 1 ? "job" : "jobs"): " + totals(jobs)
                + (isDryRun ? "; nothing was released (dry run)" : ""))
        return lines.joined(separator: "\n")
    }

    private static func totals(_ jobs: [BrakedJob]) -> String {
        let sums = sums(jobs)
        return sums.isEmpty
            ? "no credits move"
            : sums.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value) credits" }
                .joined(separator: ", ")
    }

    private static func sums(_ jobs: [BrakedJob]) -> [String: Int64] {
        var sums: [String: Int64] = [:]
        for job in jobs {
            guard let action = job.action else { continue }
            let (sum, overflow) = sums[action, default: 0].addingReportingOverflow(job.credits)
            sums[action] = overflow ? .max : sum
        }
        return sums
    }

    package static func members(_ jobs: [BrakedJob]) -> [(key: String, value: JSONValue)] {
        [
            (
                "jobs",
                .array(
                    jobs.map { job in
                        [
                            "job_id": .string(job.jobID), "account_id": .string(job.accountID),
                            "provider": .string(job.provider), "new_state": .string(job.newState),
                            "action": .optional(job.action), "credits": .integer(job.credits),
                            "reason": .optional(job.reason),
                        ]
                    })
            ),
            ("credits", .counts(sums(jobs))),
        ]
    }
}
