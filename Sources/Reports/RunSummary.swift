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
        if !report.outcomes.isEmpty {
            parts.append(
                report.outcomes.filter { $0.value != 0 }.sorted { $0.key < $1.key }
                    .map { "\($0.value) \(words($0.key))" }.joined(separator: ", "))
        }
        if !report.credits.isEmpty {
            parts.append(
                "credits "
                    + report.credits.sorted { $0.key < $1.key }
                    .map { "\(words($0.key)) \($0.value)" }.joined(separator: ", "))
        }
        return "\(command)\(isDryRun ? " (dry run, nothing written)" : ""): "
            + parts.joined(separator: "; ")
    }

    /// Lines of one kind of problem before the rest is counted: cron sends these by mail.
    private static let linesPerKind = 3

    /// One line for each problem, the first few of a kind.
    package var problemLines: [String] {
        var lines: [String] = []
        var seen: [String: Int] = [:]
        for problem in report.problems {
            seen[problem.code, default: 0] += 1
            guard seen[problem.code, default: 0] <= Self.linesPerKind else { continue }
            let job = problem.jobID.map { " job \($0):" } ?? ""
            lines.append("\(command):\(job) \(problem.message)")
        }
        for (code, number) in seen.sorted(by: { $0.key < $1.key }) where number > Self.linesPerKind
        {
            lines.append(
                "\(command): \(number - Self.linesPerKind) more like that (\(code)); --output json "
                    + "lists them")
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
