package import Core
import Ledger
package import Recovery

/// The night's report as plain text and as members of the JSON object.
package enum BooksText {
    /// The list that finance reads: the day's movements, then what stands wrong and what to do.
    package static func text(_ report: BooksReport, command: String) -> String {
        var lines = ["\(command): day \(report.day.day) (UTC), \(report.day.transfers) transfers"]
        for kind in ["grant", "hold", "capture", "void", "charge", "refund", "adjustment"] {
            if let credits = report.day.credits[kind] {
                lines.append("  \(padded(kind)) \(credits)")
            }
        }
        if let fixed = report.run.outcomes["fixed"] {
            lines.append("fixed: \(fixed) jobs whose files had all come to an end")
        }
        guard !report.findings.isEmpty else {
            lines.append("invariants hold; no open breaks")
            return lines.joined(separator: "\n")
        }
        let violations = report.findings.filter(\.isInvariant).count
        lines.append(
            violations == 0
                ? "invariants hold; \(report.findings.count) open breaks"
                : "\(violations) INVARIANTS VIOLATED; \(report.findings.count) open breaks in all")
        for finding in report.findings {
            let credits = finding.credits.map { ", \($0) credits" } ?? ""
            lines.append("  \(finding.kind) \(finding.subject): \(finding.detail)\(credits)")
            lines.append("    next: \(finding.fix)")
        }
        return lines.joined(separator: "\n")
    }

    package static func members(_ report: BooksReport) -> [JSONObject.Member] {
        [
            .init(key: "day", value: .string(report.day.day)),
            .init(
                key: "day_credits",
                value: .object(
                    JSONObject(
                        report.day.credits.sorted { $0.key < $1.key }
                            .map { .init(key: $0.key, value: .integer($0.value)) }))),
            .init(
                key: "breaks",
                value: .array(
                    report.findings.map { finding in
                        [
                            "kind": .string(finding.kind), "subject": .string(finding.subject),
                            "detail": .string(finding.detail),
                            "credits": finding.credits.map { .integer($0) } ?? .null,
                            "invariant": .bool(finding.isInvariant), "fix": .string(finding.fix),
                        ]
                    })),
        ]
    }

    private static func padded(_ kind: String) -> String {
        kind + String(repeating: " ", count: max(0, 11 - kind.count))
    }
}
