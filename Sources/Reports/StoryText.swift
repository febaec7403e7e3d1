package import Core
package import Jobs

/// The story of a job: a few lines on how it stands, then one line for each event in time order.
package enum StoryText {
    package static func text(_ story: JobStory) -> String {
        var lines = head(story.job)
        lines += story.files.map { file in
            "  file \(file.ordinal)   " + Plain.line(words(file, story.job.now))
        }
        if story.isCut {
            lines.append("  the oldest of more than \(JobStory.eventLimit) events are left out")
        }
        lines.append("")
        var table = TextTable()
        for event in story.events {
            table.add(event.at.description, event.kind.rawValue, words(event))
        }
        lines.append(table.text)
        return lines.joined(separator: "\n")
    }

    package static func members(_ story: JobStory) -> [(key: String, value: JSONValue)] {
        [
            ("job", JobText.object(story.job)),
            (
                "files",
                .array(
                    story.files.map { file in
                        [
                            "ordinal": .integer(file.ordinal), "state": .string(file.state),
                            "source_url": .string(file.sourceURL),
                            "source_expires_at": .instant(file.sourceExpiresAt),
                            "object_key": .optional(file.objectKey),
                            "public_url": .optional(file.publicURL),
                            "sha256": .optional(file.sha256), "bytes": .whole(file.bytes),
                            "attempts": .integer(file.attempts),
                            "next_attempt_at": file.state == "pending"
                                ? .instant(file.nextAttemptAt) : .null,
                            "error_message": .optional(file.errorMessage),
                            "refused": file.refused.map(AssetText.object) ?? .null,
                        ]
                    })
            ),
            (
                "events",
                .array(
                    story.events.map { event in
                        var object = JSONObject([
                            .init(key: "at", value: .instant(event.at)),
                            .init(key: "kind", value: .string(event.kind.rawValue)),
                            .init(key: "what", value: .string(words(event))),
                        ])
                        object["data"] = .object(event.data)
                        return .object(object)
                    })
            ),
            ("events_cut", .bool(story.isCut)),
        ]
    }

    private static func head(_ job: JobStatus) -> [String] {
        var about = ["account \(job.accountID)", "\(job.provider) \(job.model)", job.kind]
        if let endpoint = job.endpoint { about.append("endpoint \(endpoint)") }
        if let taskID = job.taskID { about.append("task \(taskID)") }
        var state = job.state.rawValue
        if let progress = job.progress, job.state == .running { state += " (\(progress) %)" }
        if let error = JobText.error(job) { state += ", \(error)" }
        var rows = [
            ("state", state), ("about", about.joined(separator: ", ")),
            ("credits", JobText.credits(job)),
        ]
        if let blocked = job.blocked {
            rows.append(
                (
                    "blocked",
                    "\(blocked): \(job.blockedReason ?? "no reason kept"); next: "
                        + (job.wayOut ?? "holdfast job show \(job.jobID)")
                ))
        } else if job.hasPendingMove {
            rows.append(("released", "the recoverer's next run settles what a brake had stopped"))
        }
        if let lease = job.lease {
            rows.append(
                ("leased", "to \(lease.holder ?? "run " + lease.runID) until \(lease.until)"))
        } else if JobText.isPolled(job), let next = job.nextPollAt {
            rows.append(("next", "look at \(next) (\(JobText.nextLook(job)))"))
        }
        if let watch = job.watchUntil { rows.append(("watched", "until \(watch)")) }
        let width = 8
        return ["job \(Plain.line(job.jobID))"]
            + rows.map { name, words in
                "  " + name + String(repeating: " ", count: max(1, width + 1 - name.count))
                    + Plain.line(words)
            }
    }

    private static func words(_ file: StoryFile, _ now: Instant) -> String {
        switch file.state {
        case "stored":
            "stored: \(file.publicURL ?? file.objectKey ?? "?")"
                + (file.bytes.map { ", " + Plain.bytes($0) } ?? "")
        case "lost":
            "lost: \(file.errorMessage ?? "no reason kept")"
        case "forgotten":
            "forgotten: its customer asked for it"
        case "dropped":
            "dropped: \(file.errorMessage ?? "no reason kept")"
        default:
            "pending after \(file.attempts) tries"
                + (file.errorMessage.map { " (\($0))" } ?? "") + ", next "
                + (file.nextAttemptAt <= now
                    ? "now" : Plain.distance(file.nextAttemptAt, from: now))
                + (file.refused.map { "; " + AssetText.words($0) } ?? "")
                + (file.sourceExpiresAt.map { ", expires " + Plain.distance($0, from: now) } ?? "")
        }
    }
}

// MARK: Events

