import Core
package import HTTP

/// Bodies as they may be stored: bounded, valid UTF-8, without inputs, signed queries and secrets.
package enum Evidence {
    /// What of a body may be kept with an observation.
    ///
    /// JSON is written anew with private fields and queries replaced, also inside strings of JSON.
    /// Of text that cannot be parsed, everything from the first private field on is left out.
    package static func redact(_ body: [UInt8], limitBytes: Int = 4096) -> String {
        let limitBytes = max(limitBytes, 0)
        var redaction = Redaction(budgetBytes: limitBytes)
        let text =
            if let document = try? JSON.parse(body) {
                JSON.write(redaction.value(document, level: 0))
            } else {
                redaction.broken(
                    String(decoding: body.prefix(redaction.inputLimitBytes + 1), as: UTF8.self))
            }
        return cut(text, limitBytes: limitBytes)
    }

    /// A callback's query as it may be kept: ids stay, every other value goes.
    package static func redact(query: String) -> String {
        let kept = ["job", "taskid", "task_id", "recordid", "record_id"]
        return query.split(separator: "&").map { pair in
            let name = pair.prefix { $0 != "=" }
            let isID = kept.contains(name.asciiLowercased)
            return isID ? String(pair) : name + "=" + PrivateText.mark
        }.joined(separator: "&")
    }

    /// A callback's headers as they may be shown: what proves something goes, and so do queries.
    package static func redact(headers: [Header]) -> [Header] {
        headers.map { header in
            let isPrivate = PrivateText.isPrivate(key: header.name)
            return Header(
                header.name, isPrivate ? PrivateText.mark : PrivateText.message(header.value))
        }
    }

    private static func cut(_ text: String, limitBytes: Int) -> String {
        let bytes = Array(text.utf8)
        guard bytes.count > limitBytes else { return text }
        var end = limitBytes
        while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}

/// Rewrites a document until a budget is spent; what would come after it is cut off anyway.
struct Redaction {
    /// How often a string of JSON may hold another before the rest is left out.
    private static let stringLevels = 4

    private(set) var budgetBytes: Int
    /// Text beyond this is not looked at.
    ///
    /// The marks are shorter than what they replace, hence the room.
    let inputLimitBytes: Int

    init(budgetBytes: Int) {
        self.budgetBytes = budgetBytes
        self.inputLimitBytes = min(budgetBytes, 1 << 20) * 8
    }

    mutating func value(_ value: JSONValue, level: Int) -> JSONValue {
        switch value {
        case .null, .bool: budgetBytes -= 4
        case .number(let lexeme): budgetBytes -= lexeme.utf8.count
        case .string(let text): return .string(self.text(text, level: level))
        case .array(let values):
            var kept: [JSONValue] = []
            for value in values where budgetBytes > 0 {
                kept.append(self.value(value, level: level))
            }
            return .array(kept)
        case .object(let object):
            var kept: [JSONObject.Member] = []
            for member in object.members where budgetBytes > 0 {
                let key = text(member.key, level: level)
                let hides = PrivateText.isPrivate(key: member.key) && !member.value.isNull
                let value =
                    hides ? .string(PrivateText.mark) : self.value(member.value, level: level)
                kept.append(JSONObject.Member(key: key, value: value))
            }
            return .object(JSONObject(kept))
        }
        return value
    }

    /// One string of a document: JSON inside it, or words.
    mutating func text(_ text: String, level: Int) -> String {
        let trimmed = text.trimmed
        if let first = trimmed.utf8.first, "{[\"".utf8.contains(first) {
            guard level < Self.stringLevels else { return PrivateText.mark }
            guard let inner = try? JSON.parse(trimmed) else { return broken(text) }
            return JSON.write(value(inner, level: level + 1))
        }
        let bounded = bounded(text)
        let result: String
        if let before = PrivateText.beforePrivateField(bounded, isLoose: false) {
            result = PrivateText.words(before, masksTokens: true) + PrivateText.mark
        } else {
            // A field that is one word may be an id, which is worth keeping.
            let isProse = trimmed.unicodeScalars.contains { $0.isBlank }
            result = PrivateText.words(bounded, masksTokens: isProse)
        }
        budgetBytes -= result.utf8.count
        return result
    }

    /// Text that cannot be taken apart.
    mutating func broken(_ text: String) -> String {
        let text = bounded(text)
        let before = PrivateText.beforePrivateField(text, isLoose: true)
        let result =
            PrivateText.words(before ?? text, masksTokens: true)
            + (before == nil ? "" : PrivateText.mark)
        budgetBytes -= result.utf8.count
        return result
    }

    // Without NUL, which PostgreSQL does not keep, and no longer than what is looked at; a word on
    // the edge goes whole, because half a token does not look like one.
    private func bounded(_ text: String) -> String {
        var text = text
        if text.utf8.count > inputLimitBytes {
            let start = text.cut(to: inputLimitBytes)
            text = start[..<(start.lastIndex { $0.isWhitespace } ?? start.startIndex)] + " …"
        }
        guard text.utf8.contains(0) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value == 0 ? "\u{FFFD}" : $0 }))
    }
}
