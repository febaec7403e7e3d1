import Core
import HTTP

/// Reads `Retry-After`: seconds, or a date in one of the three forms of RFC 9110.
enum RetryAfter {
    /// A longer wait is cut to this: a provider's slip must not silence it for a year.
    static let longest = Duration.seconds(86_400)

    static func read(_ headers: [Header], now: Instant) -> Duration? {
        guard let text = headers.first(named: "Retry-After")?.trimmed else { return nil }
        if let seconds = JSONValue.number(text).int {
            return min(.seconds(max(seconds, 0)), longest)
        }
        guard let date = HTTPDate.parse(text) else { return nil }
        // The server's own clock, where it tells it: the difference is what it means.
        let reference = headers.first(named: "Date").flatMap(HTTPDate.parse) ?? now
        return min(max(date - reference, .zero), longest)
    }
}
