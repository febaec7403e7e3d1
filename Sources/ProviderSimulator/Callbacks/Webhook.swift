import Crypto
import Foundation

/// How one provider proves that a callback is its own, with keys that the simulator made up.
struct Webhook: Sendable {
    let world: World
    let provider: Provider

    typealias Headers = [(name: String, value: String)]

    /// The headers that go with a body.
    ///
    /// Applications are given the secret in another form: Replicate's and OpenAI's in base64 after
    /// `whsec_`, WaveSpeed's as it stands after that.
    ///
    /// - Parameter key: Another secret than the provider's own, to sign wrongly with.
    func headers(
        taskID: String, body: [UInt8], seconds: Int64, key: String? = nil
    ) -> Headers {
        let secret = key ?? provider.webhookSecret
        switch provider {
        case .kie:
            return [
                ("X-Webhook-Timestamp", "\(seconds)"),
                ("X-Webhook-Signature", Self.code("\(taskID).\(seconds)", key: secret)),
            ]
        case .replicate, .openAIVideos, .wavespeed:
            let id = "msg_" + hex(Array(SHA256.hash(data: Data(taskID.utf8))).prefix(12))
            let text = "\(id).\(seconds)." + String(decoding: body, as: UTF8.self)
            return [
                ("webhook-id", id), ("webhook-timestamp", "\(seconds)"),
                ("webhook-signature", "v1," + Self.code(text, key: secret)),
            ]
        case .fal:
            return published(taskID: taskID, body: body, seconds: seconds, isForged: key != nil)
        case .piapi:
            return [("x-webhook-secret", secret)]
        case .kling, .luma, .minimax, .seedance, .runway, .googleVeo:
            return []
        }
    }

    private static func code(_ text: String, key: String) -> String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Data(text.utf8), using: SymmetricKey(data: Data(key.utf8)))
        return Data(code).base64EncodedString()
    }

    // MARK: - Published keys

    private static let user = "simulator-user"

    private func published(
        taskID: String, body: [UInt8], seconds: Int64, isForged: Bool
    ) -> Headers {
        let digest = hex(SHA256.hash(data: Data(body)))
        let text = [taskID, Self.user, "\(seconds)", digest].joined(separator: "\n")
        let signature = try? signingKey(isForged ? "forged" : "own")?.signature(
            for: Data(text.utf8))
        return [
            ("X-Fal-Webhook-Request-Id", taskID), ("X-Fal-Webhook-User-Id", Self.user),
            ("X-Fal-Webhook-Timestamp", "\(seconds)"),
            ("X-Fal-Webhook-Signature", hex(signature ?? Data())),
        ]
    }

    private func signingKey(_ name: String) -> Curve25519.Signing.PrivateKey? {
        let seed = SHA256.hash(data: Data("\(world.seed)|\(provider)|\(name)".utf8))
        return try? Curve25519.Signing.PrivateKey(rawRepresentation: Data(seed))
    }

    /// A stranger's key first: whoever takes the first one only finds no signature right.
    var keySet: JSONText {
        .object([("keys", .array([key("former"), key("own")]))])
    }

    private func key(_ name: String) -> JSONText {
        let bytes = signingKey(name)?.publicKey.rawRepresentation ?? Data()
        let text = bytes.base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
        return .object([
            ("kty", .text("OKP")), ("crv", .text("Ed25519")), ("kid", .text("simulator-" + name)),
            ("use", .text("sig")), ("x", .text(text)),
        ])
    }
}
