/// Bytes as text of 64 characters.
///
/// Source: RFC 4648, sections 4 and 5.
package enum Base64 {
    private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    private static let standard = Array((letters + "+/").utf8)
    private static let url = Array((letters + "-_").utf8)

    /// The standard alphabet, padded.
    package static func text(_ bytes: some Sequence<UInt8>) -> String {
        let text = digits(bytes, standard)
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    /// The alphabet of URLs, without padding.
    package static func urlText(_ bytes: some Sequence<UInt8>) -> String { digits(bytes, url) }

    /// The bytes that a text spells in either alphabet, padded or not; nil when it spells none.
    package static func bytes(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = UInt32(0)
        var bits = 0
        let digits = text.utf8.prefix { $0 != UInt8(ascii: "=") }
        let padding = text.utf8.dropFirst(digits.count)
        guard padding.count < 3, padding.allSatisfy({ $0 == UInt8(ascii: "=") }),
            padding.isEmpty ? digits.count % 4 != 1 : text.utf8.count % 4 == 0
        else { return nil }
        for digit in digits {
            guard let value = value(digit) else { return nil }
            buffer = (buffer << 6 | UInt32(value)) & 0xFFFF
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x41...0x5A: digit - 0x41
        case 0x61...0x7A: digit - 0x61 + 26
        case 0x30...0x39: digit - 0x30 + 52
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }

    private static func digits(_ bytes: some Sequence<UInt8>, _ alphabet: [UInt8]) -> String {
        var text: [UInt8] = []
        var buffer = UInt32(0)
        var bits = 0
        for byte in bytes {
            buffer = (buffer << 8 | UInt32(byte)) & 0xFFFF
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
