import Core

/// What an id field says.
enum GivenID: Equatable {
    case none
    case text(String)
    /// Something is there, but no id, or several that differ.
    case unreadable

    var text: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// Ids are text: numbers count digit for digit, and only when they are nothing but digits.
    init(_ value: JSONValue?) {
        switch value {
        case nil, .null: self = .none
        case .string(let text):
            let id = text.trimmed
            let isOdd = id.unicodeScalars.contains {
                $0.isBlank || $0.value < 0x20 || $0.value == 0x7F
            }
            if id.isEmpty {
                self = .none
            } else {
                self = isOdd || id.utf8.count > TaskID.limitBytes ? .unreadable : .text(id)
            }
        case .number(let lexeme):
            let isDigits = lexeme.utf8.allSatisfy { (0x30...0x39).contains($0) }
            self = isDigits && lexeme.utf8.count <= TaskID.limitBytes ? .text(lexeme) : .unreadable
        case .bool, .array, .object: self = .unreadable
        }
    }

    /// Two fields that name the same thing.
    func joined(_ other: GivenID) -> GivenID {
        switch (self, other) {
        case (.none, let id), (let id, .none): id
        case (.text(let one), .text(let two)) where one.isSameText(as: two): self
        default: .unreadable
        }
    }
}

/// Where a provider keeps its envelope and its ids.
struct RecordShape: Sendable {
    /// The body code of a query that worked.
    var okCode = Int64(0)
    /// Id fields of a task record; all that are there must agree.
    var idKeys: [String]
    /// Id fields that count where none of the first is there.
    var fallbackIDPaths: [[String]] = []
    /// Keys that show that an object is the record although it has a wrapper's key of its own.
    var recordMarks: [String] = []
    /// Keys under which an envelope or a list holds the records.
    var wrapperKeys = ["data"]
    /// Where an envelope has its code; empty where there is none.
    var codePath = ["code"]
    /// Where an envelope says in words what its code means.
    var messagePaths = [["msg"], ["message"]]
    /// An answer to a poll without a code is none of this provider's.
    var requiresCode = false
    /// A record counts only when it names the task: nothing else shows that it is one.
    var requiresID = false

    func id(of record: JSONObject) -> GivenID {
        let first = idKeys.reduce(GivenID.none) { $0.joined(GivenID(record[$1])) }
        guard first == .none else { return first }
        for path in fallbackIDPaths {
            let id = GivenID(record.value(at: path))
            if id != .none { return id }
        }
        return .none
    }

    func envelope(_ object: JSONObject) -> TaskRecord.Envelope {
        let code = codePath.isEmpty ? .null : object.value(at: codePath)
        return TaskRecord.Envelope(
            code: code.wholeNumber,
            hasUnreadableCode: !code.isNull && code.wholeNumber == nil,
            message: object.text(at: messagePaths))
    }
}

/// One task record of an answer, with what the envelopes around it say.
struct TaskRecord: Equatable {
    /// What one envelope says about the query.
    struct Envelope: Equatable {
        /// Nil when there is none; `unreadableCode` when it is no number.
        var code: Int64?
        var hasUnreadableCode: Bool
        var message: String?

        var hasCode: Bool { code != nil || hasUnreadableCode }
    }

    var envelopes: [Envelope] = []
    /// Nil when the answer has an envelope only.
    var fields: JSONObject?
    var id = GivenID.none
    /// It stood in a list, so that only its id can tell whose it is.
    var isListed = false

    func has(id asked: String) -> Bool {
        id.text?.isSameText(as: asked.trimmed) ?? false
    }

    func envelope(okCode: Int64) -> Envelope? {
        envelopes.first { $0.hasUnreadableCode || ($0.code != nil && $0.code != okCode) }
            ?? envelopes.first { $0.code != nil } ?? envelopes.first
    }
}

/// Finds the record an answer is about, however it is wrapped.
///
/// Seen in the wild: an object where a list is documented and the other way round, wrappers around
/// the envelope, and strings of JSON in the place of objects.
struct RecordFinder {
    enum Found: Equatable {
        case record(TaskRecord)
        /// Why there is none that counts.
        case none(String)
    }

    static let wrapperLevels = 6
    /// A longer list is none of a provider's pages, and is not searched.
    static let listLimit = 10_000

    let shape: RecordShape

    /// Every record, in order.
    func records(in document: JSONValue) -> [TaskRecord] {
        var records: [TaskRecord] = []
        collect(document, TaskRecord(), level: 0, into: &records)
        return records
    }

    /// The id that the answer gives for the task asked about, whatever else it says.
    func givenID(in records: [TaskRecord], asked: String?) -> String? {
        if let asked { return records.contains { $0.has(id: asked) } ? asked.trimmed : nil }
        guard case .record(let record) = choose(from: records, asked: nil) else { return nil }
        return record.id.text
    }

    func choose(from records: [TaskRecord], asked: String?) -> Found {
        guard let asked else {
            guard let first = records.first else { return .none("the answer names no task") }
            guard first.id != .unreadable else { return .none("the ids in the answer differ") }
            let isAlone = records.allSatisfy { $0 == first }
            return isAlone ? .record(first) : .none("the answer is about several tasks")
        }
        let matching = records.filter { $0.has(id: asked) }
        if let first = matching.first {
            let isAlone = matching.allSatisfy { $0 == first }
            return isAlone
                ? .record(first) : .none("the task is there twice with different content")
        }
        if records.count == 1, let only = records.first, only.id == .none, !only.isListed {
            return .record(only)
        }
        return .none("the answer is not about the task asked for")
    }

    private func collect(
        _ value: JSONValue, _ outer: TaskRecord, level: Int, into records: inout [TaskRecord]
    ) {
        guard level < Self.wrapperLevels else { return }
        var record = outer
        switch value.opened {
        case .object(let object):
            let id = shape.id(of: object)
            let isRecord = isRecord(object, id, level: level)
            if level == 0 || !isRecord || id == .none {
                record.envelopes.append(shape.envelope(object))
            }
            record.id = record.id.joined(id)
            if isRecord {
                record.fields = object
                records.append(record)
            } else {
                let wrapped = shape.wrapperKeys.lazy.compactMap { object[$0] }.first
                collect(wrapped ?? .null, record, level: level + 1, into: &records)
            }
        case .array(let elements):
            record.isListed = true
            guard (1...Self.listLimit).contains(elements.count) else {
                // What stands around such a list may say why.
                records.append(record)
                return
            }
            for element in elements {
                collect(element, record, level: level + 1, into: &records)
            }
        case .null, .bool, .number, .string: records.append(record)
        }
    }

    private func isRecord(_ object: JSONObject, _ id: GivenID, level: Int) -> Bool {
        guard shape.wrapperKeys.contains(where: object.has) else { return true }
        if shape.recordMarks.contains(where: object.has) { return true }
        return level > 0 && id != .none && !shape.envelope(object).hasCode
    }
}
