/// On which line of a JSON text each value begins, by its path: `jobs[0].status.words`.
///
/// The text was parsed before; what is not JSON is none of this one's business.
struct JSONLines {
    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    private var found: [String: Int] = [:]

    static func of(_ bytes: [UInt8]) -> [String: Int] {
        var lines = JSONLines(bytes: bytes)
        lines.value("")
        return lines.found
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var byte: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func step() {
        if byte == UInt8(ascii: "\n") { line += 1 }
        at += 1
    }

    private mutating func blanks() {
        while let byte, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { step() }
    }

    private mutating func value(_ path: String) {
        blanks()
        found[path] = line
        switch byte {
        case UInt8(ascii: "{"): members(path)
        case UInt8(ascii: "["): elements(path)
        case UInt8(ascii: "\""): _ = string()
        default:
            while let byte,
                ![UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]")].contains(byte)
            {
                step()
            }
        }
    }

    private mutating func members(_ path: String) {
        step()
        while true {
            blanks()
            guard byte == UInt8(ascii: "\"") else { break }
            let begun = line
            let key = string()
            let inner = path.isEmpty ? key : "\(path).\(key)"
            blanks()
            step()
            value(inner)
            found[inner] = begun
            blanks()
            guard byte == UInt8(ascii: ",") else { break }
            step()
        }
        step()
    }

    private mutating func elements(_ path: String) {
        step()
        var index = 0
        while true {
            blanks()
            guard let byte, byte != UInt8(ascii: "]") else { break }
            value("\(path)[\(index)]")
            index += 1
            blanks()
            guard self.byte == UInt8(ascii: ",") else { break }
            step()
        }
        step()
    }

    /// The text between the quotes as it is written, which is the key where nothing is escaped.
    private mutating func string() -> String {
        step()
        let start = at
        while let byte, byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\") { step() }
            step()
        }
        defer { step() }
        return String(decoding: bytes[start..<min(at, bytes.count)], as: UTF8.self)
    }
}
