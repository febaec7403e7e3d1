/// Names for what is not stored: text of every kind, and formats that no application was promised.
///
/// Sources: the WHATWG MIME Sniffing standard, the formats' own specifications, the Wikipedia list
/// of file signatures.
enum Refusal {
    /// What a file that reads as text is, whatever words it begins with; nil when it is none.
    ///
    /// A page with an error on it is the usual false file, and its text may begin like a signature:
    /// "GIF89a = 1", "RIFF raff". No kind of media does without control bytes at its beginning, but
    /// those whose first byte no text begins with.
    static func text(_ bytes: [UInt8]) -> String? {
        guard let first = bytes.first else { return "an empty file" }
        guard first != 0xff, isText(bytes) else { return nil }
        var text = bytes[...]
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { text = text.dropFirst(3) }
        text = text.drop { $0 <= 0x20 }
        let start = String(decoding: text.prefix(64), as: UTF8.self).lowercased()
        if start.isEmpty { return "a file of blanks" }
        if start.hasPrefix("<") { return markup(start, text) }
        if start.hasPrefix("{") || start.hasPrefix("[") { return "JSON" }
        if start.hasPrefix("#extm3u") { return "a playlist" }
        if start.hasPrefix("%pdf-") { return "a PDF file" }
        return "plain text"
    }

    /// What a file is that a browser may run, or that may be a script; nil when it can be neither.
    static func runnable(_ bytes: [UInt8]) -> String? {
        guard let kind = text(bytes) else {
            let start = bytes.drop { $0 <= 0x20 || $0 >= 0x7f }
            if let name = foreign(bytes), name == "UTF-16 text" { return name }
            // Markup and comments may hold any bytes behind their first ones.
            let marks = ["<", "/*", "//"]
            return marks.contains { start.starts(with: $0.utf8) } ? "markup or a script" : nil
        }
        if ["a playlist", "a PDF file"].contains(kind) {
            return bytes.contains(UInt8(ascii: "<")) && kind == "a playlist" ? "markup" : nil
        }
        guard kind == "JSON" else { return kind == "plain text" ? "text, perhaps a script" : kind }
        // An object whose first member has a quoted name is no statement of any script.
        let rest = bytes.drop { $0 <= 0x20 }.dropFirst().drop { $0 <= 0x20 }
        guard rest.first == UInt8(ascii: "\""),
            let end = rest.dropFirst().firstIndex(of: UInt8(ascii: "\"")),
            rest[(end + 1)...].drop(while: { $0 <= 0x20 }).first == UInt8(ascii: ":")
        else { return "text, perhaps a script" }
        return nil
    }

    private static func markup(_ start: String, _ text: ArraySlice<UInt8>) -> String {
        if start.hasPrefix("<svg") { return "SVG" }
        if start.hasPrefix("<error") || start.hasPrefix("<list") { return "XML" }
        let whole = String(decoding: text, as: UTF8.self).lowercased()
        if start.hasPrefix("<?xml") || start.hasPrefix("<!--"), !whole.contains("<html") {
            if whole.contains("<svg") { return "SVG" }
            if start.hasPrefix("<?xml") { return "XML" }
        }
        if start.hasPrefix("<!doctype svg") { return "SVG" }
        return start.hasPrefix("<mpd") ? "a playlist" : "an HTML page"
    }

    /// The name of a known format that is not stored; nil when it is none of these.
    static func foreign(_ bytes: [UInt8]) -> String? {
        if Signature.isRawAAC(bytes) { return "a raw AAC file" }
        return foreign.first { format in
            format.marks.allSatisfy { mark in
                bytes.dropFirst(mark.offset).starts(with: mark.bytes)
            }
        }?.name
    }

    private struct Mark {
        var offset: Int
        var bytes: [UInt8]

        init(_ offset: Int, _ bytes: [UInt8]) {
            self.offset = offset
            self.bytes = bytes
        }

