import Core

/// Bodies as they may be stored: bounded, valid UTF-8, without inputs, signed queries and secrets.
package enum Evidence {
    /// What of a body may be kept with an observation.
    ///
    /// JSON is written anew with private fields and queries replaced, also inside strings of JSON.
    /// Of text that cannot be parsed, everything from the first private field on is left out.
    package static func redact(_ body: [UInt8], limitBytes: Int = 4096) -> String {
        if let document = try? JSON.parse(body) {
            return cut(JSON.write(value(document, level: 0)), limitBytes: limitBytes)
        }
        // Private fields far beyond the limit need not be looked for; the slack is for the marks,
        // which may be shorter than what they replace.
        let start = String(decoding: body.prefix(max(limitBytes, 0) * 8), as: UTF8.self)
        return cut(broken(start), limitBytes: limitBytes)
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

    /// One string of a document: JSON inside it, or words.
    static func value(_ text: String) -> String { value(text, level: 0) }

    // How often a string of JSON may hold another before the rest is left out.
    private static let stringLevels = 4

    private static func value(_ text: String, level: Int) -> String {
        let text = text.replacingNUL
        let trimmed = text.trimmed
        guard let first = trimmed.utf8.first else { return text }
        if "{[\"".utf8.contains(first) {
            guard level < stringLevels else { return PrivateText.mark }
            guard let inner = try? JSON.parse(trimmed) else { return broken(text) }
            return JSON.write(value(inner, level: level + 1))
        }
        if let before = PrivateText.beforePrivateField(text, isLoose: false) {
            return PrivateText.words(before, masksTokens: true) + PrivateText.mark
        }
        let isProse = trimmed.unicodeScalars.contains { $0.properties.isWhitespace }
        return PrivateText.words(text, masksTokens: isProse)
    }

    private static func value(_ value: JSONValue, level: Int) -> JSONValue {
        switch value {
        case .null, .bool, .number: return value
        case .string(let text): return .string(Self.value(text, level: level))
        case .array(let values): return .array(values.map { Self.value($0, level: level) })
        case .object(let object):
            let members = object.members.map { member in
                let hides = PrivateText.isPrivate(key: member.key) && !member.value.isNull
                return JSONObject.Member(
                    key: Self.value(member.key, level: level),
                    value: hides
                        ? .string(PrivateText.mark) : Self.value(member.value, level: level))
            }
            return .object(JSONObject(members))
        }
    }

    private static func broken(_ text: String) -> String {
        let text = text.replacingNUL
        guard let before = PrivateText.beforePrivateField(text, isLoose: true) else {
            return PrivateText.words(text, masksTokens: true)
        }
        return PrivateText.words(before, masksTokens: true) + PrivateText.mark
    }

    private static func cut(_ text: String, limitBytes: Int) -> String {
        let bytes = Array(text.utf8)
        guard bytes.count > limitBytes else { return text }
        var end = max(limitBytes, 0)
        while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}

extension String {
    // PostgreSQL keeps no NUL in text.
    fileprivate var replacingNUL: String {
        guard utf8.contains(0) else { return self }
        return String(
            String.UnicodeScalarView(unicodeScalars.map { $0.value == 0 ? "\u{FFFD}" : $0 }))
    }
}
