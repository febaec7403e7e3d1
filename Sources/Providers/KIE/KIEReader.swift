import Core
import HTTP

/// Reads KIE's answers to polls.
///
/// Source: docs.kie.ai/market/common/get-task-detail and its sisters.
struct KIEReader {
    static let okCode = Int64(200)
    /// The body code that says that a generation failed, and not that a query did.
    static let generationFailed = Int64(501)

    let answer: Answer
    let body: AnswerBody
    let asked: String?
    let endpoint: String?
    let now: Instant

    init(_ answer: Answer, asked: String?, endpoint: String?, now: Instant) {
        self.answer = answer
        self.body = AnswerBody(answer.body)
        self.asked = asked
        self.endpoint = endpoint
        self.now = now
    }

    static let shape = RecordShape(
        okCode: okCode, idKeys: ["taskId", "task_id"],
        fallbackIDPaths: [
            ["recordId"], ["record_id"], ["response", "taskId"], ["videoInfo", "taskId"],
        ],
        recordMarks: ["callbackType"])

    func verdict() -> Verdict {
        read(RecordFinder(shape: Self.shape)) { finder, records in
            verdict(on: records, by: finder)
        }
    }

    /// Reads the records of a readable body; the verdict gets the id that they give.
    func read(
        _ finder: RecordFinder, _ reading: (RecordFinder, [TaskRecord]) -> Verdict
    ) -> Verdict {
        switch body {
        case .unreadable(let reason): return refusal(reason)
        case .document(let document):
            let records = finder.records(in: document)
            var verdict = reading(finder, records)
            verdict.taskID = verdict.taskID ?? finder.givenID(in: records, asked: asked)
            return verdict
        }
    }

    private func verdict(on records: [TaskRecord], by finder: RecordFinder) -> Verdict {
        let envelope = records.first?.envelope(okCode: Self.okCode)
        guard !refusesByStatus(hasCode: envelope?.code != nil) else {
            return refusal(envelope?.message, code: envelope?.code)
        }
        switch finder.choose(from: records, asked: asked) {
        case .record(let record): return verdict(on: record)
        case .none(let reason):
            guard let code = envelope?.code, code != Self.okCode else { return refusal(reason) }
            return refusal(envelope?.message, code: code)
        }
    }

    // The code in the body is the real status; but what stands in front of the API (401, 403,
    // 429, …) and its failures (5xx) speak through the status line alone.
    private func refusesByStatus(hasCode: Bool) -> Bool {
        switch answer.httpStatus {
        case 200..<300: false
        case 400, 404, 422, 455: !hasCode
        default: true
        }
    }

    private func verdict(on record: TaskRecord) -> Verdict {
        let envelope = record.envelope(okCode: Self.okCode)
        let code = envelope?.code
        guard envelope?.hasUnreadableCode != true else {
            return refusal("the code in the body is no number")
        }
        guard code == nil || code == Self.okCode || code == Self.generationFailed else {
            return refusal(envelope?.message, code: code, hasRecord: record.id != .none)
        }
        let named = endpoint.flatMap(KIEFamily.named)
        guard let fields = record.fields,
            let family = named ?? KIEFamily.resembling(fields),
            let state = Self.state(of: fields, in: family),
            // A record that contradicts "generation failed" is ambiguous.
            code != Self.generationFailed || state == .failed
        else {
            let isFailure = code == Self.generationFailed
            return refusal(
                isFailure ? envelope?.message : "the answer has no state that is known",
                code: isFailure ? code : nil)
        }
        guard
            named != nil || state.errorClass != .final || code == Self.generationFailed
                || Self.hasErrorCode(fields)
        else { return .undescribed(taskID: record.id.text) }
        guard record.id != .none || named?.namesNoTask == true else {
            return .unclear("the answer names no task")
        }
        return Self.verdict(
            id: record.id, fields: fields, state: state, files: Self.files(of: fields, in: family),
            message: code == Self.generationFailed ? envelope?.message : nil, now: now)
    }

    func refusal(_ message: String?, code: Int64? = nil, hasRecord: Bool = false) -> Verdict {
        var verdict = Verdict.refusal(message, code: code, answer: answer, now: now)
        // A 403 or 404 in plain text comes from the front end: "error code: 1010" is about our
        // User-Agent, neither about our key nor about the task.
        let isDocument = if case .document = body { true } else { false }
        switch code {
        case 401: verdict.credentialsRefused = true
        case 404: verdict.taskIsUnknownHere = answer.httpStatus < 500
        case 422: verdict.taskIsUnknownHere = answer.httpStatus < 500 && !hasRecord
        case nil where isDocument:
            verdict.taskIsUnknownHere = answer.httpStatus == 404
            verdict.credentialsRefused = [401, 403].contains(answer.httpStatus)
        default: break
        }
        if answer.httpStatus == 401 { verdict.credentialsRefused = true }
        return verdict
    }
}

