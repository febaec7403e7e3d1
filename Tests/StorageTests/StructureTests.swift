import Storage
import Testing

/// Structures that the samples do not have: odd, large, or past following.
@Suite struct MediaStructure {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var ending: String
        var bytes: [UInt8]
        /// What the finding contains; nil where there is none.
        var finding: String?

        init(_ name: String, _ ending: String, _ bytes: [UInt8], _ finding: String? = nil) {
            (self.name, self.ending, self.bytes, self.finding) = (name, ending, bytes, finding)
        }

        var testDescription: String { "\(ending): \(name)" }
    }

    static func big(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    static func little(_ value: UInt64, _ count: Int) -> [UInt8] { big(value, count).reversed() }

    static func box(_ name: String, _ content: [UInt8] = [], says bytes: UInt64? = nil) -> [UInt8] {
        big(bytes ?? UInt64(content.count + 8), 4) + Array(name.utf8) + content
    }

    static let noise = (0..<100).map { UInt8($0 * 37 & 0x7f) }
    static let ftyp = box("ftyp", Array("isom".utf8) + [0, 0, 2, 0])
    static let moov = box("moov", noise)

    static let boxes: [Case] = [
        Case("content, then directory", "mp4", ftyp + box("mdat", noise) + moov),
        Case(
            "directory, then content to the end", "mp4", ftyp + moov + box("mdat", noise, says: 0)),
        Case(
            "content to the end, no directory", "mp4", ftyp + box("mdat", noise, says: 0),
            "before its moov box"),
        Case("nothing but content", "mp4", ftyp + box("mdat", noise)),
        Case("no directory", "mp4", ftyp + box("free") + box("mdat", noise), "before its moov box"),
        Case("no content", "mp4", ftyp + moov + box("free"), "before its mdat box"),
        Case(
            "content of 64 bits", "mp4",
            ftyp + moov + box("mdat", big(116, 8) + noise, says: 1)),
        Case(
            "content of 64 bits, cut", "mp4",
            ftyp + moov + box("mdat", big(5_000_000_116, 8) + noise, says: 1),
            "within its mdat box, 5000000000 bytes early"),
        Case(
            "length of 64 bits, cut", "mp4", ftyp + moov + box("mdat", [0, 0, 0], says: 1),
            "within its mdat box"),
        Case("length of all bits", "mp4", ftyp + box("mdat", big(.max, 8) + noise, says: 1)),
        Case("length that is none", "mp4", ftyp + box("mdat", noise, says: 3)),
        Case("64 bits that are none", "mp4", ftyp + box("mdat", big(3, 8) + noise, says: 1)),
        Case("box that nobody knows", "mp4", ftyp + box("GPMF", noise, says: 99_999)),
        Case("noise behind the header", "mp4", ftyp + noise),
        Case(
            "header of a box, cut", "mp4", ftyp + moov + box("mdat") + [0, 0, 1, 0, 0x66], "header"),
        Case("four bytes too many", "mp4", ftyp + moov + box("mdat") + [0, 0, 0, 0]),
        Case(
            "fragment without content", "mp4",
            ftyp + moov + box("moof") + box("mdat") + box("moof"), "before its mdat box"),
        Case("no brand", "mov", box("wide") + box("mdat", noise) + moov),
        Case("directory to the end", "mov", box("mdat", noise) + box("moov", noise, says: 0)),
        Case(
            "content inside the directory", "avif",
            ftyp + box("meta", [0, 0, 0, 0] + box("iloc") + box("idat", noise))),
        Case(
            "content inside, cut", "avif",
            ftyp + box("meta", [0, 0, 0, 0] + box("iloc", noise), says: 200), "within its meta box"),
        Case(
            "no content", "avif", ftyp + box("meta", [0, 0, 0, 0] + box("iloc")), "before its mdat"),
        Case("no directory", "heic", ftyp + box("mdat", noise), "before its meta box"),
    ]

    static func riff(
        _ form: String, _ chunks: [(String, [UInt8])], says outer: UInt64? = nil,
        _ inner: UInt64? = nil
    ) -> [UInt8] {
        var content = Array(form.utf8)
        for (name, bytes) in chunks {
            let length = name == "data" ? inner ?? UInt64(bytes.count) : UInt64(bytes.count)
            content += Array(name.utf8) + little(length, 4) + bytes
            if bytes.count % 2 == 1 { content.append(0) }
        }
        return Array("RIFF".utf8) + little(outer ?? UInt64(content.count), 4) + content
    }

    static let sound: [(String, [UInt8])] = [("fmt ", Array(noise[..<16])), ("data", noise)]

    static let riffs: [Case] = [
        Case("as it should be", "wav", riff("WAVE", sound)),
        Case("outer length of zero", "wav", riff("WAVE", sound, says: 0)),
        Case("outer length of all bits", "wav", riff("WAVE", sound, says: 0xffff_ffff)),
        Case(
            "both lengths of all bits", "wav", riff("WAVE", sound, says: 0xffff_ffff, 0xffff_ffff)),
        Case("lengths of a stream", "wav", riff("WAVE", sound, says: 0x7fff_f024, 0x7fff_f000)),
        Case("outer length with its own header", "wav", riff("WAVE", sound, says: 144)),
        Case("outer length that is too small", "wav", riff("WAVE", sound, says: 36)),
        Case("inner length that is too large", "wav", riff("WAVE", sound, 4_000_000)),
        Case("both lengths too large", "wav", riff("WAVE", sound, says: 9136, 9100), "9000 bytes"),
        Case("no sound", "wav", riff("WAVE", [sound[0]], says: 500), "short of its 508 bytes"),
        Case("cut behind the sound", "wav", riff("WAVE", sound + [("LIST", noise)]).dropped(108)),
        Case(
            "cut within what follows the sound", "wav",
            riff("WAVE", sound + [("LIST", noise)]).dropped(1), "within its LIST chunk, 1 byte"),
        Case("padding within", "wav", riff("WAVE", [sound[0], ("junk", [1]), sound[1]])),
        Case("as it should be", "webp", riff("WEBP", [("VP8 ", noise)])),
        Case("cut", "webp", riff("WEBP", [("VP8 ", noise)]).dropped(1), "1 byte early"),
        Case(
            "cut between chunks", "webp",
            riff("WEBP", [("VP8X", noise), ("VP8 ", noise)]).dropped(108),
            "after its VP8X chunk"),
        Case("outer length that is too small", "webp", riff("WEBP", [("VP8 ", noise)], says: 30)),
    ]

    static let jpegStart: [UInt8] = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2]
    static let scan: [UInt8] = [0xff, 0xda, 0, 4, 1, 1]
    static let gifStart = Array("GIF89a".utf8) + [1, 0, 1, 0, 0, 0, 0]

    static let others: [Case] = [
        Case("fillers", "jpg", jpegStart + [0xff, 0xff] + scan + [9, 0xff, 0xff, 0xd9]),
        Case(
            "stuffed bytes and restarts", "jpg",
            jpegStart + scan + [0xff, 0, 0xff, 0xd3, 0xff, 0xd9]),
        Case("stuffed end", "jpg", jpegStart + scan + [9, 0xff, 0, 0xd9], "end marker"),
        Case(
            "two scans", "jpg", jpegStart + scan + [9, 0xff, 0xc4, 0, 4, 0xff, 0xd9] + scan,
            "end marker"),
        Case("ends with half a marker", "jpg", jpegStart + scan + [9, 0xff], "end marker"),
        Case("no picture", "jpg", jpegStart, "before its picture"),
        Case("noise behind the header", "jpg", jpegStart + [1, 2, 3]),
        Case("segment without length", "jpg", jpegStart + [0xff, 0xe1, 0, 0, 9]),
        Case("noise behind the header", "png", MediaTypeTests.png + noise),
        Case(
            "chunk of 2 GiB", "png",
            MediaTypeTests.png + noise[..<17] + big(1 << 31, 4) + Array("IDAT".utf8)),
        Case("block that nobody knows", "gif", gifStart + [0x99, 1, 2]),
        Case("no picture", "gif", gifStart + [0x3b]),
        Case("no trailer", "gif", gifStart + [0x21, 0xfe, 1, 9, 0], "before its trailer"),
        Case("page, then noise", "ogg", Array(MediaSample.named("opus.ogg").bytes + noise)),
        Case(
            "no sound", "ogg", Array(MediaSample.named("opus.ogg").bytes[..<47]),
            "before its content"),
        Case("block that is none", "flac", Array("fLaC".utf8) + [0x7f, 0, 0, 9]),
        Case(
            "tag, no sound", "mp3", Array("ID3".utf8) + [4, 0, 0, 0, 0, 0, 2, 1, 2], "first frame"),
        Case(
            "tag with a footer", "mp3", Array("ID3".utf8) + [4, 0, 0x10, 0, 0, 0, 0, 9], "its tag"),
        Case("length that is none", "glb", Array("glTF".utf8) + little(2, 4) + little(3, 4)),
        Case(
            "lengths of 8 bytes", "webm",
            [0x1a, 0x45, 0xdf, 0xa3, 1] + big(20, 7) + noise[..<20] + [0x18, 0x53, 0x80, 0x67, 1]
                + big(100, 7) + noise),
        Case(
            "lengths of 8 bytes, cut", "webm",
            [0x1a, 0x45, 0xdf, 0xa3, 1] + big(20, 7) + noise[..<20] + [0x18, 0x53, 0x80, 0x67, 1]
                + big(101, 7) + noise, "within its segment, 1 byte early"),
        Case("length of no width", "webm", [0x1a, 0x45, 0xdf, 0xa3, 0] + noise),
        Case(
            "directory before the beginning", "zip",
            [0x50, 0x4b, 3, 4] + noise + [0x50, 0x4b, 5, 6] + noise[..<8] + little(9, 4)
                + little(9999, 4) + [0, 0], "central directory"),
        Case(
            "65,535 bytes behind the end", "zip",
            MediaSample.named("stored.zip").bytes
                + [UInt8](repeating: 7, count: 65_535)),
        Case("anything", "xyz", [1]),
    ]

    @Test(arguments: boxes + riffs + others)
    func `only what the structure proves is refused`(_ given: Case) {
        let type = MediaType(contentType: "", fileExtension: given.ending)
        let whole = Gate.truncation(given.bytes, as: type)
        if let expected = given.finding {
            #expect(whole?.contains(expected) == true, "\(whole ?? "nothing")")
        } else {
            #expect(whole == nil)
        }
        #expect(Gate.truncation(given.bytes, as: type, pieces: 1) == whole)
    }
}

extension [UInt8] {
    fileprivate func dropped(_ count: Int) -> [UInt8] { Array(dropLast(count)) }
}
