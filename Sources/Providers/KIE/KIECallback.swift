import Core
import HTTP

/// Reads KIE's callbacks, which tell the family by their shape alone.
///
/// A callback fires at the end of a task, Suno's also before it. Whatever it says, a poll decides.
/// Source: docs.kie.ai, the page "… callbacks" of each family.
struct KIECallback {
    let reader: KIEReader

    init(_ answer: Answer, asked: String?, endpoint: String?, now: Instant) {
        reader = KIEReader(answer, asked: asked, endpoint: endpoint, now: now)
    }

    private static let shape = RecordShape(
        okCode: KIEReader.okCode, idKeys: CallbackIDs.bodyKeys, fallbackIDPaths: [],
        recordMarks: ["callbackType"])

    /// Codes that say that the task failed, when the task's id comes with them.
    private static let veoFailures: Set<Int64> = [400, 422, 500, 501]
    private static let sunoFailures: Set<Int64> = [400, 408, 413, 500, 501, 531]
    /// What is made from a song has no state word either; the code is the success.
    private static let songFiles = [
        ["audioWavUrl"], ["vocal_removal_info", KIEFamily.anyURLKeyOfCallback], ["images"],
    ]
    private static let songKeys = songFiles.compactMap(\.first)
    /// Failed, and the credits came back.
    private static let sunoRefunded = Int64(531)
    /// Codes about keys, balances, rates and maintenance: never about a task.
    private static let serviceCodes: Set<Int64> = [401, 402, 403, 404, 429, 455, 505]

    func verdict() -> Verdict {
        reader.read(RecordFinder(shape: Self.shape)) { finder, records in
            verdict(on: records, by: finder)
        }.ofCallback
    }

    private func verdict(on records: [TaskRecord], by finder: RecordFinder) -> Verdict {
        switch finder.choose(from: records, asked: reader.asked) {
        case .none(let reason): return reader.refusal(reason)
        case .record(var record):
            if record.id == .none {
                record.id = CallbackIDs.outsideBody(reader.answer.headers, reader.endpoint)
            }
            guard case .text(let id) = record.id else {
                return reader.refusal("the callback names no task")
            }
            if let asked = reader.asked, !id.isSameText(as: asked.trimmed) {
                return reader.refusal("the callback is not about the task asked for")
            }
            return verdict(on: record, id: id)
        }
    }

    private func verdict(on record: TaskRecord, id: String) -> Verdict {
        let envelope = record.envelope(okCode: KIEReader.okCode)
        let code = envelope?.code
        guard (200..<300).contains(reader.answer.httpStatus), let fields = record.fields,
            envelope?.hasUnreadableCode != true,
            code.map({ !Self.serviceCodes.contains($0) }) ?? true
        else { return reader.refusal(envelope?.message, code: code) }
        guard let (state, files) = reading(of: fields, id: id, code: code) else {
            return reader.refusal(
                envelope?.message ?? "the callback has no state that is known", code: code)
        }
        return KIEReader.verdict(
            id: record.id, fields: fields, state: state, files: files,
            message: code == KIEReader.okCode ? nil : envelope?.message, now: reader.now)
    }

    private func reading(
        of fields: JSONObject, id: String, code: Int64?
    ) -> (TaskState, [String])? {
        let isOK = code == KIEReader.okCode
        if fields.has("callbackType") { return sunoReading(of: fields, code: code) }
        if let family = KIEFamily.resembling(fields) {
            guard let state = KIEReader.state(of: fields, in: family),
                isOK || code == nil || state == .failed,
                state.errorClass != .final || isEnding(fields, code: code)
            else { return nil }
            return (state, KIEReader.files(of: fields, in: family))
        }
        if ["video_url", "video_id", "image_url"].contains(where: { fields.has($0) }) {
            // Runway: no state word; the code is the success.
            if isOK { return (.succeeded, fields.files(at: [["video_url"]])) }
        } else if Self.songKeys.contains(where: fields.has), isOK {
            return (.succeeded, fields.files(at: Self.songFiles))
        } else if isVeo(fields, id: id) {
            if isOK {
                let places = [
                    ["info", "resultUrls"], ["info", "originUrls"],
                    // Flux Kontext's.
                    ["info", "resultImageUrl"],
                ]
                return (.succeeded, fields.files(at: places))
            }
            if let code, Self.veoFailures.contains(code) { return (.failed, []) }
        }
        let saysFailed = code == KIEReader.generationFailed || code == Self.sunoRefunded
        return saysFailed ? (.failed, []) : nil
    }

    /// Whether the words of a callback end its task: the market's are those of its polls, which its
    /// page says; for every other family an error code has to say it.
    private func isEnding(_ fields: JSONObject, code: Int64?) -> Bool {
        fields.has("state") || KIEReader.hasErrorCode(fields)
            || code.map { $0 != KIEReader.okCode } ?? false
    }

    private func sunoReading(of fields: JSONObject, code: Int64?) -> (TaskState, [String])? {
        let isOK = code == nil || code == KIEReader.okCode
        switch fields["callbackType"]?.nonBlankText?.word {
        case "text" where isOK, "first" where isOK: return (.running, [])
        case "complete" where isOK:
            return (.succeeded, fields.files(at: [["data", "*", "audio_url"]]))
        case "error" where !isOK || code == nil:
            return code.map(Self.sunoFailures.contains) ?? true ? (.failed, []) : nil
        default: return code == Self.sunoRefunded ? (.failed, []) : nil
        }
    }

    // A Veo failure may come with nothing but the id; whatever shows another family's field is
    // not one.
    private func isVeo(_ fields: JSONObject, id: String) -> Bool {
        if fields.has("info") || fields.has("fallbackFlag") || id.word.hasPrefix("veo") {
            return true
        }
        if reader.endpoint.map({ $0.word.contains("veo") }) == true { return true }
        let bare = ["taskId", "code", "msg", "message"]
        return fields.members.allSatisfy { bare.contains($0.key) || $0.value.isNull }
    }
}
