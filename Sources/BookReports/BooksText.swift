package import Core
import Ledger
package import Closing
import Reports

/// The night's findings as plain text and as members of the JSON object.
package enum BooksText {
    /// Breaks that the text shows; the rest is counted, and in the night's files.
    private static let shown = 50

    /// What finance reads: the day's movements, then what stands wrong and what to do.
    package static func text(_ report: BooksReport, command: String) -> String {
        var lines = [
            "\(command): day \(report.day.day), \(report.day.transfers) transfers"
                + (report.day.isSealed ? "" : " so far; the day is not closed yet")
        ]
        for kind in ["grant", "hold", "capture", "void", "charge", "refund", "adjustment"] {
            if let credits = report.day.credits[kind] {
                lines.append("  \(padded(kind)) \(credits)")
            }
        }
        if !report.sealedDays.isEmpty {
            lines.append("closed: \(report.sealedDays.joined(separator: ", "))")
        }
        let lost = report.unknownSubmissions
        if lost.jobs > 0 {
            let more = Int(lost.jobs) - lost.jobIDs.count
            lines.append(
                "voided \(lost.credits) credits of \(lost.jobs) jobs of which nobody ever told whether "
                    + "they had been submitted (policy on_submission_unknown): "
                    + lost.jobIDs.map(Plain.line).joined(separator: ", ")
                    + (more > 0 ? ", and \(more) more" : ""))
        }
        lines += plan(report)
        guard report.standing > 0 else {
            lines.append("invariants hold; no open breaks")
            return lines.joined(separator: "\n")
        }
        lines.append(
            report.violations == 0
                ? "invariants hold; \(report.standing) open breaks"
                : "\(report.violations) INVARIANTS VIOLATED; \(report.standing) open breaks in all")
        for finding in report.findings.prefix(shown) {
            let credits = finding.credits.map { ", \($0) credits" } ?? ""
            lines.append(
                "  \(finding.kind) \(Plain.line(finding.subject)): \(Plain.line(finding.detail))"
                    + credits)
            lines.append("    next: \(Plain.line(finding.fix))")
        }
        if report.standing > shown {
            lines.append("  and \(report.standing - shown) more: holdfast break list --limit 1000")
        }
        return lines.joined(separator: "\n")
    }

    /// The plan with its digest, and what became of it.
    private static func plan(_ report: BooksReport) -> [String] {
        guard let plan = report.plan, !plan.digest.isEmpty else { return [] }
        var lines = ["plan \(plan.digest): \(plan.fixes.count) fixes"]
        if report.fixes.isEmpty {
            for fix in plan.fixes.prefix(shown) {
                lines.append(
                    "  \(fix.kind) \(Plain.line(fix.subject)): \(words(fix.action ?? ""))"
                        + (fix.moves.map { $0 == 0 ? "" : ", \($0) credits" } ?? ""))
            }
            if plan.fixes.count > shown { lines.append("  and \(plan.fixes.count - shown) more") }
        }
        var outcomes: [String: Int] = [:]
        for fix in report.fixes { outcomes[fix.outcome, default: 0] += 1 }
        if !outcomes.isEmpty {
            lines.append(
                "  "
                    + outcomes.sorted { $0.key < $1.key }
                    .map { "\($0.value) \(words($0.key))" }.joined(separator: ", "))
        }
        for fix in report.fixes.filter({ $0.detail != nil }).prefix(shown) {
            lines.append(
                "  \(fix.kind) \(Plain.line(fix.subject)): \(words(fix.outcome)), "
                    + Plain.line(fix.detail ?? ""))
        }
        return lines + plan.heldBack.map { "  held back: \($0)" }
    }

    package static func members(_ report: BooksReport) -> [JSONObject.Member] {
        var members: [JSONObject.Member] = [
            .init(key: "day", value: .string(report.day.day)),
            .init(
                key: "unknown_submissions_voided",
                value: [
                    "jobs": .integer(report.unknownSubmissions.jobs),
                    "credits": .integer(report.unknownSubmissions.credits),
                    "job_ids": .array(report.unknownSubmissions.jobIDs.map { .string($0) }),
                ]),
            .init(key: "day_sealed", value: .bool(report.day.isSealed)),
            .init(key: "day_credits", value: .counts(report.day.credits)),
            .init(key: "days_sealed", value: .array(report.sealedDays.map { .string($0) })),
            .init(
                key: "breaks",
                value: .array(
                    report.findings.map { finding in
                        [
                            "kind": .string(finding.kind), "subject": .string(finding.subject),
                            "detail": .string(finding.detail), "credits": .whole(finding.credits),
                            "invariant": .bool(finding.isInvariant), "fix": .string(finding.fix),
                            "action": .optional(finding.action),
                        ]
                    })),
            .init(
                key: "breaks_omitted",
                value: .integer(max(0, report.standing - report.findings.count))),
        ]
        guard let plan = report.plan, !plan.digest.isEmpty else { return members }
        members.append(
            .init(
                key: "plan",
                value: [
                    "digest": .string(plan.digest),
                    "held_back": .array(plan.heldBack.map { .string($0) }),
                    "fixes": .array(
                        plan.fixes.map { fix in
                            [
                                "kind": .string(fix.kind), "subject": .string(fix.subject),
                                "action": .optional(fix.action), "credits": .whole(fix.moves),
                            ]
                        }),
                ]))
        members.append(
            .init(
                key: "fixes",
                value: .array(
                    report.fixes.map { fix in
                        [
                            "kind": .string(fix.kind), "subject": .string(fix.subject),
                            "outcome": .string(fix.outcome), "settled": .optional(fix.settled),
                            "credits": .whole(fix.credits), "detail": .optional(fix.detail),
                        ]
                    })))
        return members
    }

    private static func words(_ key: String) -> String {
        String(key.map { $0 == "_" ? " " : $0 })
    }

    private static func padded(_ kind: String) -> String {
        kind + String(repeating: " ", count: max(0, 11 - kind.count))
    }
}
