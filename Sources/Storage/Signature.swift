/// The first bytes of the formats that are stored.
///
/// Each is known by its signature and by a few fields behind it, so that a word that happens to
/// begin a file is not enough. A field is looked at as far as the file has it: that a file ends
/// within its header is for `TruncationCheck` to say.
///
/// Sources: the WHATWG MIME Sniffing standard; ISO/IEC 15948 (PNG), ITU-T T.81 (JPEG), the GIF89a
/// specification, RFC 9649 (WebP), ISO/IEC 14496-12 (boxes; brands at mp4ra.org), RFC 8794 (EBML),
/// RFC 3533 (Ogg), RFC 9639 (FLAC), ISO/IEC 11172-3 (MP3), id3.org, the glTF 2.0 specification,
/// PKWARE's APPNOTE (ZIP).
enum Signature {
    /// The media type of bytes with a signature that is known; nil when there is none.
    static func media(_ bytes: [UInt8], declared: String) -> MediaType? {
        if isPNG(bytes) { return .png }
        if isJPEG(bytes) { return .jpeg }
        if isGIF(bytes) { return .gif }
        if isFLAC(bytes) { return .flac }
        if isZIP(bytes) { return .zip }
        if isModel(bytes) { return .glb }
        if isMP3(bytes) { return .mp3 }
        return riff(bytes) ?? boxes(bytes, declared) ?? webm(bytes, declared) ?? ogg(bytes)
    }

    // MARK: Pictures

