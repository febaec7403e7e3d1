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
