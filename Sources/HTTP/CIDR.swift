package import Core

/// A range of addresses, such as `10.0.0.0/8` or `fd00::/8`; an address alone is a range of one.
package struct CIDR: Equatable, Sendable, CustomStringConvertible {
    package let network: IPAddress
    package let prefixBits: Int

    /// Reads a range; nil when it is not one, or when bits are set past its prefix.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let network = IPAddress(String(parts[0])) else { return nil }
        let width = network.width
        var bits = width
        if parts.count == 2 {
            let digits = parts[1]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(digits), number <= width
            else { return nil }
            bits = number
        }
        guard network.masked(to: bits) == network else { return nil }
        self.network = network
        self.prefixBits = bits
    }

    package func contains(_ address: IPAddress) -> Bool {
        network.width == address.width && address.masked(to: prefixBits) == network
    }

    /// Whether the address that `text` spells is in the range; false when it spells none.
    package func contains(_ text: String) -> Bool {
        IPAddress(text).map { contains($0) } ?? false
    }

    package var description: String { "\(network)/\(prefixBits)" }

    /// Reads `HOLDFAST_EGRESS_ALLOW`: ranges separated by commas or blanks.
    ///
    /// Throws a configuration failure that names the part that is not a range.
    package static func list(_ text: String) throws(Failure) -> [CIDR] {
        var ranges: [CIDR] = []
        for part in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            guard let range = CIDR(String(part)) else {
                throw Failure(
                    .configuration, code: "egress_allow_invalid",
                    "HOLDFAST_EGRESS_ALLOW: \"\(part)\" is not an address range;"
                        + " write it like 10.20.0.0/16 or fd00:1::/32, without bits past the prefix"
                )
            }
            ranges.append(range)
        }
        return ranges
    }
}

extension IPAddress {
    var width: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    func masked(to bits: Int) -> IPAddress {
        switch self {
        // Shifting by the full width gives zero, which is the mask of an empty prefix.
        case .v4(let number): .v4(number & (UInt32.max << (32 - bits)))
        case .v6(let number): .v6(number & (UInt128.max << (128 - bits)))
        }
    }
}