extension StoryText {
    /// What happened, without the time and the kind.
    static func words(_ event: StoryEvent) -> String {
        let data = event.data
        func text(_ key: String) -> String? { data[key]?.text }
        switch event.kind {
        case .state:
            return state(text)
        case .verdict, .retrigger:
            return verdict(event.kind, text)
        case .transfer:
            return "\(text("kind") ?? "?") \(text("amount") ?? "?") credits, "
                + "\(text("debit") ?? "?") to \(text("credit") ?? "?")" + because(text("reason"))
                + by(text("actor"))
        case .waiver:
            return "\(text("amount") ?? "?") credits are not charged"
        case .callback:
            return callback(data, text)
        case .task:
            return task(text)
        case .file:
            return file(text)
        case .mark:
            return text("step") == "submitting"
                ? "the application was about to create the task"
                : "the application was alive last"
                    + (text("last_step").map { ", at step \($0)" } ?? "")
        case .run:
            let end =
                text("finished_at").map { "ended \($0) with \(text("exit_status") ?? "?")" }
                ?? "has not ended"
            return "\(text("command") ?? "?") on \(text("host") ?? "?"), \(end), run "
                + (text("run_id") ?? "?")
        }
    }

    private static func state(_ text: (String) -> String?) -> String {
        let (before, after) = (text("from_state"), text("to_state") ?? "?")
        if let deed = text("deed") { return deed + because(text("detail")) + by(text("actor")) }
        var words: String
        if before == nil {
            words = "opened as \(after)"
        } else if before != after {
            words = "\(before ?? "?") to \(after)"
        } else {
            words = text("blocked") == nil ? "freed, still \(after)" : "still \(after)"
        }
        if let blocked = text("blocked") { words += ", blocked (\(blocked))" }
        return words + because(text("detail")) + by(text("actor"))
    }

    private static func verdict(
        _ kind: StoryEvent.Kind, _ text: (String) -> String?
    ) -> String {
        let status = text("http_status").map { "HTTP \($0)" }
        if kind == .retrigger {
            return [text("error_message") ?? "sent", status].compactMap { $0 }
                .joined(separator: ", ")
        }
        var parts = ["\(text("source") ?? "poll"): \(text("state") ?? "?")"]
        if let progress = text("progress") { parts.append("progress \(progress)") }
        if let status { parts.append(status) }
        if let kind = text("error_class"), kind != "none" { parts.append(kind) }
        if let taskID = text("task_id") { parts.append("task \(taskID)") }
        return parts.joined(separator: ", ") + because(text("error_message"))
    }

    private static func callback(_ data: JSONObject, _ text: (String) -> String?) -> String {
        var parts = ["callback \(text("callback_id") ?? "?"): \(text("result") ?? "not read yet")"]
        if let check = text("secret_check"), check != "not_checked" {
            parts.append("secret \(check)")
        }
        let taskIDs = data["task_ids"]?.array?.compactMap(\.text) ?? []
        if !taskIDs.isEmpty { parts.append("names \(taskIDs.joined(separator: ", "))") }
        if let bytes = text("body_bytes") { parts.append("\(bytes) bytes") }
        return parts.joined(separator: ", ") + because(text("note"))
    }

    private static func task(_ text: (String) -> String?) -> String {
        let name = "task \(text("task_id") ?? "?")"
        guard text("step") == "ended" else {
            return "\(name) became known" + (text("endpoint").map { ", endpoint \($0)" } ?? "")
        }
        let cost = text("cost_amount").map { ", cost \($0) \(text("cost_unit") ?? "")" } ?? ""
        return "\(name) \(text("state") ?? "ended") at the provider\(cost)"
            + because(text("error_message"))
    }

    private static func file(_ text: (String) -> String?) -> String {
        let name = "file \(text("ordinal") ?? "?")"
        switch text("step") {
        case "stored":
            let size = text("bytes").flatMap { Int64($0) }.map { ", \(Plain.bytes($0))" } ?? ""
            return "\(name) stored as \(text("object_key") ?? "?")\(size), sha256 "
                + (text("sha256") ?? "?")
        case "lost":
            return "\(name) lost" + because(text("error_message"))
        case "refreshed":
            return "\(name) has a fresh address, \(text("source_url") ?? "?")"
        default:
            return "\(name) named by the provider, \(text("source_url") ?? "?")"
                + (text("source_expires_at").map { ", expires \($0)" } ?? "")
        }
    }

    private static func because(_ reason: String?) -> String {
        reason.map { $0.isEmpty ? "" : ": \($0)" } ?? ""
    }

    private static func by(_ actor: String?) -> String { actor.map { " (\($0))" } ?? "" }
}
