/// A point in time: microseconds since 1970-01-01 00:00:00 UTC.
///
/// It comes from the database's clock (shifted by the clock offset) or, for tokens and
/// signatures only, from the machine's.
package struct Instant: Hashable, Comparable, Sendable {
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }
    package init(unixSeconds: Int64) { self.microseconds = unixSeconds &* 1_000_000 }

    package var unixSeconds: Int64 {
        // Floor, so that instants before 1970 do not round towards it.
        let quotient = microseconds / 1_000_000
        return microseconds % 1_000_000 < 0 ? quotient - 1 : quotient
    }

    package static func < (left: Instant, right: Instant) -> Bool {
        left.microseconds < right.microseconds
    }

    package static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds &+ duration.microseconds)
    }

    package static func - (left: Instant, right: Instant) -> Duration {
        .microseconds(left.microseconds &- right.microseconds)
    }
}

extension Instant: CustomStringConvertible {
    /// RFC 3339 in UTC, to the second: `2026-11-21T10:42:36Z`.
    package var description: String {
        let seconds = unixSeconds
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let inDay = seconds - days * 86_400
        let (year, month, day) = Self.civil(fromDays: days)
        return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T"
            + pad(inDay / 3600, 2) + ":" + pad(inDay / 60 % 60, 2) + ":" + pad(inDay % 60, 2) + "Z"
    }

    /// Date only, `2026-11-21`, in UTC.
    package var day: String { String(description.prefix(10)) }

    private func pad(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The proleptic Gregorian date of a day count since 1970-01-01.
    ///
    /// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

extension Duration {
    /// Whole microseconds; saturates instead of trapping on absurd lengths.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return overflowed ? (product < 0 ? .min : .max) : sum
    }

    package var milliseconds: Int64 { microseconds / 1000 }
}
