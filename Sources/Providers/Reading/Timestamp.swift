import Core

/// Points in time as providers write them.
enum Timestamp {
    /// Milliseconds or seconds since 1970, or text such as `2026-03-04 10:31:07`.
    ///
    /// Text without a zone is read as UTC; where it matters the caller bounds it by its own clock.
    static func read(_ value: JSONValue?) -> Instant? {
        guard let value else { return nil }
        if let number = value.wholeNumber { return unix(number) }
        return value.nonBlankText.flatMap(civil)
    }

    // Milliseconds from 1973 on and seconds up to 5138 do not overlap.
    private static func unix(_ number: Int64) -> Instant? {
        switch number {
        case 1..<100_000_000_000: Instant(unixSeconds: number)
        case 100_000_000_000...253_402_300_799_999: Instant(microseconds: number * 1000)
        default: nil
        }
    }

    private static func civil(_ text: String) -> Instant? {
        let text = Array(text.utf8)
        guard text.count >= 19, text[4] == 0x2D, text[7] == 0x2D,
            [0x20, 0x54, 0x74].contains(text[10]), text[13] == 0x3A, text[16] == 0x3A,
            let year = number(text[0..<4]), let month = number(text[5..<7]),
            let day = number(text[8..<10]), let hour = number(text[11..<13]),
            let minute = number(text[14..<16]), let second = number(text[17..<19]),
            let offset = zone(text[19...])
        else { return nil }
        return instant(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second
        ).map { $0 + .seconds(-offset) }
    }

    /// The instant of a date and time in UTC; nil when there is no such date.
    ///
    /// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    static func instant(
        year: Int64, month: Int64, day: Int64, hour: Int64, minute: Int64, second: Int64
    ) -> Instant? {
        guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return Instant(unixSeconds: days * 86_400 + hour * 3600 + minute * 60 + second)
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
