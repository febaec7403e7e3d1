package import Core
package import Jobs

/// What came with a callback, as it may be shown.
package struct CallbackContent: Sendable {
    package var headers: [(name: String, value: String)]
    package var query: String
    package var body: String

    package init(headers: [(name: String, value: String)], query: String, body: String) {
        self.headers = headers
        self.query = query
        self.body = body
    }
}

/// Callbacks for people and for machines.
package enum CallbackText {
    package static func table(_ callbacks: [CallbackSummary]) -> String {
        guard !callbacks.isEmpty else { return "no callback is like that" }
        var table = TextTable(
            ["callback", "result", "checks", "provider", "job", "tasks", "size", "received", ""],
            numbers: [0, 6])
        for callback in callbacks {
            table.add(
                String(callback.callbackID), callback.result.rawValue,
                callback.secretCheck ?? "-", callback.provider.isEmpty ? "-" : callback.provider,
                callback.jobID ?? "-", tasks(callback), size(callback),
                Plain.distance(callback.receivedAt, from: callback.now), callback.note ?? "")
        }
        return table.text
    }

    package static func text(_ detail: CallbackDetail, _ content: CallbackContent) -> String {
        let callback = detail.summary
        var table = TextTable()
        table.add("callback", String(callback.callbackID))
        table.add("provider", callback.provider.isEmpty ? "(none named)" : callback.provider)
        table.add("received", line(callback.receivedAt, callback.now))
        if let spoolID = detail.spoolID { table.add("spooled as", spoolID) }
        table.add("result", callback.result.rawValue)
        if let drainedAt = callback.drainedAt { table.add("read", line(drainedAt, callback.now)) }
        table.add("job", callback.jobID ?? "-")
        table.add("tasks", tasks(callback))
        table.add("checks", callback.secretCheck ?? "not made yet")
        for (name, result) in checks(detail) { table.add("  " + name, result) }
        if callback.result == .refused {
            table.add("means", meaning(detail))
            table.add(
                "next",
                "holdfast callback replay \(callback.callbackID) --force  # if you vouch for it")
        }
        if let note = callback.note { table.add("note", note) }
        if let by = callback.replayedBy, let at = callback.replayedAt {
            table.add("read again by", "\(by), \(line(at, callback.now))")
        }
        if let by = callback.vouchedBy { table.add("believed by", by) }
        for header in content.headers { table.add("header", "\(header.name): \(header.value)") }
        table.add("query", content.query.isEmpty ? "-" : content.query)
        table.add("body", size(callback))
        table.add("sha256", detail.bodySHA256)
        return table.text + (content.body.isEmpty ? "" : "\n\n" + Plain.line(content.body))
    }

    package static func object(_ callback: CallbackSummary) -> JSONValue {
        [
            "callback_id": .integer(callback.callbackID), "provider": .string(callback.provider),
            "result": .string(callback.result.rawValue),
            "secret_check": .optional(callback.secretCheck), "job_id": .optional(callback.jobID),
            "task_ids": .array(callback.taskIDs.map { .string($0) }),
            "note": .optional(callback.note), "body_bytes": .integer(callback.bodyBytes),
            "whole_bytes": .whole(callback.wholeBytes),
            "received_at": .instant(callback.receivedAt),
            "drained_at": .instant(callback.drainedAt),
            "replayed_at": .instant(callback.replayedAt),
            "replayed_by": .optional(callback.replayedBy),
            "vouched_by": .optional(callback.vouchedBy),
        ]
    }

    package static func object(
        _ detail: CallbackDetail, _ content: CallbackContent
    ) -> JSONValue {
        guard case .object(var object) = object(detail.summary) else { return .null }
        object["checks"] = detail.checks.flatMap { try? JSON.parse($0) } ?? .null
        object["spool_id"] = .optional(detail.spoolID)
        object["headers"] = .object(
            JSONObject(content.headers.map { .init(key: $0.name, value: .string($0.value)) }))
        object["query"] = .string(content.query)
        object["body"] = .string(content.body)
        object["body_sha256"] = .string(detail.bodySHA256)
        return .object(object)
    }

    /// What a refusal says about the settings of whoever sent it and of whoever read it.
    private static func meaning(_ detail: CallbackDetail) -> String {
        let wrong = checks(detail).filter { $0.1 == "wrong" }.map(\.0)
        guard let first = wrong.first else {
            return "it came without a tag, a secret or a signature; nobody can tell who sent it"
        }
        let variable =
            first == "signature"
            ? "the webhook key of the host that read it" : "HOLDFAST_CALLBACK_SECRET of that host"
        return
            "its \(wrong.joined(separator: " and ")) was made with another secret than \(variable); "
            + "it woke no job"
    }

    private static func tasks(_ callback: CallbackSummary) -> String {
        callback.taskIDs.isEmpty ? "-" : callback.taskIDs.joined(separator: " ")
    }

    private static func size(_ callback: CallbackSummary) -> String {
        Plain.bytes(callback.bodyBytes)
            + (callback.wholeBytes.map { " of \(Plain.bytes($0))" } ?? "")
    }

    private static func line(_ instant: Instant, _ now: Instant) -> String {
        "\(instant) (\(Plain.distance(instant, from: now)))"
    }

    private static func checks(_ detail: CallbackDetail) -> [(String, String)] {
        guard let object = detail.checks.flatMap({ try? JSON.parse($0) })?.object else { return [] }
        return object.members.map { ($0.key, $0.value.text ?? "") }
    }
}
