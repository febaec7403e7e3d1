import Core
import HTTP

/// Reads Kling's answers and callbacks, which share one record.
///
/// Source: Kling portal, the query page of each model and "Callback Schema".
struct KlingReader {
    static let okCode = Int64(0)

    let answer: Answer
    let body: AnswerBody
    let now: Instant

    init(_ answer: Answer, now: Instant) {
        self.answer = answer
        self.body = AnswerBody(answer.body)
        self.now = now
    }

    private static let shape = RecordShape(
        okCode: okCode, idKeys: ["task_id"], fallbackIDPaths: [], recordMarks: [])

    private static let states: [String: TaskState] = [
        "submitted": .pending, "processing": .running, "succeed": .succeeded, "failed": .failed,
    ]

    /// Codes about our own request: asking the same again changes nothing.
    private static let requestCodes: Set<Int64> = [1200, 1201, 1202, 1203, 1300, 1301]
    private static let noSuchResource = Int64(1203)
    /// A new token may cure these at once.
    private static let tokenCodes: ClosedRange<Int64> = 1000...1004

    func verdict(asked: String?) -> Verdict {
        withGivenID(asked, read { finder, records in finder.choose(from: records, asked: asked) })
    }

    /// The verdict on the task that has our own id, whatever its task id; it names a task only
    /// when the answer says that the task is ours.
    func verdict(ownID: String) -> Verdict {
        let verdict = read { _, records in
            let ours = records.filter { Self.ownID(of: $0)?.isSameText(as: ownID) ?? false }
            guard let first = ours.first else { return .none("no task has our id") }
            let isAlone = ours.allSatisfy { $0 == first }
            return isAlone ? .record(first) : .none("several tasks have our id")
        }
        guard verdict.isHealthy, verdict.taskID == nil else { return verdict }
        return refusal("the task with our id has no id of its own")
    }

    /// A callback: without a task id anywhere it says nothing.
    func callback(asked: String?, endpoint: String?) -> Verdict {
        let reading = read { finder, records in
            let found = finder.choose(from: records, asked: asked)
            guard case .record(var record) = found, record.id == .none else { return found }
            record.id = CallbackIDs.outsideBody(answer.headers, endpoint)
            guard case .text(let id) = record.id else { return .none("the callback names no task") }
            let isAsked = asked.map { id.isSameText(as: $0.trimmed) } ?? true
            return isAsked ? .record(record) : .none("the callback is not about the task asked for")
        }
        var verdict = withGivenID(asked, reading)
        verdict.taskIsUnknownHere = false
        verdict.credentialsRefused = false
        if verdict.state == .unknown { verdict.errorClass = .transient }
        return verdict
    }

    /// Every task of a list, in order; nil when the answer is no list.
    func tasks() -> [ListedTask]? {
        guard let records = records(), isOK(records.first?.envelope(okCode: Self.okCode)),
            records.allSatisfy(\.isListed)
        else { return nil }
        return records.filter { $0.fields != nil }.map { record in
            ListedTask(
                verdict: verdict(on: record), ownID: Self.ownID(of: record),
                createdAt: Timestamp.read(record.fields?["created_at"]))
        }
    }

    private func records() -> [TaskRecord]? {
        guard case .document(let document) = body else { return nil }
        return RecordFinder(shape: Self.shape).records(in: document)
    }

    private func isOK(_ envelope: TaskRecord.Envelope?) -> Bool {
        (200..<300).contains(answer.httpStatus) && envelope?.hasUnreadableCode != true
            && (envelope?.code == nil || envelope?.code == Self.okCode)
    }

    private func read(
        choosing choose: (RecordFinder, [TaskRecord]) -> RecordFinder.Found
    ) -> Verdict {
        guard let records = records() else {
            if case .unreadable(let reason) = body { return refusal(reason) }
            return refusal(nil)
        }
        let envelope = records.first?.envelope(okCode: Self.okCode)
        guard isOK(envelope) else { return refusal(envelope?.message, code: envelope?.code) }
        switch choose(RecordFinder(shape: Self.shape), records) {
        case .none(let reason): return refusal(reason)
        case .record(let record):
            let envelope = record.envelope(okCode: Self.okCode)
            guard isOK(envelope) else { return refusal(envelope?.message, code: envelope?.code) }
            return verdict(on: record)
        }
    }

