import Glibc

/// Chance that can be replayed: a draw depends on the seed, on a name and on how often that name
/// has drawn before, not on which of many simultaneous requests came first.
struct Chance: Sendable {
    let seed: UInt64
    private var drawn: [String: UInt64] = [:]

    init(seed: UInt64) { self.seed = seed }

    /// A number from 0 up to, not including, 1.
    mutating func draw(_ name: String) -> Double {
        Double(bits(name) >> 11) * 0x1p-53
    }

    mutating func bits(_ name: String) -> UInt64 {
        let count = drawn[name, default: 0]
        drawn[name] = count &+ 1
        return Self.mix(seed ^ Self.fingerprint(name) &+ count &* 0x9E37_79B9_7F4A_7C15)
    }

    /// FNV-1a, 64 bits: the same in every process, unlike `Hasher`.
    private static func fingerprint(_ name: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    /// The output function of SplitMix64.
    static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

enum Clock {
    /// Milliseconds since 1970 by the machine's clock.
    static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
