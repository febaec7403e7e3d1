/// An amount of money in millionths of a currency: fine enough for what one generation costs, and
/// whole, so that sums agree to the last digit everywhere.
package struct Money: Equatable, Comparable, Sendable {
    package var micros: Int64

    package init(micros: Int64) { self.micros = micros }

    package static let zero = Money(micros: 0)

    /// As people write it, without a currency: `12.50`, `-0.0125`.
    ///
    /// Two decimals at least, six at most.
    package var text: String {
        let magnitude = micros.magnitude
        var decimals = String(magnitude % 1_000_000)
        decimals = String(repeating: "0", count: 6 - decimals.utf8.count) + decimals
        while decimals.utf8.count > 2, decimals.last == "0" { decimals.removeLast() }
        return "\(micros < 0 ? "-" : "")\(magnitude / 1_000_000).\(decimals)"
    }

    package static func < (left: Money, right: Money) -> Bool { left.micros < right.micros }

    /// - Precondition: The sum fits; amounts in the books are below 2^53 micros each.
    package static func + (left: Money, right: Money) -> Money {
        Money(micros: left.micros + right.micros)
    }

    package static func - (left: Money, right: Money) -> Money {
        Money(micros: left.micros - right.micros)
    }
}
