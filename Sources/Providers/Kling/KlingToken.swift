import Core
import Crypto

/// The JSON Web Token that Kling takes as a password, made anew for each request.
///
/// Source: Kling portal, apiReference "General Info"; RFC 7515 and RFC 7519.
enum KlingToken {
    static let life = Duration.seconds(1800)
    /// Their clock may be behind ours.
    static let allowance = Duration.seconds(5)

    static func make(accessKey: String, secretKey: String, now: Instant) -> String {
        let header: JSONValue = ["alg": "HS256", "typ": "JWT"]
        // The claims count whole seconds. Without this, a retry within one second would bear, bit for
        // bit, the token that was just refused; fifty steps a second tell them apart.
        let fraction = abs(now.microseconds % 1_000_000) / 20_000
        let claims: JSONValue = [
            "iss": .string(accessKey),
            "exp": .integer((now + life).unixSeconds - fraction),
            "nbf": .integer((now + (.zero - allowance)).unixSeconds),
        ]
        let signed =
            Base64.urlText(JSON.write(header).utf8) + "." + Base64.urlText(JSON.write(claims).utf8)
        let code = HMAC<SHA256>.authenticationCode(
            for: Array(signed.utf8), using: SymmetricKey(data: Array(secretKey.utf8)))
        return signed + "." + Base64.urlText(code)
    }
}
