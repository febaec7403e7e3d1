package import Core
package import Jobs

/// Jobs for people and for machines.
package enum JobText {
    package static func table(_ jobs: [JobStatus]) -> String {
        guard !jobs.isEmpty else { return "no job is like that" }
        var table = TextTable(
            [
                "job", "state", "blocked", "credits", "provider", "account", "created", "next look",
                "",
            ])
        for job in jobs {
            table.add(
                job.jobID, job.state.rawValue, job.blocked ?? "-",
                job.credits == 0 ? "none" : "\(job.credits) \(job.creditState)", job.provider,
                job.accountID, Plain.distance(job.createdAt, from: job.now),
                nextLook(job), job.blockedReason ?? error(job) ?? "")
        }
        return table.text
    }

    /// Whether and when the job is looked at again without anybody's help.
    static func nextLook(_ job: JobStatus) -> String {
        if let lease = job.lease { return "leased to " + (lease.holder ?? "a run") }
        guard isPolled(job), let next = job.nextPollAt else {
            return job.state == .succeeded && job.blocked == nil ? "storing" : "-"
        }
        return next <= job.now ? "due" : Plain.distance(next, from: job.now)
    }

    /// The provider is asked about it from time to time.
    static func isPolled(_ job: JobStatus) -> Bool {
        guard job.blocked == nil, !job.hasPendingMove else { return false }
        return [JobState.created, .submitted, .running].contains(job.state)
            || job.watchUntil != nil
    }

    /// `provider_failed: content refused`; nil when there is neither.
    package static func error(_ job: JobStatus) -> String? {
        let parts = [job.errorCode, job.errorMessage].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: ": ")
    }

    /// `100 credits: captured 60, voided 40`.
    package static func credits(_ job: JobStatus) -> String {
        guard job.credits > 0 else { return "no credits" }
        let parts = job.creditsByFate.filter { $0.credits > 0 }.map { "\($0.fate) \($0.credits)" }
        return "\(job.credits) credits: " + parts.joined(separator: ", ")
    }

    /// The columns of `job_status`, and what stands beside the state.
    package static func object(_ job: JobStatus) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("job_id", .string(job.jobID)), ("account_id", .string(job.accountID)),
            ("provider", .string(job.provider)), ("model", .string(job.model)),
            ("kind", .string(job.kind)), ("endpoint", .optional(job.endpoint)),
            ("task_id", .optional(job.taskID)), ("state", .string(job.state.rawValue)),
            ("blocked", .optional(job.blocked)), ("blocked_reason", .optional(job.blockedReason)),
            ("pending_move", .bool(job.hasPendingMove)),
            ("credit_state", .string(job.creditState)), ("credits", .integer(job.credits)),
        ]
        members += job.creditsByFate.map { ("credits_" + $0.fate, .integer($0.credits)) }
        members += [
            ("result_urls", .array(job.resultURLs.map { .string($0) })),
            ("asset_urls", .array(job.assetURLs.map { .string($0) })),
            ("error_code", .optional(job.errorCode)),
            ("error_message", .optional(job.errorMessage)), ("progress", .whole(job.progress)),
            ("attempts", .integer(job.attempts)), ("created_at", .instant(job.createdAt)),
            ("submitted_at", .instant(job.submittedAt)),
            ("finished_at", .instant(job.finishedAt)), ("settled_at", .instant(job.settledAt)),
            ("next_poll_at", .instant(job.nextPollAt)), ("watch_until", .instant(job.watchUntil)),
            ("last_step", .optional(job.lastStep)),
            ("last_heartbeat_at", .instant(job.lastHeartbeatAt)),
            (
                "lease",
                job.lease.map {
                    [
                        "run_id": .string($0.runID), "holder": .optional($0.holder),
                        "until": .instant($0.until),
                    ]
                } ?? .null
            ),
        ]
        return .object(JSONObject(members.map { .init(key: $0.0, value: $0.1) }))
    }
}
