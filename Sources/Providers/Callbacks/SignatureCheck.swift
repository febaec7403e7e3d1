import Core
import Crypto

/// What this host has to check a provider's callbacks by.
package enum WebhookKey: Equatable, Sendable {
    case secret([UInt8])
    /// The provider publishes its keys at this address.
    case published(url: String)
}

/// The providers' schemes for proving that a callback is theirs.
package enum SignatureCheck {
    /// Holds a callback against one scheme.
    /// - Parameters:
    ///   - callback: The callback.
    ///   - scheme: The provider's scheme.
    ///   - key: Nil where none is configured.
    ///   - published: The keys behind `WebhookKey.published`; nil when they could not be had.
    package static func check(
        _ callback: SignedCallback, _ scheme: WebhookScheme, key: WebhookKey?,
        published: [PublishedKey]? = nil
    ) -> SignatureFinding {
        switch (scheme, key) {
        case (.taskHMAC, .secret(let secret)): taskHMAC(callback, secret)
        case (.standard, .secret(let secret)): standard(callback, secret)
        case (.publishedKeys, .published): publishedKeys(callback, published)
        case (.clearSecret, .secret(let secret)): clearSecret(callback, secret)
        default: SignatureFinding(.notChecked)
        }
    }

    /// Whether a signature came that only published keys can tell about.
    package static func needsPublishedKeys(
        _ callback: SignedCallback, _ scheme: WebhookScheme, key: WebhookKey?
    ) -> Bool {
        guard case .publishedKeys = scheme, case .published = key else { return false }
        return callback.header(falSignature) != nil
    }

    // MARK: KIE

    /// Source: docs.kie.ai/common-api/webhook-verification.
    ///
    /// The body is not covered: the pair proves the task id and nothing else.
    private static func taskHMAC(_ callback: SignedCallback, _ secret: [UInt8]) -> SignatureFinding
    {
        let signature = callback.header("X-Webhook-Signature")
        let timestamp = callback.header("X-Webhook-Timestamp")
        guard signature != nil || timestamp != nil else { return SignatureFinding(.missing) }
        guard let code = signature.flatMap(Base64.bytes), let timestamp else {
            return SignedCallback.isBroken
        }
        guard callback.isInTime(timestamp) else { return SignedCallback.isLate }
        // One that names several ids is matched by none of them; no proof can change that.
        let key = SymmetricKey(data: secret)
        let isRight = callback.taskIDs.contains { taskID in
            HMAC<SHA256>.isValidAuthenticationCode(
                code, authenticating: Array("\(taskID).\(timestamp)".utf8), using: key)
        }
        if isRight { return SignatureFinding(.right) }
        return SignatureFinding(
            .wrong,
            callback.taskIDs.isEmpty
                ? "it names no task that its signature could be about"
                : "its signature does not match")
    }

    // MARK: Standard Webhooks

    /// Source: github.com/standard-webhooks/standard-webhooks, "Verifying webhook authenticity".
    private static func standard(_ callback: SignedCallback, _ secret: [UInt8]) -> SignatureFinding
    {
        guard let signatures = callback.header("webhook-signature") else {
            return SignatureFinding(.missing)
        }
        guard let id = callback.header("webhook-id"), !id.isEmpty,
            let timestamp = callback.header("webhook-timestamp")
        else { return SignedCallback.isBroken }
        guard callback.isInTime(timestamp) else { return SignedCallback.isLate }
        guard !callback.isCut else { return cannotTell }
        let signed = Array("\(id).\(timestamp).".utf8) + callback.body
        let key = SymmetricKey(data: secret)
        // Several while a secret is being changed; every one is looked at, so that the time tells
        // nothing.
        var isRight = false
        for entry in signatures.split(separator: " ") where entry.hasPrefix("v1,") {
            guard let code = Base64.bytes(String(entry.dropFirst(3))) else { continue }
            let matches = HMAC<SHA256>.isValidAuthenticationCode(
                code, authenticating: signed, using: key)
            isRight = matches || isRight
        }
        return isRight ? SignatureFinding(.right) : doesNotMatch
    }

    // MARK: fal

    private static let falSignature = "X-Fal-Webhook-Signature"

    /// Source: docs.fal.ai/model-endpoints/webhooks.
    private static func publishedKeys(
        _ callback: SignedCallback, _ keys: [PublishedKey]?
    ) -> SignatureFinding {
        guard let signature = callback.header(falSignature) else {
            return SignatureFinding(.missing)
        }
        guard let bytes = Hex.bytes(signature),
            let requestID = callback.header("X-Fal-Webhook-Request-Id"),
            let userID = callback.header("X-Fal-Webhook-User-Id"),
            let timestamp = callback.header("X-Fal-Webhook-Timestamp")
        else { return SignedCallback.isBroken }
        guard callback.isInTime(timestamp) else { return SignedCallback.isLate }
        guard let keys, !keys.isEmpty else {
            return SignatureFinding(.notChecked, "the provider's keys could not be had")
        }
        let digest: [UInt8]
        if callback.isCut {
            guard let whole = callback.wholeSHA256 else { return cannotTell }
            digest = whole
        } else {
            digest = Array(SHA256.hash(data: callback.body))
        }
        let message = [requestID, userID, timestamp, Hex.text(digest)].joined(separator: "\n")
        let isRight = keys.contains { $0.isValid(bytes, for: Array(message.utf8)) }
        return isRight ? SignatureFinding(.right) : doesNotMatch
    }

    // MARK: PiAPI

    /// Source: piapi.ai/docs/unified-webhook.
    private static func clearSecret(
        _ callback: SignedCallback, _ secret: [UInt8]
    ) -> SignatureFinding {
        guard let digest = callback.headerSecretDigest else { return SignatureFinding(.missing) }
        return SecretDigest.matches(digest, SecretDigest.sha256Hex(secret))
            ? SignatureFinding(.right) : SignatureFinding(.wrong, "its secret does not match")
    }

    private static let doesNotMatch = SignatureFinding(.wrong, "its signature does not match")
    private static let cannotTell = SignatureFinding(
        .notChecked, "its body was cut, and its signature covers all of it")
}
