/// The first bytes of file formats.
///
/// Sources: the WHATWG MIME Sniffing standard, ISO/IEC 14496-12 (brands, mp4ra.org), the Matroska
/// specification, RFC 3533 (Ogg), RFC 9639 (FLAC), the glTF 2.0 specification.
enum Signature {
    /// The media type of bytes with a signature that is known.
    static func media(_ bytes: [UInt8], declared: String) -> MediaType? {
        if let plain = plain.first(where: { begins(bytes, $0.0) }) { return plain.1 }
        return riff(bytes) ?? boxes(bytes, declared) ?? ebml(bytes, declared) ?? ogg(bytes)
            ?? mpegAudio(bytes) ?? model(bytes)
    }

    /// What bytes that are certainly not media are; nil when nobody can tell.
    static func refusal(_ bytes: [UInt8]) -> String? {
        guard !bytes.isEmpty else { return "an empty file" }
        if let known = foreign.first(where: { begins(bytes, $0.0) }) { return known.1 }
        guard isText(bytes) else { return nil }
        var text = bytes[...]
        if begins(bytes, [0xef, 0xbb, 0xbf]) { text = text.dropFirst(3) }
        text = text.drop { $0 <= 0x20 }
        let start = String(decoding: text.prefix(64), as: UTF8.self).lowercased()
        if start.isEmpty { return "a file of blanks" }
        if start.hasPrefix("<svg") { return "SVG" }
        if start.hasPrefix("<?xml") {
            let whole = String(decoding: text, as: UTF8.self).lowercased()
            return whole.contains("<svg") ? "SVG" : whole.contains("<html") ? "an HTML page" : "XML"
        }
        if start.hasPrefix("<") {
            return start.hasPrefix("<error") || start.hasPrefix("<list") ? "XML" : "an HTML page"
        }
        if start.hasPrefix("{") || start.hasPrefix("[") { return "JSON" }
        return "plain text"
    }

    // MARK: Formats with one fixed beginning

    private static let plain: [([UInt8], MediaType)] = [
        ([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], type("image/png", "png")),
        ([0xff, 0xd8, 0xff], type("image/jpeg", "jpg")),
        (Array("GIF87a".utf8), type("image/gif", "gif")),
        (Array("GIF89a".utf8), type("image/gif", "gif")),
        (Array("fLaC".utf8) + [0], type("audio/flac", "flac")),
        ([0x50, 0x4b, 3, 4], type("application/zip", "zip")),
        ([0x50, 0x4b, 5, 6], type("application/zip", "zip")),
    ]

    private static let foreign: [([UInt8], String)] = [
        (Array("%PDF-".utf8), "a PDF file"),
        ([0x1f, 0x8b], "gzip-compressed bytes"),
        ([0x28, 0xb5, 0x2f, 0xfd], "zstd-compressed bytes"),
        ([0x7f, 0x45, 0x4c, 0x46], "a program"),
        (Array("#EXTM3U".utf8), "a playlist"),
        ([0xff, 0xfe], "UTF-16 text"),
        ([0xfe, 0xff], "UTF-16 text"),
    ]

    // MARK: Containers

    private static func riff(_ bytes: [UInt8]) -> MediaType? {
        guard begins(bytes, Array("RIFF".utf8)) || begins(bytes, Array("RF64".utf8)) else {
            return nil
        }
        switch word(bytes, 8) {
        case "WEBP": return type("image/webp", "webp")
        case "WAVE": return type("audio/wav", "wav")
        case "AVI ": return type("video/x-msvideo", "avi")
        default: return nil
        }
    }

