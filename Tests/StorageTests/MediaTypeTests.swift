import Storage
import Testing

struct MediaTypeTests {
    /// A file's beginning: the text's characters as bytes, padded with binary zeros.
    struct Sample: CustomTestStringConvertible, Sendable {
        let name: String
        let bytes: [UInt8]
        let declared: String?
        let expected: String?

        init(_ name: String, _ bytes: [UInt8], _ declared: String? = nil, is expected: String?) {
            self.name = name
            self.bytes = bytes
            self.declared = declared
            self.expected = expected
        }

        var testDescription: String { "\(name), declared \(declared ?? "nothing")" }
    }

    static func text(_ text: String) -> [UInt8] {
        text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    }

    static func box(_ brands: String...) -> [UInt8] {
        let all = text("ftyp" + brands[0]) + [0, 0, 2, 0] + text(brands.dropFirst().joined())
        return [0, 0, 0, UInt8(all.count + 4)] + all + [0, 0, 0, 8] + text("free")
    }

    static let png = text("\u{89}PNG\r\n\u{1a}\n") + [0, 0, 0, 13] + text("IHDR")

    /// Two headers of frames of so many bytes, with nothing in them.
    static func frames(_ bytes: Int, _ header: [UInt8]) -> [UInt8] {
        let frame = header + [UInt8](repeating: 0, count: bytes - header.count)
        return frame + frame + frame + frame
    }

    static let known: [Sample] = [
        Sample("PNG", png, is: "image/png png"),
        Sample("PNG as text", png, "text/html", is: "image/png png"),
        Sample("PNG as unknown type", png, "image/x-unheard-of", is: "image/png png"),
        Sample("JPEG", [0xff, 0xd8, 0xff, 0xe0, 0, 16], is: "image/jpeg jpg"),
        Sample(
            "JPEG named PNG", [0xff, 0xd8, 0xff, 0xdb, 0, 67], "image/png", is: "image/jpeg jpg"),
        Sample("GIF", text("GIF89a") + [1, 0], is: "image/gif gif"),
        Sample("old GIF", text("GIF87a") + [1, 0], is: "image/gif gif"),
        Sample("WebP", text("RIFF") + [9, 0, 0, 0] + text("WEBPVP8 "), is: "image/webp webp"),
        Sample("WAV", text("RIFF") + [9, 0, 0, 0] + text("WAVEfmt "), is: "audio/wav wav"),
        Sample("AVIF", box("avif", "avif", "mif1"), is: "image/avif avif"),
        Sample("AVIF sequence", box("avis", "msf1"), is: "image/avif avif"),
        Sample("AVIF by brand", box("mif1", "miaf", "avif"), is: "image/avif avif"),
        Sample("HEIC", box("heic", "mif1"), is: "image/heic heic"),
        Sample("HEIC by brand", box("mif1", "heic"), is: "image/heic heic"),
        Sample("MP4", box("isom", "iso2", "avc1", "mp41"), is: "video/mp4 mp4"),
        Sample("MP4 2", box("mp42"), "binary/octet-stream", is: "video/mp4 mp4"),
        Sample("MP4 fragment", box("dash"), is: "video/mp4 mp4"),
        Sample("M4V", box("M4V "), is: "video/mp4 mp4"),
        Sample("M4A", box("M4A ", "isom"), "video/mp4", is: "audio/mp4 m4a"),
        Sample("MP4 with sound", box("isom"), "audio/mp4", is: "audio/mp4 m4a"),
        Sample("MOV", box("qt  "), "video/mp4", is: "video/quicktime mov"),
        Sample("old MOV", [0, 0, 1, 0] + text("moov") + [0, 0, 0, 8], is: "video/quicktime mov"),
        Sample("old MOV, wide", [0, 0, 0, 8] + text("wide????"), is: "video/quicktime mov"),
        Sample(
            "WebM",
            [0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42, 0x86, 0x81, 1, 0x42, 0x82, 0x84]
                + text("webm"), is: "video/webm webm"),
        Sample(
            "WebM with sound", [0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42, 0x82, 0x84] + text("webm"),
            "audio/webm", is: "audio/webm webm"),
        Sample(
            "WebM with a long length",
            [0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42, 0x82, 0x40, 4] + text("webm"),
            is: "video/webm webm"),
        Sample("MP3 with a tag", text("ID3") + [4, 0, 0, 0, 0, 0x10, 0], is: "audio/mpeg mp3"),
        Sample("MP3", frames(417, [0xff, 0xfb, 0x90, 0x64]), is: "audio/mpeg mp3"),
        Sample("MP3, MPEG 2", frames(192, [0xff, 0xf3, 0x84, 0xc4]), is: "audio/mpeg mp3"),
        Sample("MP3, MPEG 2.5", frames(144, [0xff, 0xe3, 0x28, 0xc4]), is: "audio/mpeg mp3"),
        Sample("MP3, frame of 1044", [0xff, 0xfb, 0xe0, 0x64], is: "audio/mpeg mp3"),
        Sample("Ogg", text("OggS") + [0, 2] + text("\u{1}vorbis"), is: "audio/ogg ogg"),
        Sample("Opus", text("OggS") + [0, 2] + text("OpusHead"), is: "audio/ogg ogg"),
        Sample("Ogg video", text("OggS") + [0, 2] + text("\u{80}theora"), is: "video/ogg ogv"),
        Sample("FLAC", text("fLaC") + [0, 0, 0, 0x22], is: "audio/flac flac"),
        Sample(
            "GLB", text("glTF") + [2, 0, 0, 0, 99, 0, 0, 0, 79, 0, 0, 0] + text("JSON"),
            is: "model/gltf-binary glb"),
        Sample("ZIP", text("PK\u{3}\u{4}") + [20, 0], "image/png", is: "application/zip zip"),
        Sample("empty ZIP", text("PK\u{5}\u{6}") + [0, 0], is: "application/zip zip"),
        Sample("GLB 1", text("glTF") + [1, 0, 0, 0, 99], is: "model/gltf-binary glb"),
    ]

