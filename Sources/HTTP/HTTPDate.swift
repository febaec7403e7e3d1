package import Core

/// Points in time as header lines write them.
package enum HTTPDate {
    /// Reads one of the three forms of RFC 9110, section 5.6.7; nil for anything else.
    package static func parse(_ text: String) -> Instant? {
        // "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        // "Sun Nov  6 08:49:37 1994".
        let words = text.split { " ,-".contains($0) }.dropFirst()
        guard words.count >= 4, let clock = words.first(where: { $0.contains(":") }) else {
            return nil
        }
        let months = "jan feb mar apr may jun jul aug sep oct nov dec".split(separator: " ")
        let month = words.lazy.compactMap { months.firstIndex(of: Substring($0.lowercased())) }
            .first
        let numbers = words.compactMap { Int64($0) }
        let times = clock.split(separator: ":").compactMap { Int64($0) }
        guard let month, numbers.count == 2, times.count == 3 else { return nil }
        let year = numbers[1] < 70 ? numbers[1] + 2000 : numbers[1] + (numbers[1] < 100 ? 1900 : 0)
        return Instant(
            year: year, month: Int64(month) + 1, day: numbers[0], hour: times[0],
            minute: times[1], second: times[2])
    }
}
