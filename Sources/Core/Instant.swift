/// A point in time: microseconds since 1970-01-01 00:00:00 UTC.
///
/// It comes from the database's clock (shifted by the clock offset) or, for tokens and
/// signatures only, from the machine's.
package struct Instant: Hashable, Comparable, Sendable {
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }
    package init(unixSeconds: Int64) { self.microseconds = unixSeconds &* 1_000_000 }

    /// The instant of a date and time in UTC; nil when there is no such date after 1969.
    ///
    /// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    package init?(
        year: Int64, month: Int64, day: Int64, hour: Int64, minute: Int64, second: Int64
    ) {
        guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        self.init(unixSeconds: days * 86_400 + hour * 3600 + minute * 60 + second)
    }

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

extension Instant {
    /// Reads `2026-03-04 10:31:07` or RFC 3339; text without a zone is read as UTC.
    package init?(dateAndTime: String) {
        let text = Array(dateAndTime.utf8)
        guard text.count >= 19, text[4] == 0x2D, text[7] == 0x2D,
            [0x20, 0x54, 0x74].contains(text[10]), text[13] == 0x3A, text[16] == 0x3A,
            let year = Self.number(text[0..<4]), let month = Self.number(text[5..<7]),
            let day = Self.number(text[8..<10]), let hour = Self.number(text[11..<13]),
            let minute = Self.number(text[14..<16]), let second = Self.number(text[17..<19]),
            let offset = Self.zone(text[19...]),
            let instant = Instant(
                year: year, month: month, day: day, hour: hour, minute: minute, second: second)
        else { return nil }
        self = instant + .seconds(-offset)
    }

    // Seconds east of Greenwich, after an optional fraction.
    private static func zone(_ text: ArraySlice<UInt8>) -> Int64? {
        var rest = text
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            guard !digits.isEmpty else { return nil }
            rest = rest.dropFirst(digits.count)
        }
        switch rest.first {
        case nil: return 0
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): return rest.count == 1 ? 0 : nil
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            let digits = rest.dropFirst().filter { $0 != UInt8(ascii: ":") }
            guard digits.count == 4, let hours = number(digits[0..<2]),
                let minutes = number(digits[2..<4]), hours < 24, minutes < 60
            else { return nil }
            let seconds = hours * 3600 + minutes * 60
            return rest.first == UInt8(ascii: "-") ? -seconds : seconds
        default: return nil
        }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }
}
