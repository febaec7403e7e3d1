import Core
import Synchronization

/// The secrets that this process has read, and their removal from everything it says.
package enum Redaction {
    package static let placeholder = "[redacted]"
    /// A shorter value would take half of every line with it, and is no secret worth the name.
    private static let shortestBytes = 4
    private static let secrets = Mutex<[[UInt8]]>([])

    /// From now on `secret` appears in no log line and no error message.
    package static func register(_ secret: String) {
        for form in Set([secret, percentEncoded(secret)]) where form.utf8.count >= shortestBytes {
            let bytes = Array(form.utf8)
            secrets.withLock { known in
                guard !known.contains(bytes) else { return }
                known.append(bytes)
                // The longest first: one secret may be a part of another.
                known.sort { $0.count > $1.count }
            }
        }
    }

    /// The passwords inside `address`, be it a URL or a libpq connection string.
    package static func registerPassword(in address: String) {
        // An address that could be read in two ways is refused, and nobody has it to say.
        if AddressCheck.complaint(address) == nil,
            let whole = AddressCheck.userInfo(of: address)
        {
            if whole.contains(":") {
                registerDecoded(whole)
            } else if !address.hasPrefix("postgres") {
                // A token without a password; with its sign, lest a common word be a secret.
                register(whole + "@")
            }
        }
        if let start = address.firstRange(of: "://")?.upperBound {
            let authority = address[start...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            // A password with a bare slash in it makes no valid URL, and is a secret all the same;
            // a port is none.
            let isPort = authority.drop { $0 != ":" }.dropFirst().allSatisfy(\.isNumber)
            for part in isPort ? [authority] : [authority, address[start...]] {
                guard let end = part.lastIndex(of: "@"),
                    let colon = part[..<end].firstIndex(of: ":")
                else { continue }
                registerDecoded(part[part.index(after: colon)..<end])
            }
        }
        var rest = address[...]
        while let range = rest.firstRange(of: "password=") {
            rest = rest[range.upperBound...]
            let quote = rest.first == "'" ? rest.removeFirst() : nil
            registerDecoded(
                rest.prefix { quote == nil ? $0 != "&" && $0 != " " && $0 != "#" : $0 != "'" })
        }
    }

    /// `text` without the secrets.
    package static func apply(_ text: String) -> String {
        let known = secrets.withLock { $0 }
        guard !known.isEmpty else { return text }
        var bytes = Array(text.utf8)
        for secret in known {
            bytes.replace(secret, with: Array(placeholder.utf8))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func registerDecoded(_ encoded: Substring) {
        register(String(encoded))
        register(percentDecoded(encoded))
    }

    private static func percentEncoded(_ text: String) -> String {
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        var result = ""
        for byte in text.utf8 {
            if plain.contains(byte) {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }

    private static func percentDecoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), digits.utf8.count == 2,
                let decoded = UInt8(digits, radix: 16)
            {
                bytes.append(decoded)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
