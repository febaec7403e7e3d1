import Core
import HTTP

/// Decides which texts are URLs of files that can be fetched.
enum UsableURL {
    /// What a request will take; nothing longer is looked at.
    private static let limitBytes = 16 << 10

    /// The URL verbatim, without white space around it; nil unless it is absolute, http or https,
    /// and names a host.
    static func check(_ text: String) -> String? {
        guard text.utf8.count <= limitBytes else { return nil }
        let url = text.trimmed
        let hasOddCharacter = url.unicodeScalars.contains { scalar in
            scalar.isBlank || scalar.value < 0x20 || scalar.value == 0x7F
                || "\"<>\\".unicodeScalars.contains(scalar)
        }
        guard !hasOddCharacter, let host = host(url), host.contains(where: isNamePart),
            host.allSatisfy({ isNamePart($0) || "-._:[]".unicodeScalars.contains($0) }),
            SafeURL.parse(url) != nil
        else { return nil }
        return url
    }

    /// The usable URLs of a field: one string, a list of them, or either as a string of JSON.
    static func list(_ value: JSONValue) -> [String] {
        switch value.opened {
        case .string(let text): check(text).map { [$0] } ?? []
        case .array(let values):
            values.compactMap { value in
                if case .string(let text) = value { check(text) } else { nil }
            }
        case .null, .bool, .number, .object: []
        }
    }

    /// Whether a usable URL has a user name before its host.
    static func hasUserInfo(_ url: String) -> Bool { authority(url)?.contains("@") ?? false }

    private static func authority(_ url: String) -> Substring.UnicodeScalarView? {
        let lower = url.prefix(8).asciiLowercased
        guard lower.hasPrefix("https://") || lower.hasPrefix("http://") else { return nil }
        let rest = url.unicodeScalars.dropFirst(lower.hasPrefix("https") ? 8 : 7)
        return rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    }

    // Host and port. libcurl would forgive `https:/host` and `https:///host`; we do not.
    private static func host(_ url: String) -> Substring.UnicodeScalarView? {
        guard let authority = authority(url) else { return nil }
        let user = authority.lastIndex(of: "@").map { authority.index(after: $0) }
        let host = authority[(user ?? authority.startIndex)...]
        return host.first == ":" ? nil : host
    }

    // Letters of any script, their marks, and digits; not the sign that stands for lost bytes.
    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            let byte = UInt8(scalar.value)
            return (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
        }
        return scalar.properties.isAlphabetic || scalar.properties.numericType == .decimal
            || scalar.properties.generalCategory == .nonspacingMark
    }
}
