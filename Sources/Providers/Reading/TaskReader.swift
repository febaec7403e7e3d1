import Core
import HTTP

/// Reads an answer in a provider's dialect: everything that is the same for all of them.
///
/// What cannot be read, refuses, or is about another task is `unknown`; a success without a usable
/// URL too.
struct TaskReader {
    let dialect: any TaskDialect
    let answer: Answer
    let place: AnswerPlace
    let now: Instant
    let body: AnswerBody
    private let finder: RecordFinder
    /// Empty when the body cannot be read.
    private let records: [TaskRecord]

    /// - Parameters:
    ///   - place: Whether a page says which words end a task where the answer came from.
    ///   - body: The body of the answer, where it has been read before.
    init(
        _ dialect: any TaskDialect, _ answer: Answer, from place: AnswerPlace,
        body: AnswerBody? = nil, now: Instant
    ) {
        self.dialect = dialect
        self.answer = answer
        self.place = place
        self.now = now
        let body = body ?? AnswerBody(answer.body)
        self.body = body
        finder = RecordFinder(shape: dialect.shape)
        records =
            if case .document(let document) = body { finder.records(in: document) } else { [] }
    }

    private var shape: RecordShape { finder.shape }

    /// What the answer to a poll says.
    func verdict(asked: String?) -> Verdict {
        withGivenID(
            asked,
            read(requiringCode: shape.requiresCode) {
                let found = finder.choose(from: records, asked: asked)
                guard shape.requiresID, case .record(let record) = found, record.id == .none else {
                    return found
                }
                return .none("the answer names no task")
            })
    }

    /// The verdict on the task that has our own id, whatever its task id; it names a task only
    /// when the answer says that the task is ours.
    func verdict(ownID: String) -> Verdict {
        let verdict = read(requiringCode: shape.requiresCode) {
            let ours = records.filter {
                $0.fields.flatMap(dialect.ownID)?.isSameText(as: ownID) ?? false
            }
            guard let first = ours.first else { return .none("no task has our id") }
            let isAlone = ours.allSatisfy { $0 == first }
            return isAlone ? .record(first) : .none("several tasks have our id")
        }
        guard verdict.isHealthy, verdict.taskID == nil else { return verdict }
        return refusal("the task with our id has no id of its own")
    }

    /// What a callback says: without a task id anywhere nothing, and nothing about requests of ours.
    func callback(asked: String?, endpoint: String?) -> Verdict {
        let reading = read(requiringCode: false) {
            let found = finder.choose(from: records, asked: asked)
            guard case .record(var record) = found, record.id == .none else { return found }
            record.id = CallbackIDs.outsideBody(answer.headers, endpoint)
            guard let id = record.id.text else { return .none("the callback names no task") }
            let isAsked = asked.map { id.isSameText(as: $0.trimmed) } ?? true
            return isAsked ? .record(record) : .none("the callback is not about the task asked for")
        }
        return withGivenID(asked, reading).ofCallback
    }

    /// Every task of a list, in order; nil when the answer is no list.
    func tasks() -> [ListedTask]? {
        guard let first = records.first, records.allSatisfy(\.isListed),
            isOK(first.envelope(okCode: shape.okCode), requiringCode: shape.requiresCode)
        else { return nil }
        return records.compactMap { record in
            record.fields.map { fields in
                ListedTask(
                    verdict: verdict(on: record), ownID: dialect.ownID(of: fields),
                    callbackURL: Self.callbackURL(of: fields), createdAt: Self.createdAt(of: fields)
                )
            }
        }
    }

    /// The tasks of a list with the cursor of the page after it; nil when the answer is no list.
    func page(next: ([ListedTask]) -> String?) -> ListPage? {
        tasks().map { ListPage(tasks: $0, next: next($0)) }
    }

    /// The value at a place beside the records, such as where the next page is; null where there is
    /// none.
    func value(at path: [String]) -> JSONValue {
        guard case .document(let document) = body, let object = document.opened.object else {
            return .null
        }
        return object.value(at: path)
    }

    /// The verdict on an answer that refuses, or says nothing about the task.
    func refusal(_ message: String?, code: Int64? = nil) -> Verdict {
        var verdict = Verdict.refusal(
            message ?? wordsOfBody, code: code, answer: answer, now: now)
        let status = answer.httpStatus
        guard status < 500 else { return verdict }
        // A 404 in HTML comes from a front end and says nothing about the task.
        var meaning = isDocument ? dialect.meaning(ofStatus: status) : .transient
        if let code {
            meaning = code == shape.okCode ? .transient : dialect.meaning(ofCode: code) ?? meaning
        }
        if (200..<300).contains(status) || status == 400 || status == 404 {
            verdict.errorClass = meaning.errorClass
            verdict.taskIsUnknownHere = meaning.taskIsUnknownHere
        }
        verdict.credentialsRefused = meaning.credentialsRefused || status == 401
        return verdict
    }

