import BookReports
import Core
import Ledger
import Reports
import Runner
import Bills

/// What an import came to, for people and for machines.
struct UsageImportResult {
    let provider: String
    let file: String
    var sha256 = ""
    var summary = StatementSummary()
    /// Good lines that the books lack, when the file was checked.
    var missing: Int64 = 0
    var importID: Int64?
    var counts = UsageCounts()
    /// A signal ended it between two pages.
    var isStopped = false

    init(provider: String, file: String) {
        self.provider = provider
        self.file = file
    }

    var facts: UsageFileFacts {
        UsageFileFacts(
            name: file, sha256: sha256, lines: Int64(summary.goodLines),
            badLines: Int64(summary.badCount), first: summary.first, last: summary.last)
    }

    /// Why nothing is written; nil when the good lines may be.
    func refusal(skipsBadLines: Bool) -> Failure? {
        if let line = summary.lostFrom {
            return Failure(
                .needsPerson, code: "usage_file",
                "\(file) cannot be read from line \(line) on; nothing was written; correct the "
                    + "file, and see that --format and --delimiter are right")
        }
        guard summary.badCount > 0, !skipsBadLines || summary.goodLines == 0 else { return nil }
        return Failure(
            .needsPerson, code: "usage_lines",
            "\(summary.badCount) of \(summary.lines) lines of \(file) are not taken, so nothing was "
                + "written"
                + (summary.goodLines == 0
                    ? "; correct the file or the flags"
                    : "; correct them, or write the \(summary.goodLines) others with "
                        + "--skip-bad-lines"))
    }

    /// The bad lines, as far as they are kept.
    var complaints: [String] {
        var lines = summary.badLines.map { "\(file) line \($0.line): \(Plain.line($0.why))" }
        if summary.badCount > summary.badLines.count {
            lines.append("and \(summary.badCount - summary.badLines.count) more lines like that")
        }
        return lines
    }

    func text(isDryRun: Bool) -> String {
        var lines = ["\(Plain.line(file)): \(summary.goodLines) lines of \(provider)"]
        if let first = summary.first, let last = summary.last {
            lines[0] += " from \(first) to \(last)"
        }
        for (unit, total) in summary.units.sorted(by: { $0.key < $1.key }) {
            lines.append("  \(total.amount.text) \(unit) on \(total.lines) lines")
        }
        if isDryRun {
            lines.append("\(missing) lines would be new; nothing was written (dry run)")
            return lines.joined(separator: "\n")
        }
        var words = "\(counts.new) lines are new"
        if counts.known > 0 { words += ", \(counts.known) were in the books already" }
        if summary.repeatedLines > 0 { words += ", \(summary.repeatedLines) stand there twice" }
        if summary.badCount > 0 { words += ", \(summary.badCount) were left out" }
        lines.append(words)
        if counts.conflicts > 0 {
            lines.append(
                "\(counts.conflicts) lines came before with other content; what came first stays, "
                    + "and the nightly run lists them")
        }
        if isStopped {
            lines.append("stopped before the end; the same command goes on from here")
        }
        return lines.joined(separator: "\n")
    }

    var members: Say.Members {
        [
            ("provider", .string(provider)), ("file", .string(file)), ("sha256", .string(sha256)),
            ("lines", .integer(summary.lines)), ("good_lines", .integer(summary.goodLines)),
            ("repeated_lines", .integer(summary.repeatedLines)),
            ("bad_lines", .integer(summary.badCount)),
            (
                "bad",
                .array(
                    summary.badLines.map {
                        ["line": .integer($0.line), "why": .string($0.why)]
                    })
            ),
            (
                "units",
                .object(
                    JSONObject(
                        summary.units.sorted { $0.key < $1.key }.map { unit, total in
                            .init(
                                key: unit,
                                value: [
                                    "lines": .integer(total.lines),
                                    "amount": .string(total.amount.text),
                                ])
                        }))
            ),
            ("first_at", .optional(summary.first?.description)),
            ("last_at", .optional(summary.last?.description)),
            ("missing_lines", .integer(missing)),
            ("import_id", importID.map { .integer($0) } ?? .null),
            ("new_lines", .integer(counts.new)), ("known_lines", .integer(counts.known)),
            ("conflicts", .integer(counts.conflicts)), ("complete", .bool(!isStopped)),
        ]
    }
}
