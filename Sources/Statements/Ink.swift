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

    mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func write(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func write(byte: UInt8) { bytes.append(byte) }

    mutating func write(_ number: Int64) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        let start = bytes.count
        var rest = number.magnitude
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
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
