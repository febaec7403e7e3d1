import Core
import Crypto

/// One ED25519 key that a provider publishes.
package struct PublishedKey: Equatable, Sendable {
    private static let bytes = 32
    private let raw: [UInt8]

    private init?(_ raw: [UInt8]) {
        guard raw.count == Self.bytes else { return nil }
        self.raw = raw
    }

    /// The keys of a key set; nil when it has none that can be used.
    ///
    /// Source: RFC 7517 and RFC 8037, section 2.
    package static func read(_ document: [UInt8]) -> [PublishedKey]? {
        guard let list = (try? JSON.parse(document))?["keys"]?.array else { return nil }
        let keys = list.compactMap { entry -> PublishedKey? in
            guard entry["kty"]?.text == "OKP", entry["crv"]?.text == "Ed25519" else { return nil }
            return entry["x"]?.text.flatMap(Base64.bytes).flatMap(PublishedKey.init)
        }
        return keys.isEmpty ? nil : keys
    }

    func isValid(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw) else {
            return false
        }
        return key.isValidSignature(signature, for: message)
    }
}

enum Base64 {
    /// The bytes that a text spells in either alphabet, padded or not; nil when it spells none.
    static func bytes(_ text: String) -> [UInt8]? {
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
}
