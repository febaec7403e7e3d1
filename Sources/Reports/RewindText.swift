package import Core
package import Jobs

/// `holdfast rewind` for people and for machines.
package enum RewindText {
    package static func object(_ one: RewindSummary) -> JSONValue {
        [
            "rewind_id": .integer(one.rewindID), "noticed_at": .instant(one.noticedAt),
            "sign": .string(one.sign), "message": .string(one.message),
            "gap_from": .instant(one.gapFrom), "gap_until": .instant(one.gapUntil),
            "closed_at": .instant(one.closedAt), "closed_by": .optional(one.closedBy),
            "close_reason": .optional(one.closeReason), "jobs": .integer(one.jobs),
            "held": .integer(one.held), "let_go": .counts(one.letGo),
        ]
    }

    package static func object(_ job: RewindJob) -> JSONValue {
        [
            "rewind_id": .integer(job.rewindID), "job_id": .string(job.jobID),
            "provider": .string(job.provider), "state": .string(job.state),
            "blocked": .optional(job.blocked), "task_id": .optional(job.taskID),
            "credits": .integer(job.credits), "held": .bool(job.how == nil),
            "how": .optional(job.how),
        ]
    }

    /// One rewind in a few lines.
    package static func lines(_ one: RewindSummary) -> String {
        let end =
            one.closedAt.map { at in
                "closed \(at)"
                    + (one.closedBy.map { " by \($0): \(one.closeReason ?? "")" } ?? "")
            } ?? "open"
        let ways = one.letGo.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return Plain.line(
            "rewind \(one.rewindID), noticed \(one.noticedAt), \(end)") + "\n  "
            + Plain.line(one.message) + "\n  "
            + Plain.line(
                "lost: from \(one.gapFrom) to \(one.gapUntil); \(one.jobs) jobs may be about it, "
                    + "\(one.held) are held back"
                    + (ways.isEmpty ? "" : ", let go: " + ways.joined(separator: ", ")))
    }

    package static func table(_ jobs: [RewindJob]) -> String {
        var table = TextTable(indent: 2)
        for job in jobs {
            table.add(
                Plain.line(job.jobID),
                [
                    job.provider, job.state, job.blocked.map { "blocked: \($0)" },
                    job.taskID.map { "task \($0)" } ?? "no task known", "\(job.credits) credits",
                    job.how.map { "let go: \($0)" } ?? "held back",
                ].compactMap { $0 }.map(Plain.line).joined(separator: ", "))
        }
        return table.text
    }
}
