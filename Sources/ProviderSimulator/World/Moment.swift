import Core

/// Moments in milliseconds since 1970, written as the providers write them.
enum Moment {
    /// `2026-03-01T10:00:00.100Z`.
    static func text(_ milliseconds: Int64) -> JSONText {
        let rest = String(milliseconds % 1000)
        let fraction = String(repeating: "0", count: 3 - rest.count) + rest
        return .text(seconds(milliseconds).dropLast() + ".\(fraction)Z")
    }

    /// `2026-03-01T10:00:00Z`.
    static func seconds(_ milliseconds: Int64) -> String {
        Instant(unixSeconds: milliseconds / 1000).description
    }
}
