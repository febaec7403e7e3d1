import Foundation
import Storage
import TestSupport
import Testing

/// What is stored and what is not, over real files, pages and lies.
@Suite struct MediaGate {
    @Test func `the corpus has what the gate is for`() {
        #expect(MediaSample.good.count >= 80 && MediaSample.foreign.count >= 15)
        #expect(Set(MediaSample.good.compactMap(\.type?.contentType)).count == 17)
        let all = MediaSample.good + MediaSample.foreign + ErrorPage.all
        #expect(all.count + Polyglot.taken.count + Polyglot.refused.count >= 150)
        #expect(Set(all.map(\.name)).count == all.count)
    }

    /// The right type, whatever label it came with, and whatever pieces it came in.
    @Test(arguments: MediaSample.good)
    func `good media is stored`(_ sample: MediaSample) throws {
        let type = try #require(sample.type)
        for label in MediaSample.labels {
            #expect(MediaType.detect(first: sample.bytes, declared: label) == .media(type))
        }
        for pieces in [1, 7, 512, sample.bytes.count] {
            let finding = Gate.truncation(sample.bytes, as: type, pieces: pieces)
            #expect(finding == nil, "in pieces of \(pieces)")
        }
    }

    /// Uploads through forms, buggy servers and cameras leave something behind the end.
    @Test(arguments: MediaSample.good)
    func `what follows the end of good media is no reason to refuse it`(_ sample: MediaSample) {
        let trailers: [[UInt8]] = [
            [0], [0x0a], Array("\r\n--boundary--\r\n".utf8), Array("<!-- served by -->".utf8),
            [UInt8](repeating: 0, count: 4096), [UInt8](repeating: 0xff, count: 513),
            Array("TAG".utf8) + [UInt8](repeating: 0x20, count: 125), [1, 2, 3, 4, 5, 6, 7],
        ]
        for trailer in trailers {
            #expect(Gate.refusal(sample.bytes + trailer) == nil, "\(trailer.prefix(20))")
        }
    }

    @Test(arguments: [
        ("isom.mp4", "audio/mp4", "audio/mp4 m4a"), ("isom.mp4", "audio/x-m4a", "audio/mp4 m4a"),
        ("isom.mp4", "video/webm", "video/mp4 mp4"),
        ("sound.webm", "audio/webm", "audio/webm webm"),
        ("sound.webm", "audio/mp4", "video/webm webm"), ("sound.m4a", "video/mp4", "audio/mp4 m4a"),
    ])
    func `a label tells sound from pictures where the container does not`(
        _ name: String, _ label: String, _ expected: String
    ) {
        let sample = MediaSample.named(name == "isom.mp4" ? "plain.mp4" : name)
        guard case .media(let type) = MediaType.detect(first: sample.bytes, declared: label) else {
            Issue.record("refused")
            return
        }
        #expect("\(type.contentType) \(type.fileExtension)" == expected)
        #expect(Gate.truncation(sample.bytes, as: type) == nil)
    }

    @Test(arguments: MediaSample.foreign + ErrorPage.all)
    func `what is no media is refused whatever label it has`(_ sample: MediaSample) {
        for label in MediaSample.labels + ["image/gif", "audio/aac", "video/x-msvideo"] {
            let reason = Gate.refusal(sample.bytes, declared: label)
            #expect(reason != nil, "stored as \(label ?? "nothing")")
            #expect(reason?.contains("\n") != true)
        }
    }

    @Test(arguments: Polyglot.taken)
    func `a file that is whole as media is that media`(_ sample: MediaSample) {
        for label in MediaSample.labels {
            let finding = MediaType.detect(first: sample.bytes, declared: label)
            #expect(sample.type.map { finding == .media($0) } == true, "\(finding)")
            #expect(Gate.refusal(sample.bytes, declared: label) == nil)
        }
    }

    @Test(arguments: Polyglot.refused)
    func `a file that only begins like media is refused`(_ sample: MediaSample) {
        for label in MediaSample.labels {
            #expect(Gate.refusal(sample.bytes, declared: label) != nil)
        }
    }

    /// The numbers that the gate is judged by.
    @Test func `no error text is stored and no good media is refused`() {
        let pages = MediaSample.foreign + ErrorPage.all + Polyglot.refused
        let media = MediaSample.good + Polyglot.taken
        var (stored, refused) = ([String](), [String]())
        for label in MediaSample.labels {
            stored += pages.filter { Gate.refusal($0.bytes, declared: label) == nil }.map(\.name)
            refused += media.filter { Gate.refusal($0.bytes, declared: label) != nil }.map(\.name)
        }
        #expect(stored == [])
        #expect(refused == [])
        let labels = MediaSample.labels.count
        print(
            "media gate: \(stored.count) of \(pages.count * labels) error texts and foreign files",
            "stored, \(refused.count) of \(media.count * labels) good media refused")
    }
}
