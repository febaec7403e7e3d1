import Crypto
import Foundation

/// Judges Kling's bearer token: HS256, `iss`, `nbf` and `exp`, by the machine's clock.
enum JWTCheck {
    struct Refusal: Equatable {
        var code: Int
        var message: String
    }

    /// Nil when the header is right, else the code and the words of the refusal.
    static func judge(
        _ header: String?, accessKey: String, secretKey: String, now: Int64
    ) -> Refusal? {
        guard let header, !header.isEmpty else {
            return Refusal(code: 1001, message: "Authorization is empty")
        }
        guard header.hasPrefix("Bearer ") else {
            return Refusal(code: 1002, message: "Authorization is invalid")
        }
        let parts = header.dropFirst(7).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = object(parts[0]), let claims = object(parts[1]),
            head["alg"] as? String == "HS256", let signature = decoded(parts[2])
        else {
            return Refusal(code: 1002, message: "Authorization is invalid")
        }
        let signed = Data("\(parts[0]).\(parts[1])".utf8)
        let key = SymmetricKey(data: Data(secretKey.utf8))
        guard HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key)
        else {
            return Refusal(code: 1002, message: "Authorization signature is invalid")
        }
        guard claims["iss"] as? String == accessKey else {
            return Refusal(code: 1000, message: "Authentication failed")
        }
        guard let expires = seconds(claims["exp"]), let notBefore = seconds(claims["nbf"]) else {
            return Refusal(code: 1002, message: "Authorization lacks exp or nbf")
        }
        guard notBefore <= now else {
            return Refusal(code: 1003, message: "Authorization is not yet valid")
        }
        guard now < expires else {
            return Refusal(code: 1004, message: "Authorization has expired")
        }
        return nil
    }

    private static func seconds(_ claim: Any?) -> Int64? {
        (claim as? NSNumber)?.int64Value
    }

    private static func object(_ part: Substring) -> [String: Any]? {
        decoded(part).flatMap { (try? JSONSerialization.jsonObject(with: $0)) as? [String: Any] }
    }

    /// Base64url; padding is refused, as JWTs have none.
    private static func decoded(_ part: Substring) -> Data? {
        guard !part.contains("="), !part.contains("+"), !part.contains("/") else { return nil }
        let text = part.replacingOccurrences(of: "-", with: "+")
            .replacingOccurrences(of: "_", with: "/")
        return Data(base64Encoded: text + String(repeating: "=", count: (4 - text.count % 4) % 4))
    }
}
