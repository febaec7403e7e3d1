package import Core
package import Ledger
import Reports

/// Breaks for people and for machines.
package enum BreakText {
    package static func table(_ breaks: [KeptBreak]) -> String {
        guard !breaks.isEmpty else { return "no break is like that" }
        var table = TextTable(
            ["break", "class", "subject", "credits", "loses", "age", "status"], numbers: [0, 3])
        for one in breaks {
            table.add(
                String(one.breakID), one.kind, one.subject, one.credits.map { String($0) } ?? "-",
                one.loses, Plain.span(one.now - one.firstSeenAt),
                one.closedHow ?? one.status)
        }
        return table.text
    }

    package static func text(_ one: KeptBreak, _ fixes: [KeptFix]) -> String {
        var table = TextTable()
        table.add("break", String(one.breakID))
        table.add("class", "\(one.kind): \(one.meaning)")
        table.add("subject", one.subject)
        for (name, value) in [
            ("job", one.jobID), ("account", one.accountID), ("provider", one.provider),
            ("model", one.model), ("task", one.taskID),
        ] {
            if let value { table.add(name, value) }
        }
        table.add("found", one.detail)
        if !one.also.isEmpty { table.add("also", one.also.joined(separator: ", ")) }
        if let credits = one.credits { table.add("credits", String(credits)) }
        if let amount = one.amount { table.add("amount", "\(amount) \(one.unit ?? "")") }
        table.add("who loses", one.loses)
        table.add("likely cause", one.cause)
        table.add("facts", one.evidence)
        table.add("first seen", line(one.firstSeenAt, one.now))
        table.add("last seen", line(one.lastSeenAt, one.now))
        for fix in fixes {
            table.add(
                "tried",
                "\(line(fix.happenedAt, one.now)): \(fix.action), \(fix.outcome)"
                    + (fix.undo.map { "; undone by: \($0)" } ?? ""))
        }
        if let by = one.resolvedBy, let at = one.resolvedAt {
            table.add("answered", "by \(by), \(line(at, one.now)): \(one.resolution ?? "")")
        }
        if let how = one.closedHow, let at = one.closedAt {
            table.add("closed", "\(how), \(line(at, one.now))")
        } else {
            table.add("next", one.fix)
        }
        return table.text
    }

    package static func object(_ one: KeptBreak) -> JSONValue {
        [
            "break_id": .integer(one.breakID), "class": .string(one.kind),
            "subject": .string(one.subject), "status": .string(one.status),
            "job_id": .optional(one.jobID), "account_id": .optional(one.accountID),
            "provider": .optional(one.provider), "model": .optional(one.model),
            "task_id": .optional(one.taskID), "also": .array(one.also.map { .string($0) }),
            "loses": .string(one.loses), "credits": .whole(one.credits),
            "amount": .optional(one.amount), "unit": .optional(one.unit),
            "detail": .string(one.detail), "cause": .string(one.cause), "fix": .string(one.fix),
            "first_seen_at": .instant(one.firstSeenAt), "last_seen_at": .instant(one.lastSeenAt),
            "age_seconds": .integer((one.now - one.firstSeenAt).milliseconds / 1000),
            "resolved_at": .instant(one.resolvedAt), "resolved_by": .optional(one.resolvedBy),
            "resolution": .optional(one.resolution), "closed_at": .instant(one.closedAt),
            "closed_how": .optional(one.closedHow),
        ]
    }

    package static func object(_ one: KeptBreak, _ fixes: [KeptFix]) -> JSONValue {
        guard case .object(var object) = object(one) else { return .null }
        object["meaning"] = .string(one.meaning)
        object["evidence"] = (try? JSON.parse(one.evidence)) ?? .null
        object["fixes"] = .array(
            fixes.map { fix in
                [
                    "happened_at": .instant(fix.happenedAt), "run_id": .string(fix.runID),
                    "plan_digest": .string(fix.planDigest), "rule": .string(fix.rule),
                    "action": .string(fix.action), "outcome": .string(fix.outcome),
                    "credits": .whole(fix.credits), "undo": .optional(fix.undo),
                ]
            })
        return .object(object)
    }

    private static func line(_ instant: Instant, _ now: Instant) -> String {
        "\(instant) (\(Plain.distance(instant, from: now)))"
    }
}