    private static func isPNG(_ bytes: [UInt8]) -> Bool {
        begins(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
            && agrees(bytes, at: 8, [0, 0, 0, 13] + Array("IHDR".utf8))
    }

    /// Start of image, then a marker that may follow it: a table, a frame, metadata or a filler.
    private static func isJPEG(_ bytes: [UInt8]) -> Bool {
        guard begins(bytes, [0xff, 0xd8, 0xff]) else { return false }
        guard bytes.count >= 4 else { return true }
        switch bytes[3] {
        case 0xc0...0xcf, 0xdb, 0xdd, 0xe0...0xfe:
            // Every segment's length counts its own two bytes.
            return bytes.count < 6 || bytes[4] != 0 || bytes[5] >= 2
        default:
            return bytes[3] == 0xff
        }
    }

    private static func isGIF(_ bytes: [UInt8]) -> Bool {
        guard begins(bytes, Array("GIF87a".utf8)) || begins(bytes, Array("GIF89a".utf8)) else {
            return false
        }
        // A screen without width and height is left to the first picture by some encoders. The
        // first block, where it is in sight, is a picture, an extension, or the end.
        guard bytes.count > 13 else { return true }
        let colors = bytes[10] & 0x80 == 0 ? 0 : 3 << (Int(bytes[10] & 7) + 1)
        return bytes.count <= 13 + colors || [0x21, 0x2c, 0x3b, 0].contains(bytes[13 + colors])
    }

    // MARK: Containers

    private static func riff(_ bytes: [UInt8]) -> MediaType? {
        let isRIFF = begins(bytes, Array("RIFF".utf8))
        guard isRIFF || begins(bytes, Array("RF64".utf8)) else { return nil }
        switch word(bytes, 8) {
        case "WEBP" where isRIFF:
            let first = word(bytes, 12)
            return first.map { ["VP8 ", "VP8L", "VP8X"].contains($0) } ?? true ? .webp : nil
        case "WAVE":
            // Every chunk has a name that can be printed.
            return bytes.dropFirst(12).prefix(4).allSatisfy { 0x20..<0x7f ~= $0 } ? .wav : nil
        default:
            return nil
        }
    }

    /// ISO base media files, and the QuickTime files from before they had brands.
    private static func boxes(_ bytes: [UInt8], _ declared: String) -> MediaType? {
        guard bytes.count >= 12, let box = word(bytes, 4) else { return nil }
        let length = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
        guard box == "ftyp" else {
            // A size of one says that the real one follows the name, zero that nothing follows.
            let old = ["moov", "mdat", "wide", "free", "skip", "pnot"].contains(box)
            return old && (length <= 1 || length >= 8) ? .mov : nil
        }
        guard (12...4096).contains(length) else { return nil }
        let end = min(bytes.count, length)
        let brands = stride(from: 16, to: max(16, end - 3), by: 4).compactMap { word(bytes, $0) }
        let major = word(bytes, 8) ?? ""
        switch major {
        case "qt  ": return .mov
        case "avif", "avis": return .avif
        case "heic", "heix", "heim", "heis", "hevc", "hevx": return .heic
        case "mif1", "msf1":
            return brands.contains("avif") || brands.contains("avis") ? .avif : .heic
        case "M4A ", "M4B ", "M4P ": return .m4a
        case "crx ", "jp2 ", "jpx ", "jxl ": return nil
        default:
            // The generic brands do not tell sound from pictures.
            return ["audio/mp4", "audio/x-m4a", "audio/m4a"].contains(declared) ? .m4a : .mp4
        }
    }

    private static func webm(_ bytes: [UInt8], _ declared: String) -> MediaType? {
        guard begins(bytes, [0x1a, 0x45, 0xdf, 0xa3]) else { return nil }
        // The document type is a string under id 0x4282; its length has one byte, or more that
        // are zero but for the last.
        for offset in bytes.indices.dropLast(2)
        where bytes[offset] == 0x42 && bytes[offset + 1] == 0x82 {
            let size = bytes[offset + 2]
            let extra = size == 0 ? 0 : size.leadingZeroBitCount
            guard begins(Array(bytes.dropFirst(offset + 3 + extra).prefix(4)), Array("webm".utf8))
            else { continue }
            return declared == "audio/webm" ? .webmSound : .webm
        }
        return nil
    }

    private static func ogg(_ bytes: [UInt8]) -> MediaType? {
        // Version zero, and the first page of a stream, which is no continued one.
        guard begins(bytes, Array("OggS".utf8) + [0]), agrees(bytes, at: 5, [2]) else {
            return nil
        }
        let theora = [0x80] + Array("theora".utf8)
        let isVideo = bytes.indices.contains { bytes[$0...].starts(with: theora) }
        return isVideo ? .ogv : .ogg
    }

    // MARK: Sound

    private static func isFLAC(_ bytes: [UInt8]) -> Bool {
        // The first block describes the stream in 34 bytes; it may be the last one too.
        begins(bytes, Array("fLaC".utf8))
            && (agrees(bytes, at: 4, [0, 0, 0, 34]) || agrees(bytes, at: 4, [0x80, 0, 0, 34]))
    }

    private static func isMP3(_ bytes: [UInt8]) -> Bool {
        if let tag = tagBytes(bytes) {
            // Other sound may have such a tag in front.
            let sound = Array(bytes.dropFirst(tag))
            return !isRawAAC(sound) && !begins(sound, Array("fLaC".utf8))
        }
        guard let frame = MP3Frame(bytes[...]) else { return false }
        let next = bytes.dropFirst(frame.bytes)
        return next.count < 4 || MP3Frame(next)?.isLike(frame) == true
            || begins(Array(next), Array("TAG".utf8))
    }

    /// How many bytes an ID3v2 tag at the beginning says that it has; nil when there is none.
    static func tagBytes(_ bytes: [UInt8]) -> Int? {
        guard begins(bytes, Array("ID3".utf8)), bytes.count >= 10, (2...4).contains(bytes[3]),
            bytes[6..<10].allSatisfy({ $0 < 0x80 })
        else { return nil }
        return 10 + bytes[6..<10].reduce(0) { $0 << 7 | Int($1) } + (bytes[5] & 0x10 == 0 ? 0 : 10)
    }

    /// ADTS: the sync word of MPEG audio with layer 0.
    static func isRawAAC(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 2 && bytes[0] == 0xff && bytes[1] & 0xf6 == 0xf0
    }

    // MARK: Models and archives

    private static func isModel(_ bytes: [UInt8]) -> Bool {
        guard word(bytes, 0) == "glTF", bytes.count >= 8, (1...2).contains(bytes[4]),
            bytes[5..<8].allSatisfy({ $0 == 0 })
        else { return false }
        // The first chunk of version 2 is JSON; version 1 has a zero where its name would be.
        return bytes[4] == 1 || agrees(bytes, at: 16, Array("JSON".utf8))
    }

    private static func isZIP(_ bytes: [UInt8]) -> Bool {
        if begins(bytes, [0x50, 0x4b, 5, 6]) {
            return agrees(bytes, at: 4, [UInt8](repeating: 0, count: 16))
        }
        guard begins(bytes, [0x50, 0x4b, 3, 4]) else { return false }
        // Versions go up to 6.3; the methods of compression, up to 99.
        return bytes.count < 10 || bytes[4] < 100 && bytes[8] < 100 && bytes[9] == 0
    }

    // MARK: Reading

    private static func begins(_ bytes: [UInt8], _ start: [UInt8]) -> Bool {
        bytes.starts(with: start)
    }

    /// Whether the bytes at an offset are the expected ones, as far as there are any.
    private static func agrees(_ bytes: [UInt8], at offset: Int, _ expected: [UInt8]) -> Bool {
        zip(bytes.dropFirst(offset), expected).allSatisfy { $0 == $1 }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> String? {
        guard offset >= 0, bytes.count >= offset + 4 else { return nil }
        return String(decoding: bytes[offset..<offset + 4], as: UTF8.self)
    }
}

/// The header of a frame of MPEG layer III audio.
struct MP3Frame {
    /// Length of the frame with its header.
    let bytes: Int
    private let version: UInt8
    private let rate: UInt8

    /// Reads the first four bytes; nil when they are no such header.
    init?(_ header: ArraySlice<UInt8>) {
        guard header.count >= 4 else { return nil }
        let start = header.startIndex
        let (second, third) = (header[start + 1], header[start + 2])
        // Sync word, a version that exists, layer III, a bit rate and a sample rate that exist.
        guard header[start] == 0xff, second & 0xe6 == 0xe2, second & 0x18 != 0x08,
            1...14 ~= third >> 4, third & 0x0c != 0x0c
        else { return nil }
        version = second & 0x18
        rate = third & 0x0c
        let isFirst = version == 0x18
        let kilobits = (isFirst ? Self.kilobits1 : Self.kilobits2)[Int(third >> 4)]
        let hertz =
            [44_100, 48_000, 32_000][Int(rate >> 2)]
            / (isFirst ? 1 : version == 0x10 ? 2 : 4)
        bytes = (isFirst ? 144_000 : 72_000) * kilobits / hertz + Int(third >> 1 & 1)
    }

    func isLike(_ other: MP3Frame) -> Bool { version == other.version && rate == other.rate }

    private static let kilobits1 = [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ]
    private static let kilobits2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
}
