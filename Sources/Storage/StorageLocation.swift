package import Core

/// What `HOLDFAST_STORAGE_URL` names.
package enum StorageLocation: Equatable, Sendable {
    /// A folder of this host, absolute, without a slash at the end.
    case folder(String)

    /// Reads a storage URL: `file:///var/lib/holdfast/assets`, with percent escapes where needed.
    ///
    /// Throws `storage_url_invalid` (78). The URL itself is not repeated in the message, because
    /// it may hold a secret.
    package static func parse(_ url: String) throws(Failure) -> StorageLocation {
        guard let colon = url.firstIndex(of: ":") else {
            throw invalid("it has no scheme")
        }
        switch url[..<colon].lowercased() {
        case "file": return .folder(try folder(url[url.index(after: colon)...]))
        case "s3": throw invalid("this build stores to file:// only, not to s3://")
        default: throw invalid("its scheme is not file")
        }
    }

    /// The store at this place.
    package var store: any ObjectStore {
        switch self {
        case .folder(let path): FileStore(root: path)
        }
    }

    private static func folder(_ rest: Substring) throws(Failure) -> String {
        guard rest.hasPrefix("//") else { throw invalid("file: must be followed by ///") }
        let afterSlashes = rest.dropFirst(2)
        let slash = afterSlashes.firstIndex(of: "/") ?? afterSlashes.endIndex
        let host = afterSlashes[..<slash]
        guard host.isEmpty || host.lowercased() == "localhost" else {
            throw invalid("a file URL has three slashes; this one names a host")
        }
        let escaped = afterSlashes[slash...]
        guard !escaped.contains("?"), !escaped.contains("#") else {
            throw invalid("a file URL has no query and no fragment")
        }
        guard let path = PercentEscape.decode(escaped), !path.utf8.contains(0) else {
            throw invalid("its percent escapes are wrong")
        }
        let parts = path.split(separator: "/")
        guard !parts.isEmpty else { throw invalid("it names no folder") }
        guard !parts.contains(where: { $0 == "." || $0 == ".." }) else {
            throw invalid("its path has a part that is . or ..")
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func invalid(_ reason: String) -> Failure {
        Failure(
            .configuration, code: "storage_url_invalid",
            "HOLDFAST_STORAGE_URL: \(reason); set it to a folder,"
                + " like file:///var/lib/holdfast/assets")
    }
}

/// RFC 3986 escapes of paths.
enum PercentEscape {
    static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Hex.value),
                let low = rest.popFirst().flatMap(Hex.value)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    static func encode(path: String) -> String {
        let kept = Set("-._~/".utf8)
        return path.utf8.reduce(into: "") { text, byte in
            if Hex.isAlphanumeric(byte) || kept.contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "%" + Hex.upper(byte)
            }
        }
    }
}

enum Hex {
    static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    static func upper(_ byte: UInt8) -> String { pair(byte, uppercase: true) }

    static func text(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { pair($0, uppercase: false) }.joined()
    }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
            || (0x61...0x7a).contains(byte)
    }

    private static func pair(_ byte: UInt8, uppercase: Bool) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: uppercase)
    }
}
