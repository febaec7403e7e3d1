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
        guard let date = date(text) else { return nil }
        // The server's own clock, where it tells it: the difference is what it means.
        let reference = headers.first(named: "Date").flatMap(self.date) ?? now
        return min(max(date - reference, .zero), longest)
    }

    // "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
    // "Sun Nov  6 08:49:37 1994".
    private static func date(_ text: String) -> Instant? {
        let words = text.split { " ,-".contains($0) }.dropFirst()
        guard words.count >= 4, let clock = words.first(where: { $0.contains(":") }) else {
            return nil
        }
        let months = "jan feb mar apr may jun jul aug sep oct nov dec".split(separator: " ")
        let month = words.lazy.compactMap { months.firstIndex(of: Substring($0.word)) }.first
        let numbers = words.compactMap { Int64($0) }
        let times = clock.split(separator: ":").compactMap { Int64($0) }
        guard let month, numbers.count == 2, times.count == 3 else { return nil }
        let year = numbers[1] < 70 ? numbers[1] + 2000 : numbers[1] + (numbers[1] < 100 ? 1900 : 0)
        return Timestamp.instant(
            year: year, month: Int64(month) + 1, day: numbers[0], hour: times[0],
            minute: times[1], second: times[2])
    }
}