    private var isDocument: Bool {
        if case .document = body { true } else { false }
    }

    private var wordsOfBody: String? {
        if case .document(let document) = body { RefusalText.read(document.opened) } else { nil }
    }

    private func isOK(_ envelope: TaskRecord.Envelope?, requiringCode: Bool) -> Bool {
        (200..<300).contains(answer.httpStatus) && envelope?.hasUnreadableCode != true
            && (envelope?.code.map { $0 == shape.okCode } ?? !requiringCode)
    }

    private func isOK(_ record: TaskRecord, requiringCode: Bool) -> Bool {
        let envelope = record.envelope(okCode: shape.okCode)
        if isOK(envelope, requiringCode: requiringCode) { return true }
        guard let code = envelope?.code, let fields = record.fields else { return false }
        return (200..<300).contains(answer.httpStatus)
            && dialect.isAboutTask(code: code, in: fields)
    }

    private func read(
        requiringCode: Bool, choosing choose: () -> RecordFinder.Found
    ) -> Verdict {
        if case .unreadable(let reason) = body { return refusal(reason) }
        guard let first = records.first else { return refusal(nil) }
        guard isOK(first, requiringCode: requiringCode) else { return refusal(by: first) }
        switch choose() {
        case .none(let reason): return refusal(wordsOfError ?? reason)
        case .record(let record):
            return isOK(record, requiringCode: requiringCode)
                ? verdict(on: record) : refusal(by: record)
        }
    }

    private func refusal(by record: TaskRecord) -> Verdict {
        let envelope = record.envelope(okCode: shape.okCode)
        return refusal(envelope?.message, code: envelope?.code)
    }

    // An error without an envelope, under a status that tells of none.
    private var wordsOfError: String? {
        guard records.count == 1, let only = records.first, only.id == .none, !only.isListed,
            only.envelope(okCode: shape.okCode)?.hasCode != true
        else { return nil }
        return wordsOfBody
    }

    // Also an answer that decides nothing may name the task.
    private func withGivenID(_ asked: String?, _ verdict: Verdict) -> Verdict {
        var verdict = verdict
        verdict.taskID = verdict.taskID ?? finder.givenID(in: records, asked: asked)
        return verdict
    }

    private func verdict(on record: TaskRecord) -> Verdict {
        let taskID = record.id.text
        guard let fields = record.fields, record.id != .unreadable,
            let state = dialect.state(of: fields, now: now)
        else {
            return .unclear(
                wordsOfError ?? "the answer has no state that is known", taskID: taskID)
        }
        guard place == .described || state.errorClass != .final else {
            return .undescribed(taskID: taskID)
        }
        let files = state == .succeeded ? dialect.files(of: fields) : []
        if state == .succeeded, files.isEmpty {
            let reason = dialect.reasonForNoFile(in: fields)
            return .unclear(reason ?? "finished without a usable URL", taskID: taskID)
        }
        var verdict = Verdict(
            taskID: taskID, state: state, resultURLs: files, errorClass: state.errorClass,
            progress: dialect.progress(of: fields), cost: dialect.cost(of: fields))
        if state == .succeeded { verdict.urlExpiresAt = dialect.expiry(of: fields, now: now) }
        if state.errorClass == .final {
            let reason = dialect.failureText(of: fields) ?? Self.noReason(for: state)
            verdict.errorMessage = PrivateText.message(reason)
        }
        return verdict
    }

    private static func noReason(for state: TaskState) -> String {
        switch state {
        case .cancelled: "cancelled at the provider"
        case .expired: "expired at the provider"
        default: "the provider gives no reason"
        }
    }
}

extension TaskReader {
    /// Where the provider calls back, verbatim, wherever a record echoes it.
    private static func callbackURL(of record: JSONObject) -> String? {
        for path in [["webhook"], ["callback_url"], ["callBackUrl"], ["request", "callback_url"]] {
            if case .string(let text) = record.value(at: path), !text.trimmed.isEmpty {
                return text
            }
        }
        return nil
    }

    private static func createdAt(of record: JSONObject) -> Instant? {
        ["created_at", "createdAt", "sent_at"].lazy.compactMap { Timestamp.read(record[$0]) }.first
    }
}

extension Verdict {
    /// The same as a callback says it: its codes are not about a question of ours, and a poll decides.
    var ofCallback: Verdict {
        var verdict = self
        verdict.taskIsUnknownHere = false
        verdict.credentialsRefused = false
        if verdict.state == .unknown { verdict.errorClass = .transient }
        return verdict
    }
}
