import Core
import Crypto

/// The tag that an application puts into a callback address beside the job id.
package enum CallbackTag {
    /// Lower-case hex HMAC-SHA256 of the job id under the callback secret.
    package static func make(jobID: String, secret: String) -> String {
        Hex.text(
            HMAC<SHA256>.authenticationCode(
                for: Array(jobID.utf8), using: SymmetricKey(data: Array(secret.utf8))))
    }

    /// Whether the tag belongs to the job; takes the same time whichever digit is wrong.
    package static func matches(jobID: String, tag: String, secret: String) -> Bool {
        guard !secret.isEmpty, let code = Hex.bytes(tag) else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(
            code, authenticating: Array(jobID.utf8), using: SymmetricKey(data: Array(secret.utf8)))
    }
}

/// Digests of secrets, so that one can be compared and kept without the secret itself.
package enum SecretDigest {
    package static func sha256Hex(_ text: String) -> String {
        sha256Hex(Array(text.utf8))
    }

    /// The beginning of a digest: tells two secrets apart, and is too short to guess one by.
    package static func name(of secret: String) -> String {
        String(sha256Hex("holdfast \(secret)").prefix(8))
    }

    package static func sha256Hex(_ bytes: [UInt8]) -> String {
        Hex.text(SHA256.hash(data: bytes))
    }

    /// Whether a secret is the expected one; the time tells nothing about where they differ.
    package static func matches(_ given: String, _ expected: String) -> Bool {
        let key = SymmetricKey(size: .bits256)
        let code = HMAC<SHA256>.authenticationCode(for: Array(given.utf8), using: key)
        return HMAC<SHA256>.isValidAuthenticationCode(
            code, authenticating: Array(expected.utf8), using: key)
    }
}
