/// Bytes on their way into a file: gathered, and handed on at the ends of pages.
package struct Ink {
    /// Takes bytes in the order of the file.
    package typealias Sink = ([UInt8]) throws -> Void

    private var bytes: [UInt8] = []
    private let sink: Sink
    private static let gatheredBytes = 64 << 10

    package init(_ sink: @escaping Sink) { self.sink = sink }

    /// For a writer that gathers bytes itself.
    var passOn: Sink { sink }

    /// Takes away what was gathered.
    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func write(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func write(byte: UInt8) { bytes.append(byte) }

    mutating func write(_ number: Int64) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        // Twenty digits are the most that there are; the last one comes first.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var (rest, place) = (number.magnitude, 20)
            repeat {
                place -= 1
                digits[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: digits[place...])
        }
    }

    /// Hands on what was gathered, once it is worth it.
    mutating func rest() throws {
        if bytes.count >= Self.gatheredBytes { try flush() }
    }

    /// Hands on all that was gathered.
    mutating func flush() throws {
        guard !bytes.isEmpty else { return }
        try sink(bytes)
        bytes.removeAll(keepingCapacity: true)
    }
}
