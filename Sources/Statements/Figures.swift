import Core
import Ledger

/// Numbers as files and people want them; integers all the way.
enum Figures {
    /// As people read it: `1 234 567`, with spaces that do not break.
    static func grouped(_ number: Int64) -> String {
        (number < 0 ? "\u{2212}" : "") + grouped(digits: String(number.magnitude))
    }

    static func grouped(digits: String) -> String {
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.utf8.count - index) % 3 == 0 { text += "\u{202f}" }
            text.append(digit)
        }
        return text
    }

    /// Part of a whole in hundredths of a percent, as an attribute of SVG: `45.20%`.
    static func width(_ part: Int64, of whole: Int64) -> String {
        guard whole > 0, part > 0 else { return "0%" }
        let hundredths = Int64(min(Int128(part), Int128(whole)) * 10_000 / Int128(whole))
        return hundredths % 100 == 0
            ? "\(hundredths / 100)%" : "\(hundredths / 100).\(padded(hundredths % 100, 2))%"
    }

    /// `98.2 %`, rounded down so that 100 % means all; nil when there is nothing to be part of.
    static func percent(_ part: Int64, of whole: Int64) -> String? {
        guard whole > 0 else { return nil }
        let tenths = Int64(Int128(part) * 1000 / Int128(whole))
        let isNegative = tenths < 0
        return "\(isNegative ? "\u{2212}" : "")\(tenths.magnitude / 10).\(tenths.magnitude % 10) %"
    }

    static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// A length of time in its two largest units: `2h 4m`, `6m 12s`, `0s`.
    static func span(seconds: Int64) -> String {
        var (rest, parts) = (max(seconds, 0), [String]())
        for (unit, length) in [("d", Int64(86_400)), ("h", 3600), ("m", 60), ("s", 1)] {
            if rest >= length {
                parts.append("\(rest / length)\(unit)")
                rest %= length
            } else if !parts.isEmpty {
                break
            }
            if parts.count == 2 { break }
        }
        return parts.isEmpty ? "0s" : parts.joined(separator: " ")
    }

    /// Whether `text` is a plain decimal number, as in `-1250.5`.
    static func isDecimal(_ text: String) -> Bool {
        let parts = text.drop { $0 == "-" }.split(separator: ".", omittingEmptySubsequences: false)
        let isSigned = text.utf8.first == UInt8(ascii: "-")
        return (1...2).contains(parts.count)
            && text.utf8.count - (isSigned ? 1 : 0)
                == parts.reduce(parts.count - 1) { $0 + $1.utf8.count }
            && parts.allSatisfy { part in
                !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
            }
    }

    /// A spreadsheet keeps fifteen digits of a number; more of them must stand as text.
    static func isExactInSpreadsheets(_ decimal: String) -> Bool {
        var digits = decimal.utf8.filter { (0x30...0x39).contains($0) }.drop { $0 == 0x30 }
        while digits.last == 0x30 { digits.removeLast() }
        return digits.count <= 15 && decimal.utf8.count <= 40
    }
}

extension CreditStand {
    /// All of an account's credits, wherever they stand.
    func total() throws -> Int64 { try Total.sum([available, held, spent]) }
}
