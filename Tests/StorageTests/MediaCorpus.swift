import Foundation
import Storage

/// What servers send in place of a file.
enum ErrorPage {
    private static let html = "<html><head><title>403 Forbidden</title></head></html>"
    private static let json = #"{"code":404,"msg":"file not found","data":null}"#
    private static let s3 =
        "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    private static let bom = "\u{feff}"
    private static let svg = #"<svg xmlns="http://www.w3.org/2000/svg"><script>x()</script></svg>"#

    private static let texts: [(String, String)] = [
        ("html", html), ("html upper case", html.uppercased()), ("html doctype", doctype(html)),
        ("html with BOM", bom + html), ("html late", "\r\n\r\n\t   " + html),
        ("html comment", "<!-- blocked by ray 8f00 -->\n" + html),
        ("html BOM, blanks, doctype", bom + "\n  " + doctype(html)),
        ("html body", "<body>Sign in to continue</body>"), ("html script", "<script>x()</script>"),
        ("html long", doctype(String(repeating: html + "\n", count: 200))),
        ("html old", "<HTML><HEAD><META HTTP-EQUIV=refresh></HEAD></HTML>"),
        ("html paragraph", "<p>Not found</p>"), ("xhtml", "<?xml version='1.0'?>" + doctype(html)),
        ("json", json), ("json array", "[\(json)]"), ("json with BOM", bom + json),
        ("json late", "\n\n  " + json), ("json string", #""not found""#), ("json null", "null"),
        ("json number", "404"), ("json, a url", #"{"url":"https://example.com/a.png"}"#),
        ("json after a guard", ")]}',\n" + json), ("json long", "[" + json + ",1]"),
        ("s3 error", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + s3), ("s3 bare", s3),
        ("s3 with BOM", bom + "<?xml version='1.0'?>" + s3),
        ("s3 list", "<ListBucketResult><Name>b</Name></ListBucketResult>"),
        ("rss", "<?xml version='1.0'?><rss version='2.0'><channel/></rss>"),
        ("soap", "<soap:Envelope xmlns:soap='x'><soap:Fault/></soap:Envelope>"),
        ("svg", svg), ("svg with BOM", bom + svg), ("svg in xml", "<?xml version='1.0'?>" + svg),
        ("svg doctype", "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x'>" + svg),
        ("text", "Not Found"), ("text, one letter", "x"), ("text, line ends", "error\r\n\r\n"),
        ("text, chinese", "文件不存在,请稍后再试"), ("text, emoji", "🚫 gone"),
        ("text, escapes", "\u{1b}[31merror\u{1b}[0m"), ("text, cloudflare", "error code: 1010"),
        ("text long", String(repeating: "no such object. ", count: 500)),
        ("text, base64", Data((0..<200).map { UInt8($0) }).base64EncodedString()),
        ("text, data url", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"),
        ("text, events", "event: error\ndata: {\"code\":500}\n\n"),
        ("text, headers", "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"),
        ("text, form", "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nnone\r\n--x--"),
        (
            "text, lfs pointer",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
        ),
        ("text, php", "<?php echo 'no'; ?>"), ("text, shell", "#!/bin/sh\nexit 1\n"),
        ("text, css", "body { color: red }"), ("text, csv", "id,state\n1,failed\n"),
        ("playlist", "#EXTM3U\n#EXT-X-VERSION:3\nseg0.ts\n"),
        ("playlist with BOM", bom + "#EXTM3U\nseg0.ts\n"),
        ("playlist of DASH", "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash'></MPD>"),
        ("blanks", " \r\n\t "), ("certificate", "-----BEGIN CERTIFICATE-----\nMII=\n"),
    ]

    private static func doctype(_ text: String) -> String { "<!DOCTYPE html>\n" + text }

    private static func wide(_ text: String, lastFirst: Bool) -> [UInt8] {
        text.utf16.flatMap {
            let (low, high) = (UInt8($0 & 0xff), UInt8($0 >> 8))
            return lastFirst ? [low, high] : [high, low]
        }
    }

    private static let binary: [(String, [UInt8])] = [
        ("empty", []), ("one zero", [0]), ("zeros", [UInt8](repeating: 0, count: 4096)),
        ("ones", [UInt8](repeating: 0xff, count: 4096)), ("bytes", (0...255).map { UInt8($0) }),
        ("utf-16, last first", [0xff, 0xfe] + wide(html, lastFirst: true)),
        ("utf-16, first first", [0xfe, 0xff] + wide(html, lastFirst: false)),
        ("utf-16 without BOM", wide(html, lastFirst: true)),
        ("utf-16 of json", wide(json, lastFirst: false)),
        ("html with a zero", Array(html.utf8) + [0]), ("json with a zero", [0] + Array(json.utf8)),
        ("latin-1 text", Array("Fichier supprim".utf8) + [0xe9]),
        ("gzip", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xb3, 0xc9, 0x28, 0xc9, 0xcd, 0xb1, 3, 0]),
        ("zstd", [0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x29, 0, 0]), ("zlib", [0x78, 0x9c, 3, 0]),
        ("program", [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]),
        ("windows program", [0x4d, 0x5a, 0x90, 0]),
        ("web assembly", [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
        ("pdf", Array("%PDF-1.7\n%".utf8) + [0xe2, 0xe3, 0xcf, 0xd3]),
        ("pdf of text", Array("%PDF-1.4\n1 0 obj\n".utf8)),
        ("tar", Array("a.txt".utf8) + [UInt8](repeating: 0, count: 252) + Array("ustar".utf8)),
        ("protobuf", [0x0a, 0x09] + Array("not found".utf8) + [0x10, 0x94, 0x03]),
    ]

    static let all: [MediaSample] =
        texts.map { MediaSample(name: "page: " + $0.0, bytes: Array($0.1.utf8)) }
        + binary.map { MediaSample(name: "bytes: " + $0.0, bytes: $0.1) }
}

/// Files that are two things at once.
///
/// What begins as media and is whole as media is stored under that media's type, which is said
/// aloud to whoever gets it, so that nothing runs it as what else it is.
enum Polyglot {
    static let taken: [MediaSample] = [
        make("GIF and script", "still.gif") { bytes in
            // The width reads as the beginning of a comment.
            bytes.replaceSubrange(6..<8, with: "/*".utf8)
            bytes += "*/=1;alert(document.domain)".utf8
        },
        make("GIF and PHP", "animated.gif") { $0 += "<?php system($_GET[0]); ?>".utf8 },
        make("GIF and ZIP", "still.gif") { $0 += MediaSample.named("stored.zip").bytes },
        make("PNG and ZIP", "rgb.png") { $0 += MediaSample.named("stored.zip").bytes },
        make("PNG and HTML", "text-chunks.png") { $0 += "<script>x()</script>".utf8 },
        make("JPEG and HTML", "baseline.jpg") { bytes in
            let page = Array("<html><script>x()</script></html>".utf8)
            bytes.insert(contentsOf: [0xff, 0xfe, 0, UInt8(page.count + 2)] + page, at: 2)
        },
        make("JPEG and ZIP", "exif.jpg") { $0 += MediaSample.named("deflated.zip").bytes },
        make("JPEG and PDF", "grey.jpg") { $0 += "%PDF-1.7\n1 0 obj\n%%EOF".utf8 },
        make("MP4 and HTML", "plain.mp4") { bytes in
            let page = Array("<html><script>x()</script></html>".utf8)
            bytes += [0, 0, 0, UInt8(page.count + 8)] + Array("free".utf8) + page
        },
        make("WAV and script", "pcm.wav") { $0 += "*/=1;alert()".utf8 },
        make("MP3 and HTML", "tag.mp3") { $0 += "<html></html>".utf8 },
        make("ZIP of HTML", "comment.zip") { $0 += "<html></html>".utf8 },
    ]

    static let refused: [MediaSample] = [
        text("GIF of text", "GIF89a=1;alert(document.domain)//" + filler),
        text("old GIF of text", "GIF87a/*" + filler + "*/=1;alert()"),
        text("RIFF of text", "RIFF    WAVEfmt " + filler), text("RIFF, short", "RIFF raff"),
        text("WebP of text", "RIFF    WEBPVP8 " + filler), text("Ogg of text", "OggS" + filler),
        text("tag of text", "ID3 is a tag" + filler), text("FLAC of text", "fLaC" + filler),
        text("GLB of text", "glTF" + filler), text("BMP of text", "BM" + filler),
        text("PDF and ZIP", "%PDF-1.7\n", MediaSample.named("stored.zip").bytes),
        text("HTML and PNG", "<html><!--", MediaSample.named("rgb.png").bytes),
        text("HTML and ZIP", "<!DOCTYPE html>" + filler, MediaSample.named("stored.zip").bytes),
        text("JSON and MP4", "{\"a\":\"", MediaSample.named("plain.mp4").bytes),
        text("blank and PNG", "\n", MediaSample.named("rgb.png").bytes),
        text("program and ZIP", "MZ\u{0}\u{3}", MediaSample.named("stored.zip").bytes),
        text("GIF, a word", "GIF89a"), text("PNG, a signature", "", Array(png[..<8])),
        text("PNG, a header", "", Array(png[..<33])),
        text("JPEG, a start", "", [0xff, 0xd8, 0xff]),
        text("JPEG without picture", "", [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2]),
        text("MP4, one box", "", Array(MediaSample.named("plain.mp4").bytes[..<32])),
        text("GIF and then HTML", "", Array(MediaSample.named("still.gif").bytes[..<13]), "<html>"),
    ]

    private static let png = MediaSample.named("rgb.png").bytes
    private static let filler = String(repeating: " the quick brown fox jumps", count: 40)

    private static func make(
        _ name: String, _ sample: String, _ change: (inout [UInt8]) -> Void
    ) -> MediaSample {
        var sample = MediaSample.named(sample)
        sample.name = name
        change(&sample.bytes)
        return sample
    }

    private static func text(
        _ name: String, _ start: String, _ bytes: [UInt8] = [], _ end: String = ""
    ) -> MediaSample {
        MediaSample(name: name, bytes: Array(start.utf8) + bytes + Array(end.utf8))
    }
}
