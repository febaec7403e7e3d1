/// Which addresses a transfer may connect to.
package enum EgressPolicy: Equatable, Sendable {
    /// For addresses that the operator configured.
    case anywhere
    /// For addresses that came from outside: public ones, and the ranges listed.
    case publicOnly(allowing: [CIDR])

    /// The rule that refuses `address`, for the error message; nil when it may be reached.
    package func refusal(of address: IPAddress) -> String? {
        guard case .publicOnly(let allowed) = self else { return nil }
        if allowed.contains(where: { $0.contains(address) }) { return nil }
        guard case .v6(let number) = address else { return Rules.refusal(v4: address) }
        for (prefix, meaning) in Rules.carriers where prefix.contains(address) {
            // What a translator forwards to is the IPv4 address inside: that one is judged.
            let inner = IPAddress.v4(UInt32(truncatingIfNeeded: number))
            if allowed.contains(where: { $0.contains(inner) }) { return nil }
            return Rules.refusal(v4: inner).map { "\(meaning), \($0)" }
        }
        return Rules.refusal(v6: address, number)
    }
}

/// Special-purpose ranges.
///
/// Relays and sinks are among them although the registries call them globally reachable: nobody
/// keeps a file there, and whoever answers is merely the nearest, perhaps inside our own network.
///
/// Sources: the IANA special-purpose address registries (IPv4, IPv6), RFC 6890, RFC 5214 (ISATAP),
/// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
private enum Rules {
    static func refusal(v4 address: IPAddress) -> String? {
        refusedV4.first { $0.0.contains(address) }.map { named($0) }
    }

    static func refusal(v6 address: IPAddress, _ number: UInt128) -> String? {
        if let rule = refusedV6.first(where: { $0.0.contains(address) }) { return named(rule) }
        let identifier = UInt32(truncatingIfNeeded: number >> 32)
        // The universal and group bits may be set either way.
        if identifier & 0xfcff_ffff == 0x5efe { return "an ISATAP address" }
        guard let global, global.contains(address) else {
            return "not global unicast (2000::/3)"
        }
        return nil
    }

    private static func named(_ rule: (CIDR, String)) -> String { "\(rule.1) (\(rule.0))" }

    /// IPv6 ranges that carry an IPv4 address in their last 32 bits and lead to it.
    static let carriers = table([
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"),
    ])

    private static let global = CIDR("2000::/3")

    private static let refusedV4 = table([
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        // A public address by registry; inside Azure it is the host, with a machine's settings.
        ("168.63.129.16/32", "Azure's host services"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112 sink"),
        ("192.52.193.0/24", "multicast relay"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112 sink"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    ])

    private static let refusedV6 = table([
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b:1::/48", "local-use NAT64"),
        ("100::/64", "discard"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112 sink"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    ])

    /// The ranges are constants; a test counts them, so a misspelt one cannot drop out unseen.
    private static func table(_ rows: [(String, String)]) -> [(CIDR, String)] {
        rows.compactMap { row in CIDR(row.0).map { ($0, row.1) } }
    }
}