extension KIEReader {
    /// The state that a record spells; nil when it is missing, unknown or contradicts itself.
    static func state(of record: JSONObject, in family: KIEFamily) -> TaskState? {
        switch family.state {
        case .answered: return .succeeded
        case .word(let field, let words):
            guard let word = record[field]?.nonBlankText?.word, let state = words[word] else {
                return nil
            }
            if word == KIEFamily.callbackException, !hasAllTracks(record) { return nil }
            // The files of a Runway task are deleted after a while; the record stays. Only its page
            // has this field.
            let isDeleted =
                family.name == KIEFamily.runway.name && state == .succeeded
                && record["expireFlag"]?.wholeNumber == 1
            return isDeleted ? .expired : state
        case .flag(let flags, let words):
            let flag = record["successFlag"] ?? .null
            let byFlag = flag.wholeNumber.flatMap { flags[$0] }
            let word = record["status"] ?? .null
            guard let words, !word.isNull else { return byFlag }
            let byWord = word.nonBlankText.flatMap { words[$0.word] }
            return flag.isNull || byFlag == byWord ? byWord : nil
        }
    }

    // After a failed callback the record may have been left half written.
    private static func hasAllTracks(_ record: JSONObject) -> Bool {
        let tracks = record["response"]?.opened["sunoData"]?.opened.array ?? []
        return tracks.count == files(of: record, in: .suno).count
    }

    /// The usable URLs at the first documented place that has any.
    static func files(of record: JSONObject, in family: KIEFamily) -> [String] {
        record.files(at: family.files)
    }

    /// The verdict on a record whose state is known.
    ///
    /// - Parameter message: What the envelope says, when that is about the task.
    static func verdict(
        id: GivenID, fields: JSONObject, state: TaskState, files: [String], message: String?,
        now: Instant
    ) -> Verdict {
        let taskID = id.text
        if state == .succeeded, files.isEmpty {
            return .unclear("finished without a usable URL", taskID: taskID)
        }
        var verdict = Verdict(taskID: taskID, state: state, errorClass: state.errorClass)
        verdict.progress = progress(fields["progress"])
        verdict.cost =
            (fields["creditsConsumed"]?.decimal ?? fields["consumeCredits"]?.decimal).map {
                Cost(amount: $0, unit: "credits")
            }
        switch state {
        case .succeeded:
            verdict.resultURLs = files
            // Their text times name no zone, so a completion in the future is a zone of theirs.
            let completed = Timestamp.read(fields["completeTime"]) ?? now
            verdict.urlExpiresAt = min(completed, now) + KIEProvider.urlLife
        case .failed:
            let reason =
                fields["failMsg"]?.nonBlankText ?? fields["errorMessage"]?.nonBlankText ?? message
            verdict.errorMessage = PrivateText.message(reason ?? noReason(fields))
        case .expired:
            verdict.errorMessage = "the provider has deleted the files"
        case .pending, .running, .cancelled, .unknown: break
        }
        return verdict
    }

    /// Whether a record has an error code of its own.
    ///
    /// It decides nothing by itself: published records
    /// of successes have one too.
    static func hasErrorCode(_ fields: JSONObject) -> Bool {
        ["failCode", "errorCode"].contains { key in
            let code = fields[key]?.text?.trimmed ?? ""
            return !["", "0", "200"].contains(code)
        }
    }

    private static func noReason(_ fields: JSONObject) -> String {
        let code = (fields["failCode"] ?? fields["errorCode"])?.text?.trimmed ?? ""
        return "the provider gives no reason" + (code.isEmpty ? "" : " (code \(code.cut(to: 40)))")
    }

    // 0 to 100; the 4o family writes a share of 1 as text, "1.00".
    private static func progress(_ value: JSONValue?) -> Int? {
        guard let value, let text = value.decimal, let number = Double(text) else { return nil }
        let isShare = value.int == nil && number <= 1 && text.utf8.contains(UInt8(ascii: "."))
        let percent = isShare ? number * 100 : number
        return percent <= 100 ? Int(percent) : nil
    }
}
