package import Core
import Crypto
package import HTTP

/// What one check of a callback came to.
package enum CheckResult: String, Sendable {
    case right, wrong
    /// It could have come, and did not.
    case missing
    /// Nothing to check it by, or nothing that could be checked.
    case notChecked = "not_checked"
}

/// A result with the reason that a person would ask for.
package struct SignatureFinding: Equatable, Sendable {
    package var result: CheckResult
    package var note: String?

    package init(_ result: CheckResult, _ note: String? = nil) {
        self.result = result
        self.note = note
    }
}

/// What of a callback its signature is about.
package struct SignedCallback: Sendable {
    /// The body as it was kept; not all of it when `isCut`.
    package var body: [UInt8]
    package var headers: [Header]
    package var isCut: Bool
    /// SHA-256 of the whole body where it was cut and all of it had arrived.
    package var wholeSHA256: [UInt8]?
    /// The task ids that were found in it.
    package var taskIDs: [String]
    /// SHA-256, in hex, of the secret that came in clear.
    package var headerSecretDigest: String?
    package var receivedAt: Instant

    package init(
        body: [UInt8], headers: [Header], isCut: Bool = false, wholeSHA256: [UInt8]? = nil,
        taskIDs: [String] = [], headerSecretDigest: String? = nil, receivedAt: Instant
    ) {
        self.body = body
        self.headers = headers
        self.isCut = isCut
        self.wholeSHA256 = wholeSHA256
        self.taskIDs = taskIDs
        self.headerSecretDigest = headerSecretDigest
        self.receivedAt = receivedAt
    }

    /// How far the signer's clock may be from the time of receipt.
    ///
    /// Source: Standard Webhooks, "Verifying signatures"; docs.fal.ai/model-endpoints/webhooks.
    package static let tolerance = Duration.seconds(300)

    static let isLate = SignatureFinding(
        .wrong, "its signature was made more than 300 s before or after it came in")
    static let isBroken = SignatureFinding(.wrong, "its signature is incomplete or malformed")

    /// The signature's time in seconds since 1970, when it is near enough to the time of receipt.
    func isInTime(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 12,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = Int64(text)
        else { return false }
        return abs(seconds - receivedAt.unixSeconds) <= Self.tolerance.components.seconds
    }

    func header(_ name: String) -> String? { headers.first(named: name)?.trimmed }
}
