import Foundation

/// Chance that can be replayed: SplitMix64, from `HOLDFAST_TEST_SEED` or a random seed.
///
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
package struct SeededGenerator: RandomNumberGenerator, CustomStringConvertible, Sendable {
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64 = SeededGenerator.chosenSeed()) {
        self.seed = seed
        state = seed
    }

    package static func chosenSeed() -> UInt64 {
        let given = ProcessInfo.processInfo.environment["HOLDFAST_TEST_SEED"]
        return given.flatMap { UInt64($0) } ?? UInt64.random(in: 0 ... .max)
    }

    /// A seed that is another one each day, so that a sample covers more with time and fails the same
    /// way all day long; `HOLDFAST_TEST_SEED` wins.
    package static func seedOfTheDay() -> UInt64 {
        let given = ProcessInfo.processInfo.environment["HOLDFAST_TEST_SEED"]
        return given.flatMap { UInt64($0) } ?? UInt64(Date().timeIntervalSince1970 / 86_400)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// For the comment of an expectation: how to see the same failure again.
    package var description: String { "HOLDFAST_TEST_SEED=\(seed)" }
}
