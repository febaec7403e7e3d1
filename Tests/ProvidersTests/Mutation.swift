/// Changes to a body that providers, proxies and networks make.
enum Mutation {
    /// Cuts, glues, and changes to the punctuation, never inside a word.
    static func structural(
        _ body: [UInt8], using chance: inout some RandomNumberGenerator
    ) -> [UInt8] {
        var body = body
        for _ in 0..<Int.random(in: 1...3, using: &chance) {
            guard !body.isEmpty else { break }
            let at = Int.random(in: 0..<body.count, using: &chance)
            let isPunctuation = "{}[],:".utf8.contains(body[at])
            switch Int.random(in: 0..<4, using: &chance) {
            case 0: body = Array(body[..<at])
            case 1: body += body[at...]
            case 2 where isPunctuation: body.remove(at: at)
            case 3 where isPunctuation:
                body.insert(Array("{}[], \n".utf8).randomElement(using: &chance) ?? 32, at: at)
            default: break
            }
        }
        return body
    }

    /// Anything: flipped bytes, cuts, repeated pieces, swapped values and types.
    static func any(_ body: [UInt8], using chance: inout some RandomNumberGenerator) -> [UInt8] {
        var body = body
        for _ in 0..<Int.random(in: 1...4, using: &chance) {
            guard !body.isEmpty else { break }
            let at = Int.random(in: 0..<body.count, using: &chance)
            switch Int.random(in: 0..<7, using: &chance) {
            case 0: body[at] ^= 1 << UInt8.random(in: 0..<8, using: &chance)
            case 1: body = Array(body[..<at])
            case 2: body += body
            case 3: body = repeatingLine(body, at: at)
            case 4: body = replacingValue(body, at: at, using: &chance)
            case 5: body = replacingWord(body, using: &chance)
            default:
                let end = min(body.count, at + Int.random(in: 1...30, using: &chance))
                body.removeSubrange(at..<end)
            }
        }
        return body
    }

    // The samples have one member on a line: this gives a key twice, sometimes with another value.
    private static func repeatingLine(_ body: [UInt8], at: Int) -> [UInt8] {
        var lines = body.split(separator: 10, omittingEmptySubsequences: false)
        let line = body[..<at].count { $0 == 10 }
        lines.insert(lines[line], at: line)
        return Array(lines.joined(separator: [10]))
    }

    private static func replacingValue(
        _ body: [UInt8], at: Int, using chance: inout some RandomNumberGenerator
    ) -> [UInt8] {
        guard let colon = body[at...].firstIndex(of: 58) else { return body }
        let end = body[colon...].firstIndex { $0 == 44 || $0 == 10 } ?? body.endIndex
        let values = [
            "null", "0", "1", "2", "4", "true", "\"\"", "[]", "{}", "\"success\"", "\"fail\"",
            "\"succeed\"", "[\"https://b.example/y\"]", "\"https://b.example/y\"", "200", "500",
        ]
        let value = values.randomElement(using: &chance) ?? "null"
        return body[...colon] + Array(value.utf8) + body[end...]
    }

    private static func replacingWord(
        _ body: [UInt8], using chance: inout some RandomNumberGenerator
    ) -> [UInt8] {
        let words = [
            "success", "succeed", "fail", "failed", "generating", "processing", "state",
            "task_status", "successFlag", "resultUrls", "url", "data", "taskId", "task_id", "param",
        ]
        let text = String(decoding: body, as: UTF8.self)
        let word = "\"" + (words.randomElement(using: &chance) ?? "") + "\""
        let other = "\"" + (words.randomElement(using: &chance) ?? "") + "\""
        return Array(text.replacing(word, with: other, maxReplacements: 1).utf8)
    }
}

/// SplitMix64: the same numbers for the same seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
