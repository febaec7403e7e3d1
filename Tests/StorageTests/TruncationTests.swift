import Storage
import TestSupport
import Testing

/// Files that break off, at every place where they can.
@Suite struct MediaTruncation {
    /// The lengths at which a sample's cut is not to be told from a whole file, with the reason.
    static func untold(_ sample: MediaSample) -> Set<Int> {
        let all = sample.bytes.count
        switch sample.name {
        // Frames have no length, and the last one is cut in good files too: from the first on.
        case "plain.flac", "pipe.flac": return Set(106..<all)
        case "tagged.flac": return Set(123..<all)
        case "tag.mp3", "tag-v2-3.mp3": return Set(43..<all)
        case "tag-v1.mp3": return Set(180..<all)
        case "bare.mp3": return Set(104..<all)
        // Written into a pipe, so that the writer left the length open.
        case "pipe.wav": return Set(17..<all)
        case "live.webm", "pipe.webm": return Set(48..<all)
        // Between two fragments, and before the name of the box that follows.
        case "fragments.mp4", "fragments-pipe.mp4": return Set(2496...2500).union(3016...3020)
        case "dash.mp4": return Set(2628...2632).union(3148...3152)
        // Between the last two pages.
        case "theora.ogv": return [3744]
        // A picture that is whole, before a second one.
        case "two-pictures.jpg": return Set(844..<all)
        // The padding behind an odd length.
        case "lossless.webp", "pcm8-odd.wav": return [all - 1]
        default: return []
        }
    }

    @Test(arguments: MediaSample.good)
    func `every cut that the structure shows is refused`(_ sample: MediaSample) throws {
        let type = try #require(sample.type)
        let untold = Self.untold(sample)
        var (taken, refused) = (Set<Int>(), Set<Int>())
        for length in 0..<sample.bytes.count {
            let part = Array(sample.bytes[..<length])
            // What follows the first bytes does not change what they say.
            let reason =
                length <= MediaType.sampleBytes
                ? Gate.refusal(part) : Gate.truncation(part, as: type)
            if reason == nil { taken.insert(length) } else { refused.insert(length) }
        }
        #expect(taken.subtracting(untold).sorted() == [], "cuts that were stored")
        #expect(refused.intersection(untold).sorted() == [], "cuts that can be told after all")
    }

    @Test func `all but a few samples show every cut`() {
        #expect(MediaSample.good.count { Self.untold($0).isEmpty } >= 65)
    }

    @Test(arguments: [
        ("rgb.png", 60, "a PNG that ends within its IDAT chunk, "),
        ("rgb.png", 36, "a PNG that ends after its IHDR chunk, before IEND"),
        ("baseline.jpg", 100, "a JPEG that ends within a segment, "),
        ("baseline.jpg", 700, "a JPEG that ends within its picture, before the end marker"),
        ("preview.jpg", 700, "a JPEG that ends within a segment, "),
        ("still.gif", 737, "a GIF that ends before its trailer"),
        ("animated.gif", 100, "a GIF that ends within its colours, "),
        ("noise.webp", 1000, "a WebP that ends within its VP8 chunk, 146 bytes early"),
        ("pcm.wav", 3243, "a WAV that ends within its data chunk, 1 byte early"),
        ("rf64.wav", 1000, "a WAV that ends within its data chunk, "),
        ("plain.mp4", 600, "an MP4 that ends within its mdat box, "),
        ("fast-start.mp4", 100, "an MP4 that ends within its moov box, "),
        ("sound.m4a", 28, "an M4A that ends before its moov box"),
        ("still.avif", 300, "an AVIF that ends within its mdat box, 44 bytes early"),
        ("still.heic", 100, "a HEIC that ends within its "),
        ("vp8.webm", 2298, "a WebM that ends within its segment, 1 byte early"),
        ("opus.ogg", 400, "an Ogg file that ends within a page, "),
        ("plain.flac", 60, "a FLAC that ends within its metadata"),
        ("tag.mp3", 30, "an MP3 that ends within its tag, "),
        ("scene.glb", 500, "a GLB that ends within its chunks, "),
        ("comment.zip", 551, "a ZIP that ends before its central directory does"),
    ])
    func `a finding says where the file ends`(_ name: String, _ length: Int, _ expected: String)
        throws
    {
        let sample = MediaSample.named(name)
        let type = try #require(sample.type)
        let finding = Gate.truncation(Array(sample.bytes[..<length]), as: type)
        #expect(finding?.hasPrefix(expected) == true, "\(finding ?? "nothing")")
    }

    @Test(arguments: MediaSample.good)
    func `nothing at all is no file of any type`(_ sample: MediaSample) throws {
        let type = try #require(sample.type)
        #expect(Gate.truncation([], as: type) != nil)
        #expect(Gate.truncation([sample.bytes[0]], as: type) != nil)
    }

    /// Any bytes, in any pieces: the same finding, and nothing traps.
    @Test func `pieces of any size give the finding of the whole`() throws {
        var chance = SeededGenerator()
        for round in 0..<1500 {
            let sample = try #require(MediaSample.good.randomElement(using: &chance))
            let like = try #require(
                round % 10 == 0 ? MediaSample.good.randomElement(using: &chance) : sample)
            let type = try #require(like.type)
            var bytes = sample.bytes
            if round % 2 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &chance)) }
            for _ in 0..<Int.random(in: 0...8, using: &chance) {
                let place = Int.random(in: 0..<min(bytes.count, 200), using: &chance)
                bytes[place] =
                    [0, 0xff, UInt8.random(in: 0...255, using: &chance)]
                    .randomElement(using: &chance) ?? 0
            }
            _ = MediaType.detect(first: bytes)
            var check = TruncationCheck(type)
            bytes.withUnsafeBytes { all in
                var start = 0
                while start < all.count {
                    let most = [2, 30, 5000].randomElement(using: &chance) ?? 1
                    let end = min(start + Int.random(in: 0...most, using: &chance), all.count)
                    check.take(UnsafeRawBufferPointer(rebasing: all[start..<end]))
                    start = end
                }
            }
            let whole = Gate.truncation(bytes, as: type)
            #expect(check.truncation() == whole, "\(sample.name) as \(like.name), \(chance)")
        }
    }
}
