import Core

/// Points in time as providers write them.
enum Timestamp {
    /// Milliseconds or seconds since 1970, or text such as `2026-03-04 10:31:07`.
    ///
    /// Text without a zone is read as UTC; where it matters the caller bounds it by its own clock.
    static func read(_ value: JSONValue?) -> Instant? {
        guard let value else { return nil }
        if let number = value.wholeNumber { return unix(number) }
        return value.nonBlankText.flatMap { Instant(dateAndTime: $0) }
    }

    // Milliseconds from 1973 on and seconds up to 5138 do not overlap.
    private static func unix(_ number: Int64) -> Instant? {
        switch number {
        case 1..<100_000_000_000: Instant(unixSeconds: number)
        case 100_000_000_000...253_402_300_799_999: Instant(microseconds: number * 1000)
        default: nil
        }
    }
}