    // Also an answer that decides nothing may name the task.
    private func withGivenID(_ asked: String?, _ verdict: Verdict) -> Verdict {
        var verdict = verdict
        verdict.taskID =
            verdict.taskID
            ?? records().flatMap {
                RecordFinder(shape: Self.shape).givenID(in: $0, asked: asked)
            }
        return verdict
    }

    private func verdict(on record: TaskRecord) -> Verdict {
        let taskID: String? = if case .text(let text) = record.id { text } else { nil }
        guard let fields = record.fields,
            let word = fields["task_status"]?.nonBlankText, let state = Self.states[word.word],
            record.id != .unreadable
        else { return .unclear("the answer has no state that is known", taskID: taskID) }
        let files = state == .succeeded ? Self.files(of: fields) : []
        if state == .succeeded, files.isEmpty {
            return .unclear("finished without a usable URL", taskID: taskID)
        }
        var verdict = Verdict(
            taskID: taskID, state: state, resultURLs: files, errorClass: state.errorClass)
        verdict.cost = fields["final_unit_deduction"]?.decimal.map {
            Cost(amount: $0, unit: "units")
        }
        if state == .succeeded {
            let completed = Timestamp.read(fields["updated_at"]) ?? now
            verdict.urlExpiresAt = min(completed, now) + KlingProvider.urlLife
        }
        if state == .failed {
            let reason = fields["task_status_msg"]?.nonBlankText
            verdict.errorMessage = PrivateText.message(reason ?? "the provider gives no reason")
        }
        return verdict
    }

    private func refusal(_ message: String?, code: Int64? = nil) -> Verdict {
        let isDocument = if case .document = body { true } else { false }
        var verdict = Verdict.refusal(message, code: code, answer: answer, now: now)
        guard answer.httpStatus < 500 else { return verdict }
        let status = isDocument ? answer.httpStatus : 0
        if let code, code != Self.okCode, (1000..<6000).contains(code) {
            verdict.errorClass = Self.requestCodes.contains(code) ? .final : .transient
            verdict.taskIsUnknownHere = code == Self.noSuchResource
            verdict.credentialsRefused = Self.tokenCodes.contains(code)
        } else if code == nil || code != Self.okCode {
            verdict.errorClass = status == 400 || status == 404 ? .final : .transient
            verdict.taskIsUnknownHere = status == 404
            verdict.credentialsRefused = status == 401 || status == 403
        }
        if answer.httpStatus == 401 { verdict.credentialsRefused = true }
        return verdict
    }

    private static func ownID(of record: TaskRecord) -> String? {
        guard let fields = record.fields else { return nil }
        let nested = GivenID(fields["task_info"]?.opened["external_task_id"])
        guard case .text(let id) = nested.joined(GivenID(fields["external_task_id"])) else {
            return nil
        }
        return id
    }
}

extension KlingReader {
    /// The files of a record in body order; inputs, covers and watermarked twins are none.
    static func files(of record: JSONObject) -> [String] {
        guard let result = record["task_result"]?.opened.object else { return [] }
        let isSeries = result["result_type"]?.nonBlankText?.word == "series"
        var urls: [String] = []
        for member in result.members {
            switch member.key {
            case "videos", "audios": urls += files(in: member.value)
            case "images" where !isSeries || !hasFiles(result["series_images"]),
                "series_images" where isSeries || !hasFiles(result["images"]):
                urls += files(in: member.value)
            default: break
            }
        }
        return urls
    }

    private static func hasFiles(_ list: JSONValue?) -> Bool {
        list.map { !files(in: $0).isEmpty } ?? false
    }

    private static func files(in list: JSONValue) -> [String] {
        let list = list.opened
        return (list.array ?? [list]).compactMap { file($0.opened) }
    }

    // The first of these fields that is filled names the file, and the ones after it are twins.
    private static func file(_ element: JSONValue) -> String? {
        for field in ["url", "url_mp3", "url_wav", "watermark_url"] {
            if let text = element[field]?.nonBlankText { return UsableURL.check(text) }
        }
        return nil
    }
}
