/// A decimal number, digit for digit: what providers charge and what rates are, never rounded.
package struct ExactDecimal: Hashable, Sendable {
    package let isNegative: Bool
    /// Digits before the point without zeros in front; empty below 1.
    private let whole: [UInt8]
    /// Digits after the point without zeros at the end.
    private let fraction: [UInt8]

    /// Digits before and after the point that are taken at most.
    package static let wholeLimit = 15
    package static let fractionLimit = 20
    /// Characters that are looked at.
    private static let textLimit = 60

    /// The number that `text` spells: a sign, digits with one point, and an exponent as JSON has it.
    ///
    /// Nil for everything else, blanks and signs of currencies and thousands among it, and for what
    /// takes more digits than the limits.
    package init?(_ text: some StringProtocol) {
        var rest = Array(text.utf8)[...]
        guard rest.count <= Self.textLimit else { return nil }
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        let exponent: Int
        if let mark = rest.firstIndex(where: { $0 | 0x20 == UInt8(ascii: "e") }) {
            guard let given = Self.exponent(rest[(mark + 1)...]) else { return nil }
            exponent = given
            rest = rest[..<mark]
        } else {
            exponent = 0
        }
        let parts = rest.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, !parts.contains(where: \.isEmpty),
            parts.joined().allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        self.init(
            isNegative: isNegative, digits: Array(parts.joined()),
            point: parts[0].count + exponent)
    }

    package init(_ number: Int) {
        whole = number == 0 ? [] : Array(String(number.magnitude).utf8)
        fraction = []
        isNegative = number < 0
    }

    /// - Parameter point: Before which of the digits the point stands; outside of them zeros follow.
    private init?(isNegative: Bool, digits: [UInt8], point: Int) {
        let zero = UInt8(ascii: "0")
        guard (-Self.textLimit...2 * Self.textLimit).contains(point) else { return nil }
        let padded =
            Array(repeating: zero, count: max(0, -point)) + digits
            + Array(repeating: zero, count: max(0, point - digits.count))
        let place = max(0, point)
        whole = Array(padded[..<place].drop { $0 == zero })
        fraction = Array(padded[place...].reversed().drop { $0 == zero }.reversed())
        guard whole.count <= Self.wholeLimit, fraction.count <= Self.fractionLimit else {
            return nil
        }
        self.isNegative = isNegative && !(whole.isEmpty && fraction.isEmpty)
    }

    private static func exponent(_ digits: ArraySlice<UInt8>) -> Int? {
        var digits = digits
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(String(decoding: digits, as: UTF8.self))
        else { return nil }
        return isNegative ? -number : number
    }

    package var isZero: Bool { whole.isEmpty && fraction.isEmpty }
    package var isWhole: Bool { fraction.isEmpty }

    /// The same number is always spelled the same: `0`, `-12.5`, `0.003`.
    package var text: String {
        let digits = whole.isEmpty ? [UInt8(ascii: "0")] : whole
        let tail = fraction.isEmpty ? [] : [UInt8(ascii: ".")] + fraction
        return (isNegative ? "-" : "") + String(decoding: digits + tail, as: UTF8.self)
    }

    /// The number with its point moved to the left: hundredths for 2.
    ///
    /// Nil when that takes too many digits.
    package func shifted(by places: Int) -> ExactDecimal? {
        ExactDecimal(isNegative: isNegative, digits: whole + fraction, point: whole.count - places)
    }
}

extension ExactDecimal: Comparable {
    package static func < (left: ExactDecimal, right: ExactDecimal) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        let (small, large) = left.isNegative ? (right, left) : (left, right)
        if small.whole.count != large.whole.count { return small.whole.count < large.whole.count }
        if small.whole != large.whole {
            return small.whole.lexicographicallyPrecedes(large.whole)
        }
        return small.fraction.lexicographicallyPrecedes(large.fraction)
    }
}

/// Names of currencies.
package enum Currency {
    /// Whether a text has the form of an ISO 4217 code, such as `USD`.
    package static func isCode(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 3 && text.utf8.allSatisfy { (0x41...0x5A).contains($0) }
    }
}

/// Names of the units that providers charge in: `credits`, `seconds`, a currency.
package enum UnitName {
    package static let limit = 40

    /// Whether a text can name a unit: letters, digits, `_`, `-`, `.` and `/`, a letter among them.
    package static func isValid(_ text: some StringProtocol) -> Bool {
        (1...limit).contains(text.utf8.count)
            && text.utf8.contains { (0x61...0x7A).contains($0 | 0x20) }
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "_-./".utf8.contains(byte)
                }
            }
    }
}

/// A sum of exact decimals; nothing is lost on the way.
package struct DecimalSum: Equatable, Sendable {
    /// In units of the last digit that a decimal can have.
    private var scaled: Int128 = 0
    /// The sum has become more than can be held.
    package private(set) var isTooLarge = false

    package init() {}

    package mutating func add(_ number: ExactDecimal) {
        guard !isTooLarge, let term = number.scaled else { return isTooLarge = true }
        let (sum, overflow) = scaled.addingReportingOverflow(term)
        if overflow { isTooLarge = true } else { scaled = sum }
    }

    /// As `ExactDecimal.text`, with as many digits as it takes.
    package var text: String {
        if isTooLarge { return "too large" }
        var digits = String(scaled.magnitude)
        let places = ExactDecimal.fractionLimit
        if digits.utf8.count <= places {
            digits = String(repeating: "0", count: places + 1 - digits.utf8.count) + digits
        }
        let fraction = String(digits.suffix(places).reversed().drop { $0 == "0" }.reversed())
        return (scaled < 0 ? "-" : "") + digits.dropLast(places)
            + (fraction.isEmpty ? "" : "." + fraction)
    }
}

extension ExactDecimal {
    fileprivate var scaled: Int128? {
        let zeros = Self.fractionLimit - fraction.count
        let digits = whole + fraction + Array(repeating: UInt8(ascii: "0"), count: zeros)
        return Int128((isNegative ? "-" : "") + String(decoding: digits, as: UTF8.self))
    }
}
