package import Core
import Crypto

extension SpooledCallback {
    /// The callback without its secrets, by the rules of `holdfast.record_callback`.
    ///
    /// The database is away when this is needed, which is why the rules stand here once more; a test
    /// holds the two against each other.
    package init(_ received: ReceivedCallback, spoolID: String) {
        var kept = JSONObject()
        var token: String?
        var headerSecret: String?
        for member in received.headers.members {
            switch member.key.lowercased() {
            case "authorization", "cookie", "proxy-authorization": continue
            case "x-callback-token": token = member.value.text
            case "x-webhook-secret": headerSecret = member.value.text
            default: kept[member.key] = member.value
            }
        }
        let query = SecretQuery(received.query)
        self.init(
            spoolID: spoolID, provider: received.provider, headers: kept, query: query.redacted,
            body: received.body, whole: received.whole,
            secretDigest: (query.secret ?? token.map { Array($0.utf8) }).map(Digest.sha256Hex),
            headerSecretDigest: headerSecret.map { Digest.sha256Hex(Array($0.utf8)) },
            receivedAt: received.receivedAt)
    }
}

/// A query, and the secret in it.
struct SecretQuery {
    /// The first secret, without its percent-encoding.
    private(set) var secret: [UInt8]?
    private(set) var redacted: String

    private static let name = Array("secret=".utf8)

    init(_ query: String) {
        let bytes = Array(query.utf8)
        var kept: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let begins =
                at == 0 || bytes[at - 1] == UInt8(ascii: "?")
                || bytes[at - 1] == UInt8(ascii: "&")
            guard begins, bytes[at...].starts(with: Self.name) else {
                kept.append(bytes[at])
                at += 1
                continue
            }
            let value = bytes[(at + Self.name.count)...].prefix { $0 != UInt8(ascii: "&") }
            if secret == nil { secret = Self.percentDecoded(value) }
            kept += Self.name + Array("[redacted]".utf8)
            at = value.endIndex
        }
        redacted = String(decoding: kept, as: UTF8.self)
    }

    private static func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), rest.count >= 2,
                let high = Hex.value(rest[rest.startIndex]),
                let low = Hex.value(rest[rest.startIndex + 1])
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(high << 4 | low)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}

/// SHA-256, spelt.
enum Digest {
    static func sha256Hex(_ bytes: [UInt8]) -> String { Hex.text(SHA256.hash(data: bytes)) }
}