    static let refused: [Sample] = [
        Sample("nothing", [], "image/png", is: "an empty file"),
        Sample("HTML", text("<!DOCTYPE html><html>"), "video/mp4", is: "an HTML page"),
        Sample("HTML late", text("\u{ef}\u{bb}\u{bf}\r\n\t <HTML>"), is: "an HTML page"),
        Sample("HTML comment", text("<!-- x --><html>"), "image/png", is: "an HTML page"),
        Sample("XHTML", text("<?xml version='1.0'?>\n<html xmlns="), is: "an HTML page"),
        Sample("S3 error", text("<?xml version='1.0'?>\n<Error><Code>"), "image/png", is: "XML"),
        Sample("bare S3 error", text("<Error><Code>AccessDenied</Code>"), "audio/mpeg", is: "XML"),
        Sample("SVG", text("<svg xmlns='http://www.w3.org/2000/svg'>"), "image/svg+xml", is: "SVG"),
        Sample("SVG in XML", text("<?xml version='1.0'?><!-- a --><svg>"), "image/png", is: "SVG"),
        Sample("JSON", text("{\"code\":404}"), "image/png", is: "JSON"),
        Sample("JSON array", text(" \n[1]"), "video/mp4", is: "JSON"),
        Sample("text", text("Not Found"), "video/mp4", is: "plain text"),
        Sample("Latin-1 text", text("Fichier supprim\u{e9}"), "video/mp4", is: "plain text"),
        Sample("text like MOV", text("The free trial is over"), "video/mp4", is: "plain text"),
        Sample("text like MP4", text("The ftyp"), "image/png", is: "plain text"),
        Sample("text like MP3", text("ID3 tags are fine"), "image/jpeg", is: "plain text"),
        Sample("text like GLB", text("glTF is a format"), "image/jpeg", is: "plain text"),
        Sample("text like RIFF", text("RIFF raff WAVEs"), "audio/wav", is: "plain text"),
        Sample("text like Ogg", text("OggS is a page"), "audio/ogg", is: "plain text"),
        Sample("text like FLAC", text("fLaC is lossless"), "audio/flac", is: "plain text"),
        Sample("text like BMP", text("BM is a car"), "image/bmp", is: "plain text"),
        Sample("text like ZIP", text("PK wins"), "application/zip", is: "plain text"),
        Sample("text like GIF", text("GIF89a = 1; alert()"), "image/gif", is: "plain text"),
        Sample("text like PNG", text("PNG not found"), "image/png", is: "plain text"),
        Sample("UTF-16 text", [0xff, 0xfe, 0x3c, 0], "audio/mpeg", is: "UTF-16 text"),
        Sample("blanks", text(" \r\n "), "image/png", is: "a file of blanks"),
        Sample("PDF", text("%PDF-1.7\n%") + [0xe2, 0], "image/tiff", is: "a PDF file"),
        Sample("gzip", [0x1f, 0x8b, 8, 0], "video/mp4", is: "gzip-compressed bytes"),
        Sample("playlist", text("#EXTM3U\n#EXT-X-VERSION:3\n\0"), "video/mp4", is: "a playlist"),
        Sample("program", [0x7f, 0x45, 0x4c, 0x46, 2], "video/mp4", is: "a program"),
        Sample("no PNG", [0, 1, 2, 3], "image/png", is: "bytes of an unknown format"),
        Sample(
            "short PNG", text("\u{89}PNG\r\n\u{1a}"), "image/png", is: "bytes of an unknown format"),
        Sample(
            "PNG without its header", text("\u{89}PNG\r\n\u{1a}\n") + [0, 0, 0, 13] + text("IDAT"),
            is: "bytes of an unknown format"),
        Sample(
            "JPEG with a stuffed byte", [0xff, 0xd8, 0xff, 0], is: "bytes of an unknown format"),
        Sample("JPEG twice begun", [0xff, 0xd8, 0xff, 0xd8], is: "bytes of an unknown format"),
        Sample(
            "JPEG, segment of 1", [0xff, 0xd8, 0xff, 0xe0, 0, 1], is: "bytes of an unknown format"),
        Sample(
            "GIF with no block", text("GIF89a") + [1, 0, 1, 0, 0, 0, 0, 0x2d],
            is: "bytes of an unknown format"),
        Sample(
            "WebP of no kind", text("RIFF") + [9, 0, 0, 0] + text("WEBPVP9 "),
            is: "bytes of an unknown format"),
        Sample(
            "WAV with odd chunks", text("RIFF") + [9, 0, 0, 0] + text("WAVE") + [1, 2, 3, 4],
            is: "bytes of an unknown format"),
        Sample(
            "FLAC without facts", text("fLaC") + [1, 0, 0, 9], is: "bytes of an unknown format"),
        Sample(
            "Ogg from the middle", text("OggS") + [0, 0, 9], is: "bytes of an unknown format"),
        Sample("Ogg 1", text("OggS") + [1, 2], is: "bytes of an unknown format"),
        Sample(
            "MP3 with one frame", [0xff, 0xfb, 0x90, 0x64] + [UInt8](repeating: 0, count: 500),
            is: "bytes of an unknown format"),
        Sample("MP3, bad rate", [0xff, 0xfb, 0xf0, 0x64], is: "bytes of an unknown format"),
        Sample(
            "GLB without JSON", text("glTF") + [2, 0, 0, 0] + [UInt8](repeating: 9, count: 12),
            is: "bytes of an unknown format"),
        Sample(
            "ZIP of no method", text("PK\u{3}\u{4}") + [20, 0, 0, 0, 200, 7],
            is: "bytes of an unknown format"),
        Sample(
            "boxes without end", text("\u{7f}\u{7f}\u{7f}\u{7f}ftypisom"),
            is: "bytes of an unknown format"),
        Sample("Canon raw", box("crx ", "isom"), "image/heic", is: "a raw photograph"),
        Sample("DASH segment", [0, 0, 0, 24] + text("stypmsdh\0\0\0\0"), is: "a piece of a DASH"),
        Sample("AVI", text("RIFF") + [9, 0, 0, 0] + text("AVI LIST"), is: "an AVI file"),
        Sample(
            "Matroska", [0x1a, 0x45, 0xdf, 0xa3, 0xa3, 0x42, 0x82, 0x88] + text("matroska"),
            "video/webm", is: "a Matroska file"),
        Sample("AAC", [0xff, 0xf1, 0x50, 0x80], "audio/aac", is: "a raw AAC file"),
        Sample(
            "AAC with a tag", text("ID3") + [4, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xf1], "audio/mpeg",
            is: "bytes of an unknown format"),
        Sample("TIFF", text("II*\0") + [8, 0, 0, 0], "image/tiff", is: "a TIFF image"),
        Sample("BMP", text("BM") + [9, 0, 0, 0, 0, 0, 0, 0], "image/bmp", is: "a BMP image"),
        Sample("declared only", [0, 1, 2], "video/mp2t", is: "bytes of an unknown format"),
        Sample("nothing but zeros", [0, 0, 0, 0], "audio/mpeg", is: "bytes of an unknown format"),
        Sample("unknown", [0, 1, 2, 3], nil, is: "bytes of an unknown format"),
        Sample("octets", [0, 1], "application/octet-stream", is: "bytes of an unknown format"),
        Sample("odd type", [0, 1], "image/x-unheard-of", is: "bytes of an unknown format"),
        Sample("evil type", [0, 1], "image/tiff\r\nX: y", is: "bytes of an unknown format"),
        Sample("no type", [0, 1], "tiff", is: "bytes of an unknown format"),
        Sample(
            "RIFF", text("RIFF") + [0, 0, 0, 0] + text("ACON"), is: "bytes of an unknown format"),
    ]

    @Test(arguments: known)
    func isKnown(_ sample: Sample) throws {
        let padded = sample.bytes + [UInt8](repeating: 0, count: 600)
        for bytes in [sample.bytes, padded] {
            guard case .media(let type) = MediaType.detect(first: bytes, declared: sample.declared)
            else {
                Issue.record("refused")
                continue
            }
            #expect("\(type.contentType) \(type.fileExtension)" == sample.expected)
        }
    }

    @Test(arguments: refused)
    func isRefused(_ sample: Sample) throws {
        let finding = MediaType.detect(first: sample.bytes, declared: sample.declared)
        guard case .refused(let reason) = finding else {
            Issue.record("taken: \(finding)")
            return
        }
        let expected = try #require(sample.expected)
        #expect(reason.hasPrefix(expected) && reason.hasSuffix(")"), "\(reason)")
        #expect(!reason.contains("\n"))
    }

    @Test(arguments: 0...40)
    func noLengthOfAnythingTraps(_ count: Int) {
        for sample in Self.known + Self.refused {
            _ = MediaType.detect(first: Array(sample.bytes.prefix(count)), declared: "video/mp4")
        }
    }
}