        init(_ offset: Int, _ text: String) {
            self.init(offset, Array(text.utf8))
        }
    }

    /// Of two formats with the same beginning, the one with more marks comes first.
    private static let foreign: [(name: String, marks: [Mark])] = [
        ("a PDF file", [Mark(0, "%PDF-")]),
        ("gzip-compressed bytes", [Mark(0, [0x1f, 0x8b])]),
        ("zstd-compressed bytes", [Mark(0, [0x28, 0xb5, 0x2f, 0xfd])]),
        ("xz-compressed bytes", [Mark(0, [0xfd]), Mark(1, "7zXZ")]),
        ("bzip2-compressed bytes", [Mark(0, "BZh"), Mark(4, [0x31, 0x41, 0x59, 0x26])]),
        ("a 7-Zip archive", [Mark(0, "7z"), Mark(2, [0xbc, 0xaf, 0x27, 0x1c])]),
        ("a RAR archive", [Mark(0, "Rar!"), Mark(4, [0x1a, 0x07])]),
        ("a tar archive", [Mark(257, "ustar")]),
        ("a program", [Mark(0, [0x7f]), Mark(1, "ELF")]),
        ("a program", [Mark(0, "MZ")]),
        ("a program", [Mark(0, [0xcf, 0xfa, 0xed, 0xfe])]),
        ("a program", [Mark(0, [0xca, 0xfe, 0xba, 0xbe])]),
        ("a program", [Mark(0, [0]), Mark(1, "asm")]),
        ("a playlist", [Mark(0, "#EXTM3U")]),
        ("UTF-16 text", [Mark(0, [0xff, 0xfe])]),
        ("UTF-16 text", [Mark(0, [0xfe, 0xff])]),
        ("UTF-16 text", [Mark(0, [0x3c, 0])]),
        ("UTF-16 text", [Mark(0, [0, 0x3c, 0])]),
        ("an AVI file", [Mark(0, "RIFF"), Mark(8, "AVI ")]),
        ("a Matroska file", [Mark(0, [0x1a, 0x45, 0xdf, 0xa3])]),
        ("a BMP image", [Mark(0, "BM"), Mark(6, [0, 0, 0, 0])]),
        ("a TIFF image", [Mark(0, "II"), Mark(2, [0x2a, 0])]),
        ("a TIFF image", [Mark(0, "MM"), Mark(2, [0, 0x2a])]),
        ("an icon", [Mark(0, [0, 0, 1, 0])]),
        ("a Photoshop file", [Mark(0, "8BPS")]),
        ("a JPEG 2000 image", [Mark(0, [0, 0, 0, 0x0c]), Mark(4, "jP  ")]),
        ("a JPEG XL image", [Mark(0, [0, 0, 0, 0x0c]), Mark(4, "JXL ")]),
        ("a JPEG XL image", [Mark(0, [0xff, 0x0a])]),
        ("a raw photograph", [Mark(4, "ftypcrx ")]),
        ("a piece of a DASH stream", [Mark(4, "styp")]),
        ("an MPEG transport stream", [Mark(0, [0x47]), Mark(188, [0x47])]),
        ("an MPEG program stream", [Mark(0, [0, 0, 1, 0xba])]),
        ("a Flash video", [Mark(0, "FLV"), Mark(3, [1])]),
        ("a Windows Media file", [Mark(0, [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11])]),
        ("a MIDI file", [Mark(0, "MThd")]),
        ("an AIFF file", [Mark(0, "FORM"), Mark(8, "AIF")]),
        ("a Core Audio file", [Mark(0, "caff")]),
        ("an AC-3 file", [Mark(0, [0x0b, 0x77])]),
        ("an SQLite database", [Mark(0, "SQLite format 3")]),
    ]

    /// Binary files have control bytes; text has none but blanks, line ends and escape.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        for byte in bytes {
            switch byte {
            case 9, 10, 12, 13, 27: continue
            case 0..<0x20, 0x7f: return false
            default: continue
            }
        }
        return true
    }
}
