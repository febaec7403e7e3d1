/// Names for runs, and for anything else that needs a name nobody else has: UUIDs of version 4.
///
/// Source: RFC 9562, section 5.4.
package enum RunID {
    /// A new name in the usual form, `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`, in small letters.
    package static func make() -> String {
        var chance = SystemRandomNumberGenerator()
        return make(using: &chance)
    }

    package static func make(using chance: inout some RandomNumberGenerator) -> String {
        let high = (UInt64.random(in: 0 ... .max, using: &chance) & ~0xf000) | 0x4000
        let low = (UInt64.random(in: 0 ... .max, using: &chance) & ~(3 << 62)) | 1 << 63
        var text = ""
        for (index, digit) in (hex(high) + hex(low)).enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
