/// Reads and writes the durations of flags, variables and policies: `90s`, `2m`, `24h`, `1h30m`.
///
/// The units are `ms`, `s`, `m`, `h` and `d`; a number without a unit is refused, because nobody
/// should have to guess it at three in the morning.
package enum DurationText {
    /// The duration that `text` spells, or nil when it is not one.
    package static func parse(_ text: some StringProtocol) -> Duration? {
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        var total = Int64(0)
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let count = Int64(digits), let scale = milliseconds[String(unit)] else {
                return nil
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: scale)
            let (sum, overflowed) = total.addingReportingOverflow(product)
            guard !overflow, !overflowed else { return nil }
            total = sum
        }
        return .milliseconds(total)
    }

    /// A duration with a sign in front, as a clock offset has: `+90m`, `-2h`.
    package static func parseSigned(_ text: some StringProtocol) -> Duration? {
        guard let sign = text.first, sign == "+" || sign == "-" else { return parse(text) }
        return parse(text.dropFirst()).map { sign == "-" ? .zero - $0 : $0 }
    }

    /// The shortest exact spelling in at most two units, `1h30m`; milliseconds when there are any.
    package static func describe(_ duration: Duration) -> String {
        let total = duration.milliseconds
        if total < 0 { return "-" + describe(.zero - duration) }
        if total % 1000 != 0 || total == 0 { return total == 0 ? "0s" : "\(total)ms" }
        var seconds = total / 1000
        var text = ""
        for (unit, length) in [("d", Int64(86_400)), ("h", 3600), ("m", 60), ("s", 1)] {
            // Hours stay hours up to two days: the policy page says 24h, not 1d.
            if unit == "d" && seconds < 172_800 { continue }
            if seconds >= length {
                text += "\(seconds / length)\(unit)"
                seconds %= length
            }
        }
        return text
    }

    /// The same without what nobody asks for in something that lasts: whole minutes from a minute on.
    package static func rough(_ duration: Duration) -> String {
        let seconds = max(duration.milliseconds / 1000, 0)
        return describe(.seconds(seconds < 60 ? seconds : seconds - seconds % 60))
    }

    private static let milliseconds: [String: Int64] = [
        "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
    ]
}
