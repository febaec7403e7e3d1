package import Core
package import Ledger
package import Closing
import Reports

/// Usage lines for people and for machines.
package enum UsageText {
    package static func text(_ lines: [UsageLine]) -> String {
        guard !lines.isEmpty else { return "no usage line is like that" }
        var table = TextTable(
            ["time", "provider", "task", "amount", "booked", "unit", "status", "from", "line"],
            numbers: [3, 4])
        for line in lines {
            table.add(
                line.happenedAt.description, line.provider, line.taskID ?? "-", line.amount,
                line.booked, line.unit, line.status ?? "-", line.source, line.lineKey)
        }
        return table.text
    }

    package static func object(_ line: UsageLine) -> JSONValue {
        [
            "provider": .string(line.provider), "line": .string(line.lineKey),
            "source": .string(line.source), "task_id": .optional(line.taskID),
            "job_id": .optional(line.jobID), "model": .optional(line.model),
            "status": .optional(line.status), "amount": .number(line.amount),
            "booked": .number(line.booked), "unit": .string(line.unit),
            "happened_at": .instant(line.happenedAt), "recorded_at": .instant(line.recordedAt),
        ]
    }
}

/// What providers told of their own accord, for people and for machines.
package enum FetchedUsageText {
    package static func text(_ fetched: [FetchedUsage]) -> String {
        guard !fetched.isEmpty else {
            return "no provider that is on here tells what it charged; see holdfast usage import"
        }
        return fetched.map { one in
            var parts: [String] = []
            if one.coveredUntil != nil || one.lines > 0 {
                parts.append("\(one.lines) lines, \(one.newLines) of them new")
            }
            if one.unreadable > 0 { parts.append("\(one.unreadable) could not be understood") }
            if one.conflicts > 0 {
                parts.append("\(one.conflicts) came before with other content")
            }
            if let balance = one.balance { parts.append("\(balance.amount) \(balance.unit) left") }
            if one.problem != nil { parts.append("not everything could be had") }
            return "\(one.provider): " + Plain.line(parts.joined(separator: "; "))
        }.joined(separator: "\n")
    }

    package static func object(_ one: FetchedUsage) -> JSONValue {
        [
            "provider": .string(one.provider), "lines": .integer(one.lines),
            "new_lines": .integer(one.newLines), "conflicts": .integer(one.conflicts),
            "unreadable": .integer(one.unreadable), "covered_until": .instant(one.coveredUntil),
            "balance": one.balance.map {
                ["amount": .number($0.amount), "unit": .string($0.unit)]
            } ?? .null,
            "problem": .optional(one.problem),
        ]
    }
}
