/// How much of a document is read before it is refused.
package struct JSONLimits: Sendable {
    /// Arrays and objects inside one another.
    ///
    /// Never more than 512, whatever is asked for: reading and releasing a value recurse once for
    /// each level.
    package var depth: Int
    package var bytes: Int

    package static let `default` = JSONLimits()

    package init(depth: Int = 64, bytes: Int = 8 * 1024 * 1024) {
        self.depth = min(max(depth, 0), 512)
        self.bytes = bytes
    }
}

/// Why a text is not a JSON document that can be trusted.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        case empty
        case tooLarge(limitBytes: Int)
        case tooDeep(limit: Int)
        case unexpected
        case endedEarly
        case trailing
        case invalidText
        case loneSurrogate
        /// The same key twice with different values: nobody can tell which one was meant.
        case conflictingKey(String)
    }

    package var reason: Reason
    /// Where in the text, in bytes from its start.
    package var offset: Int

    package var description: String {
        switch reason {
        case .empty: "the text is empty"
        case .tooLarge(let limit): "the text is larger than \(limit) bytes"
        case .tooDeep(let limit): "nested deeper than \(limit) levels at byte \(offset)"
        case .unexpected: "not JSON at byte \(offset)"
        case .endedEarly: "the text is cut off at byte \(offset)"
        case .trailing: "more text follows the document at byte \(offset)"
        case .invalidText: "a string is not valid text at byte \(offset)"
        case .loneSurrogate: "half a surrogate pair at byte \(offset)"
        case .conflictingKey(let key):
            "key \(key.prefix(60)) is given twice with different values at byte \(offset)"
        }
    }
}

/// Reads and writes JSON.
package enum JSON {
    /// The document that `bytes` spell, in time linear in their number.
    ///
    /// A byte order mark is skipped. Anything after the document, a key given twice with different
    /// values, text that is not UTF-8 and half a surrogate pair are errors.
    package static func parse(
        _ bytes: [UInt8], limits: JSONLimits = .default
    ) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes: bytes, limits: limits)
        return try reader.document()
    }

    package static func parse(
        _ text: some StringProtocol, limits: JSONLimits = .default
    ) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }
}

// RFC 8259, with its numbers, white space and escapes and nothing besides.
private struct JSONReader {
    let bytes: [UInt8]
    let limits: JSONLimits
    var at = 0

    init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func document() throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.bytes else {
            throw JSONError(reason: .tooLarge(limitBytes: limits.bytes), offset: limits.bytes)
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        skipSpace()
        guard at < bytes.count else { throw failure(.empty) }
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw failure(.trailing) }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        switch try peek() {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try word("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try word("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try word("null")
            return .null
        default: return .number(try number())
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        try enter(depth)
        var members: [JSONObject.Member] = []
        var places: [KeyBytes: Int] = [:]
        while try more(members.isEmpty, closing: UInt8(ascii: "}")) {
            guard try peek() == UInt8(ascii: "\"") else { throw failure(.unexpected) }
            let start = at
            let key = try string()
            skipSpace()
            guard try peek() == UInt8(ascii: ":") else { throw failure(.unexpected) }
            at += 1
            skipSpace()
            let value = try value(depth: depth + 1)
            if let place = places[KeyBytes(text: key)] {
                guard members[place].value == value else {
                    throw JSONError(reason: .conflictingKey(key), offset: start)
                }
            } else {
                places[KeyBytes(text: key)] = members.count
                members.append(JSONObject.Member(key: key, value: value))
            }
        }
        return JSONObject(members)
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        try enter(depth)
        var values: [JSONValue] = []
        while try more(values.isEmpty, closing: UInt8(ascii: "]")) {
            values.append(try value(depth: depth + 1))
        }
        return values
    }

    private mutating func enter(_ depth: Int) throws(JSONError) {
        guard depth < limits.depth else { throw failure(.tooDeep(limit: limits.depth)) }
        at += 1
    }

    // Steps over the comma or the closing bracket; true when another element follows.
    private mutating func more(_ isFirst: Bool, closing: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        if try peek() == closing {
            at += 1
            return false
        }
        if isFirst { return true }
        guard try peek() == UInt8(ascii: ",") else { throw failure(.unexpected) }
        at += 1
        skipSpace()
        return true
    }

    private mutating func word(_ expected: StaticString) throws(JSONError) {
        let length = expected.utf8CodeUnitCount
        for index in 0..<length {
            guard at + index < bytes.count else { throw failure(.endedEarly) }
            guard bytes[at + index] == expected.utf8Start[index] else { throw failure(.unexpected) }
        }
        at += length
    }

    private mutating func number() throws(JSONError) -> String {
        let start = at
        if at < bytes.count, bytes[at] == UInt8(ascii: "-") { at += 1 }
        if try peek() == UInt8(ascii: "0") { at += 1 } else { try digits() }
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if let sign = at < bytes.count ? bytes[at] : nil,
                sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
            {
                at += 1
            }
            try digits()
        }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func digits() throws(JSONError) {
        guard Self.isDigit(try peek()) else { throw failure(.unexpected) }
        while at < bytes.count, Self.isDigit(bytes[at]) { at += 1 }
    }

    private mutating func string() throws(JSONError) -> String {
        at += 1
        var start = at
        var unescaped: [UInt8] = []
        while true {
            let byte = try peek()
            if byte == UInt8(ascii: "\"") { break }
            guard byte >= 0x20 else { throw failure(.unexpected) }
            if byte == UInt8(ascii: "\\") {
                unescaped += bytes[start..<at]
                at += 1
                try escape(into: &unescaped)
                start = at
            } else {
                at += 1
            }
        }
        let rest = bytes[start..<at]
        let text =
            unescaped.isEmpty
            ? String(validating: rest, as: UTF8.self)
            : String(validating: unescaped + rest, as: UTF8.self)
        guard let text else { throw failure(.invalidText) }
        at += 1
        return text
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        let byte = try peek()
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text += String(try escapedScalar()).utf8
        default: throw failure(.unexpected)
        }
    }

    private mutating func escapedScalar() throws(JSONError) -> Character {
        let start = at
        let high = try hexUnit()
        if let scalar = Unicode.Scalar(high) { return Character(scalar) }
        guard high < 0xDC00, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
            bytes[at + 1] == UInt8(ascii: "u")
        else { throw JSONError(reason: .loneSurrogate, offset: start) }
        at += 2
        let low = try hexUnit()
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        else { throw JSONError(reason: .loneSurrogate, offset: start) }
        return Character(scalar)
    }

    private mutating func hexUnit() throws(JSONError) -> UInt32 {
        var unit = UInt32(0)
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(try peek())).hexDigitValue else {
                throw failure(.unexpected)
            }
            unit = unit << 4 | UInt32(digit)
            at += 1
        }
        return unit
    }

    private mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x09, 0x0A, 0x0D: at += 1
            default: return
            }
        }
    }

    private func peek() throws(JSONError) -> UInt8 {
        guard at < bytes.count else { throw failure(.endedEarly) }
        return bytes[at]
    }

    private func failure(_ reason: JSONError.Reason) -> JSONError {
        JSONError(reason: reason, offset: at)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

// Keys are one another's twins byte for byte; equality of strings would fold accents.
private struct KeyBytes: Hashable {
    let text: String

    static func == (left: KeyBytes, right: KeyBytes) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
