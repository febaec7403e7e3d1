/// PostgreSQL's text form of one-dimensional arrays, `{a,"b,c",NULL}`.
///
/// Source: https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO
enum ArrayText {
    /// Every element is quoted, so that none can be read as `NULL`, a brace or a comma.
    static func write(_ elements: [String?]) -> String {
        var text = "{"
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            guard let element else {
                text += "NULL"
                continue
            }
            text += "\""
            for scalar in element.unicodeScalars {
                if scalar == "\"" || scalar == "\\" { text += "\\" }
                text.unicodeScalars.append(scalar)
            }
            text += "\""
        }
        return text + "}"
    }

    /// The elements of `text`, or nil when it is not an array of one dimension.
    static func read(_ text: String) -> [String?]? {
        var bytes = Array(text.utf8)[...]
        // An array whose index does not start at 1 says so in front: `[0:1]={a,b}`.
        if bytes.first == UInt8(ascii: "["), let start = bytes.firstIndex(of: UInt8(ascii: "=")) {
            bytes = bytes[(start + 1)...]
        }
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "{"),
            bytes.last == UInt8(ascii: "}")
        else { return nil }
        bytes = bytes.dropFirst().dropLast()
        if bytes.isEmpty { return [] }

        var elements: [String?] = []
        while true {
            guard let element = readElement(&bytes) else { return nil }
            elements.append(element.value)
            guard let separator = bytes.popFirst() else { return elements }
            guard separator == UInt8(ascii: ",") else { return nil }
        }
    }

    private struct Element {
        var value: String?
    }

    /// Takes one element from the front; nil when there is none or when it is an array itself.
    private static func readElement(_ bytes: inout ArraySlice<UInt8>) -> Element? {
        var value: [UInt8] = []
        if bytes.first == UInt8(ascii: "\"") {
            bytes.removeFirst()
            while let byte = bytes.popFirst() {
                switch byte {
                case UInt8(ascii: "\""):
                    return Element(value: String(decoding: value, as: UTF8.self))
                case UInt8(ascii: "\\"):
                    guard let escaped = bytes.popFirst() else { return nil }
                    value.append(escaped)
                default:
                    value.append(byte)
                }
            }
            return nil
        }
        while let byte = bytes.first, byte != UInt8(ascii: ",") {
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "\"") { return nil }
            value.append(byte)
            bytes.removeFirst()
        }
        if value.isEmpty { return nil }
        let text = String(decoding: value, as: UTF8.self)
        return Element(value: text == "NULL" ? nil : text)
    }
}

/// PostgreSQL's hex form of bytes, `\x0aff`.
enum Hex {
    /// The type `bytea`, in the server's numbers.
    static let type: UInt32 = 17

    /// The hex form of what a server sends, also of the older form that `bytea_output = escape` asks
    /// for: a backslash is two, and a byte that is no printable one is `\377`.
    ///
    /// Source: https://www.postgresql.org/docs/15/datatype-binary.html
    static func write(_ sent: String) -> String {
        guard !sent.hasPrefix("\\x") else { return sent }
        var bytes: [UInt8] = []
        var rest = Array(sent.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(3)
            guard rest.first != UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            else {
                bytes.append(rest.popFirst() ?? byte)
                continue
            }
            bytes.append(value)
            rest = rest.dropFirst(3)
        }
        return write(bytes)
    }

    static func write(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = Array("\\x".utf8)
        text.reserveCapacity(2 * bytes.count + 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func read(_ text: String) -> [UInt8]? {
        guard text.hasPrefix("\\x"), text.utf8.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in text.utf8.dropFirst(2) {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
