package import Core

/// A run's report for people and for machines.
package struct RunSummary: Sendable {
    package var command: String
    package var version: String
    package var runID: String
    package var isDryRun: Bool
    package var startedAt: Instant
    package var finishedAt: Instant
    package var report: RunReport

    package init(
        command: String, version: String, runID: String, isDryRun: Bool, startedAt: Instant,
        finishedAt: Instant, report: RunReport
    ) {
        self.command = command
        self.version = version
        self.runID = runID
        self.isDryRun = isDryRun
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.report = report
    }

    /// Outcomes that are no news: nothing came of them yet.
    private static let quiet: Set<String> = [
        "still_running", "unknown", "retry_later", "callbacks_duplicate", "finished_meanwhile",
        "lease_lost", "breaks_open", "days_closed",
    ]

    /// Whether anything happened that is worth a line under cron.
    package var isNews: Bool {
        report.outcomes.contains { $0.value > 0 && !Self.quiet.contains($0.key) }
    }

    /// One line: `stuck-sweeper: examined 12; 9 succeeded, 1 failed; voided 100 credits`.
    package var line: String {
        var parts = ["examined \(report.examined)"]
        let outcomes = outcomeWords
        if !outcomes.isEmpty { parts.append(outcomes.joined(separator: ", ")) }
        if !report.credits.isEmpty {
            parts.append(
                "credits "
                    + report.credits.sorted { $0.key < $1.key }
                    .map { "\(words($0.key)) \($0.value)" }.joined(separator: ", "))
        }
        return "\(command)\(isDryRun ? " (dry run, nothing written)" : ""): "
            + parts.joined(separator: "; ")
    }

    /// `9 succeeded`, by outcome; of callbacks that matched nothing, those whose proof was wrong are
    /// called refused.
    private var outcomeWords: [String] {
        let refused = report.refusedCallbacks.values.reduce(0, +)
        return report.outcomes.filter { $0.value != 0 }.sorted { $0.key < $1.key }.map {
            let words = "\($0.value) \(words($0.key))"
            guard $0.key == "callbacks_unmatched", refused > 0 else { return words }
            return words + ", of them \(refused) callbacks refused ("
                + RunReport.words(report.refusedCallbacks) + ")"
        }
    }

    /// Lines of one kind of problem before the rest is counted: cron sends these by mail.
    private static let linesPerKind = 10

    /// The command that lists what the lines leave out, by kind.
    private static let lists = [
        "braked": "holdfast job list --blocked brake",
        "crashed": "holdfast job list --blocked crashed",
        "submission_unknown": "holdfast job list --blocked submission_unknown",
        "set_aside": "holdfast job list --blocked person",
        "file_lost": "holdfast asset list --state lost",
    ]

    /// One line for each problem, the first few of a kind.
    package var problemLines: [String] {
        var lines: [String] = []
        var seen: [String: Int] = [:]
        for problem in report.problems {
            seen[problem.code, default: 0] += 1
            guard seen[problem.code, default: 0] <= Self.linesPerKind else { continue }
            let job = problem.jobID.map { " job \(Plain.line($0)):" } ?? ""
            lines.append("\(command):\(job) \(problem.message)")
        }
        for (code, number) in seen.sorted(by: { $0.key < $1.key }) where number > Self.linesPerKind
        {
            let more = "\(command): \(number - Self.linesPerKind) more like that (\(code)); "
            lines.append(more + (Self.lists[code] ?? "--output json lists them"))
        }
        return lines
    }

    /// The one object that `--output json` promises; `extra` members come before the errors.
    package func json(_ extra: [JSONObject.Member] = []) -> String {
        func counts(_ values: [String: some BinaryInteger]) -> JSONValue {
            .object(
                JSONObject(
                    values.filter { $0.value != 0 }.sorted { $0.key < $1.key }
                        .map { .init(key: $0.key, value: .integer($0.value)) }))
        }
        var members: [JSONObject.Member] = [
            .init(key: "command", value: .string(command)),
            .init(key: "version", value: .string(version)),
            .init(key: "run_id", value: .string(runID)),
            .init(key: "dry_run", value: .bool(isDryRun)),
            .init(key: "started_at", value: .string(startedAt.description)),
            .init(key: "finished_at", value: .string(finishedAt.description)),
            .init(key: "examined", value: .integer(report.examined)),
            .init(key: "outcomes", value: counts(report.outcomes)),
            .init(key: "credits", value: counts(report.credits)),
        ]
        members += extra
        members.append(
            .init(
                key: "errors",
                value: .array(
                    report.problems.map { problem in
                        [
                            "job_id": .optional(problem.jobID), "code": .string(problem.code),
                            "message": .string(problem.message),
                        ]
                    })))
        members.append(.init(key: "exit_status", value: .integer(report.status.rawValue)))
        return JSON.write(.object(JSONObject(members)))
    }

    private func words(_ key: String) -> String {
        String(key.map { $0 == "_" ? " " : $0 })
    }
}
