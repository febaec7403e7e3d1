package import Core

/// Values as people read them on one line.
package enum Plain {
    /// One line of `text`: control characters and whatever else could move the cursor or turn the
    /// direction of writing are spelled out.
    package static func line(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnruly) else { return text }
        var line = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": line += "\\n"
            case "\t": line += " "
            case _ where isUnruly(scalar): line += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    private static func isUnruly(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }

    /// A length of time in its two largest units: `2d 4h`, `6m 12s`, `0s`.
    package static func span(_ duration: Duration) -> String {
        let total = duration.milliseconds / 1000
        if total < 0 { return "-" + span(.zero - duration) }
        var seconds = total
        var parts: [String] = []
        for (unit, length) in [("d", Int64(86_400)), ("h", 3600), ("m", 60), ("s", 1)] {
            if seconds >= length {
                parts.append("\(seconds / length)\(unit)")
                seconds %= length
            } else if !parts.isEmpty {
                break
            }
            if parts.count == 2 { break }
        }
        return parts.isEmpty ? "0s" : parts.joined(separator: " ")
    }

    /// `in 5m`, `3h 2m ago` or `now`.
    package static func distance(_ instant: Instant, from now: Instant) -> String {
        let away = instant - now
        if away.milliseconds.magnitude < 1000 { return "now" }
        return away > .zero ? "in " + span(away) : span(.zero - away) + " ago"
    }

    /// `412 B`, `1.4 GiB`.
    package static func bytes(_ count: Int64) -> String {
        var (whole, unit) = (Double(count), "B")
        for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] where whole >= 1024 {
            whole /= 1024
            unit = larger
        }
        return unit == "B" ? "\(count) B" : "\(tenths(whole)) \(unit)"
    }

    /// `98.2 %`; rounded down, so that 100 % means all.
    package static func percent(_ part: Int, of whole: Int) -> String {
        whole == 0 ? "-" : tenths(Double(part) * 100 / Double(whole)) + " %"
    }

    /// A number between 0 and 1 with four digits, for JSON.
    package static func ratio(_ part: Int, of whole: Int) -> JSONValue {
        guard whole > 0 else { return .null }
        let digits = String(Int(Double(part) * 10_000 / Double(whole)))
        guard digits.count < 5 else { return .number("1") }
        return .number("0." + String(repeating: "0", count: 4 - digits.count) + digits)
    }

    private static func tenths(_ value: Double) -> String {
        let scaled = Int64(value * 10)
        return "\(scaled / 10).\(scaled % 10)"
    }
}

extension JSONValue {
    package static func instant(_ instant: Instant?) -> JSONValue {
        .optional(instant?.description)
    }

    package static func whole(_ value: (some BinaryInteger)?) -> JSONValue {
        value.map { .integer($0) } ?? .null
    }

    /// Seconds with milliseconds.
    package static func seconds(_ duration: Duration?) -> JSONValue {
        guard let duration else { return .null }
        let milliseconds = duration.milliseconds
        let fraction = String(milliseconds.magnitude % 1000)
        return .number(
            "\(milliseconds < 0 ? "-" : "")\(milliseconds.magnitude / 1000)."
                + String(repeating: "0", count: 3 - fraction.count) + fraction)
    }

    package static func counts(_ counts: [String: some BinaryInteger]) -> JSONValue {
        .object(
            JSONObject(
                counts.sorted { $0.key < $1.key }
                    .map { .init(key: $0.key, value: .integer($0.value)) }))
    }
}
