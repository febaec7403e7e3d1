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
        let signed = base64URL(JSON.write(header).utf8) + "." + base64URL(JSON.write(claims).utf8)
        let code = HMAC<SHA256>.authenticationCode(
            for: Array(signed.utf8), using: SymmetricKey(data: Array(secretKey.utf8)))
        return signed + "." + base64URL(code)
    }

    /// Base64 with the URL alphabet and without padding.
    static func base64URL(_ bytes: some Sequence<UInt8>) -> String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var buffer = UInt32(0)
        var bits = 0
        for byte in bytes {
            buffer = (buffer << 8 | UInt32(byte)) & 0xFFFF
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