    /// ISO base media files, and the QuickTime files from before they had brands.
    private static func boxes(_ bytes: [UInt8], _ declared: String) -> MediaType? {
        guard bytes.count >= 12, let box = word(bytes, 4) else { return nil }
        let length = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
        guard box == "ftyp" else {
            // These words also begin English sentences; a length is no text.
            let old = ["moov", "mdat", "wide", "free", "skip", "pnot"].contains(box)
            return old && bytes[..<4].contains { $0 < 0x20 } ? type("video/quicktime", "mov") : nil
        }
        let end = min(bytes.count, length)
        let brands = stride(from: 16, to: max(16, end - 3), by: 4).compactMap { word(bytes, $0) }
        let major = word(bytes, 8) ?? ""
        let all = [major] + brands
        if major == "qt  " { return type("video/quicktime", "mov") }
        if ["avif", "avis"].contains(major) { return type("image/avif", "avif") }
        if heif.contains(major) { return type("image/heic", "heic") }
        if ["mif1", "msf1"].contains(major) {
            return all.contains("avif") || all.contains("avis")
                ? type("image/avif", "avif") : type("image/heic", "heic")
        }
        if ["M4A ", "M4B ", "M4P "].contains(major) { return type("audio/mp4", "m4a") }
        // The generic brands do not tell sound from pictures.
        let isSound = ["audio/mp4", "audio/x-m4a", "audio/m4a"].contains(declared)
        return isSound ? type("audio/mp4", "m4a") : type("video/mp4", "mp4")
    }

    private static let heif = ["heic", "heix", "heim", "heis", "hevc", "hevx"]

    private static func ebml(_ bytes: [UInt8], _ declared: String) -> MediaType? {
        guard begins(bytes, [0x1a, 0x45, 0xdf, 0xa3]) else { return nil }
        // The document type has id 0x4282 and a one-byte length.
        if contains(bytes, [0x42, 0x82, 0x84] + Array("webm".utf8)) {
            return type(declared == "audio/webm" ? "audio/webm" : "video/webm", "webm")
        }
        if contains(bytes, [0x42, 0x82, 0x88] + Array("matroska".utf8)) {
            return type("video/x-matroska", "mkv")
        }
        return nil
    }

    private static func ogg(_ bytes: [UInt8]) -> MediaType? {
        guard begins(bytes, Array("OggS".utf8) + [0]) else { return nil }
        return contains(bytes, [0x80] + Array("theora".utf8))
            ? type("video/ogg", "ogv") : type("audio/ogg", "ogg")
    }

    // MARK: Others

    private static func mpegAudio(_ bytes: [UInt8]) -> MediaType? {
        if begins(bytes, Array("ID3".utf8)), bytes.count >= 10, (2...4).contains(bytes[3]),
            bytes[6..<10].allSatisfy({ $0 < 0x80 })
        {
            return type("audio/mpeg", "mp3")
        }
        guard bytes.count >= 4, bytes[0] == 0xff else { return nil }
        if bytes[1] & 0xf6 == 0xf0 { return type("audio/aac", "aac") }
        // Sync word, a version that exists, layer III, a bit rate and a sample rate that exist.
        let isFrame =
            bytes[1] & 0xe6 == 0xe2 && bytes[1] & 0x18 != 0x08 && bytes[2] & 0xf0 != 0xf0
            && bytes[2] & 0xf0 != 0 && bytes[2] & 0x0c != 0x0c
        return isFrame ? type("audio/mpeg", "mp3") : nil
    }

    private static func model(_ bytes: [UInt8]) -> MediaType? {
        guard word(bytes, 0) == "glTF", bytes.count >= 8, (1...2).contains(bytes[4]),
            bytes[5..<8].allSatisfy({ $0 == 0 })
        else { return nil }
        return type("model/gltf-binary", "glb")
    }

    /// Binary files have control bytes; text has none but blanks, line ends and escape.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7f || [9, 10, 12, 13, 27].contains($0) }
    }

    private static func type(_ contentType: String, _ fileExtension: String) -> MediaType {
        MediaType(contentType: contentType, fileExtension: fileExtension)
    }

    private static func begins(_ bytes: [UInt8], _ start: [UInt8]) -> Bool {
        bytes.starts(with: start)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> String? {
        guard offset >= 0, bytes.count >= offset + 4 else { return nil }
        return String(decoding: bytes[offset..<offset + 4], as: UTF8.self)
    }

    private static func contains(_ bytes: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard bytes.count >= wanted.count else { return false }
        return (0...bytes.count - wanted.count).contains {
            bytes[$0..<$0 + wanted.count].elementsEqual(wanted)
        }
    }
}
