/// The name of a marker: a small file below `.holdfast/` of a store or of the state folder.
package struct MarkerName: Equatable, Sendable, CustomStringConvertible {
    /// The folder of all markers.
    package static let folder = ".holdfast"
    /// What tells whose the store or the folder is.
    package static let installation = MarkerName("installation")

    private static let limitBytes = 100

    /// The file's name, safe in every store.
    package let fileName: String

    /// A name from any text, such as a host's: what a file may not be called is written as `=XX`.
    package init(_ text: String) {
        var name = ""
        for (place, byte) in text.utf8.prefix(Self.limitBytes).enumerated() {
            let isPlain =
                Hex.isPlain(byte) || byte == UInt8(ascii: "-")
                || (byte == UInt8(ascii: ".") && place > 0)
            name += isPlain ? String(Unicode.Scalar(byte)) : "=" + Hex.upper(byte)
        }
        fileName = name.isEmpty ? "=00" : name
    }

    /// The path below the root of the store or of the folder.
    package var path: String { "\(Self.folder)/\(fileName)" }
    package var description: String { path }
}

extension Hex {
    fileprivate static func isPlain(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
            || (0x61...0x7a).contains(byte)
    }
}

/// What is at a marker's name.
package enum Marker: Equatable, Sendable {
    case absent
    case bytes([UInt8])
    /// More than `limitBytes`: nothing that we wrote.
    case tooLarge

    /// The most bytes that a marker may have.
    package static let limitBytes = 4096
}

/// A place for markers: an object store, or the state folder of a host.
///
/// Every call ends within a bounded time. What cannot be reached throws with status 69, what is
/// refused with 78; neither says anything about what is there.
package protocol MarkerPlace {
    /// Where it is, for people: nothing secret.
    var words: String { get }

    func read(_ name: MarkerName) throws(Failure) -> Marker

    /// Writes a marker that is not there.
    ///
    /// - Returns: false when something is there, which is left as it is. A store that overwrites
    ///   whatever it is told is looked at first: there two who write in the same instant may both
    ///   be told true, so that whoever must know reads it back.
    func writeIfAbsent(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) -> Bool

    /// Writes a marker whatever is there; a reader sees the old one or the new one, whole.
    func overwrite(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure)
}
