import Core

/// A body as far as it can be read.
enum AnswerBody {
    case document(JSONValue)
    /// Empty, HTML, cut off, glued together, or with a key given twice; and which of them.
    case unreadable(String)

    init(_ bytes: [UInt8]) {
        do throws(JSONError) {
            self = .document(try JSON.parse(bytes))
        } catch {
            self = .unreadable(Self.describe(bytes, error))
        }
    }

    private static func describe(_ bytes: [UInt8], _ error: JSONError) -> String {
        let start = String(decoding: bytes.prefix(300), as: UTF8.self).trimmed
        switch start.utf8.first {
        case nil: return "the body is empty"
        case UInt8(ascii: "<"): return "the body is HTML, not JSON"
        case UInt8(ascii: "{"), UInt8(ascii: "["): return "the body is unreadable: \(error)"
        default: return "the body is not JSON: \(start.cut(to: 80))"
        }
    }
}

extension JSONValue {
    /// How often a string of JSON may hold another.
    static let stringLevels = 3

    /// What a string of JSON holds; anything else as it is.
    var opened: JSONValue {
        var value = self
        for _ in 0..<Self.stringLevels {
            guard case .string(let text) = value else { return value }
            let trimmed = text.trimmed
            guard let first = trimmed.utf8.first, "{[\"".utf8.contains(first),
                let inner = try? JSON.parse(trimmed)
            else { return value }
            value = inner
        }
        return value
    }

    /// The text without white space around it; nil for blank text and everything else.
    var nonBlankText: String? {
        guard case .string(let text) = self else { return nil }
        let trimmed = text.trimmed
        return trimmed.isEmpty ? nil : trimmed
    }

    /// A whole number, also when it is written as a string.
    var wholeNumber: Int64? {
        guard case .string(let text) = self else { return int }
        return JSONValue.number(text.trimmed).int
    }

    /// A plain decimal that is not negative, digit for digit, also when it is written as a string.
    var decimal: String? {
        guard let text = text?.trimmed, text.utf8.count <= 40 else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isDecimal =
            parts.count <= 2
            && parts.allSatisfy { part in
                !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
            }
        return isDecimal ? text : nil
    }
}
