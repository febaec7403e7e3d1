internal import Glibc

/// An IPv4 or IPv6 address, as a number.
package enum IPAddress: Equatable, Sendable {
    case v4(UInt32)
    case v6(UInt128)

    /// Reads the canonical text forms only: no octal, no short IPv4, no scope, no brackets.
    package init?(_ text: String) {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self = .v4(UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self = .v6(Self.number(six))
    }

    /// Reads a socket address of `length` bytes; nil for any other family or a short one.
    init?(_ address: UnsafePointer<sockaddr>, length: Int) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            self = .v4(UInt32(bigEndian: raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr))
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            self = .v6(Self.number(raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr))
        default:
            return nil
        }
    }

    private static func number(_ address: in6_addr) -> UInt128 {
        withUnsafeBytes(of: address) { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) }
    }
}

extension IPAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .v4(let number):
            return [24, 16, 8, 0].map { String(number >> UInt32($0) & 0xff) }
                .joined(separator: ".")
        case .v6(let number):
            var bytes = number.bigEndian
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            guard inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count)) != nil else {
                return String(number, radix: 16)
            }
            return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        }
    }
}
