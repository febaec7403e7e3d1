import Core
import Foundation
import Glibc
import Testing

@testable import Reception

/// Bodies that are as announced, shorter, longer, or never end.
@Suite struct BodyReaderTests {
    private func read(
        _ sent: String, announced: Int?, kept: Int = 100, closes: Bool = true
    ) throws -> ArrivedBody {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        _ = Array(sent.utf8).withUnsafeBytes { write(ends[1], $0.baseAddress, $0.count) }
        if closes { close(ends[1]) }
        defer { if !closes { close(ends[1]) } }
        let reader = BodyReader(
            keptLimitBytes: kept, patience: (.milliseconds(50), .milliseconds(200)))
        return reader.read(ends[0], announced: announced)
    }

    @Test(
        arguments: [
            ("12345", 5, true, "12345", nil), ("12345", nil, true, "12345", nil),
            ("", 0, true, "", nil), ("", nil, true, "", nil),
            // No more than was announced may be read, as the standard for CGI demands.
            ("12345", 3, true, "123", nil), ("12345", 3, false, "123", nil),
            // Less came, whether the client went away or fell silent.
            ("12345", 9, true, "12345", 9), ("12345", 9, false, "12345", 9),
            ("", Int.max, true, "", Int64.max),
            // Nothing was announced, and the end never comes.
            ("12345", nil, false, "12345", 5),
        ] as [(String, Int?, Bool, String, Int64?)])
    func `what came is kept, and what did not come is noted`(
        _ sent: String, _ announced: Int?, _ closes: Bool, _ kept: String, _ whole: Int64?
    ) throws {
        let body = try read(sent, announced: announced, closes: closes)
        #expect(body.bytes == Array(kept.utf8))
        #expect(body.whole == whole.map { WholeBody(bytes: $0, sha256: nil) })
    }

    @Test(arguments: [nil, 10] as [Int?])
    func `of a longer body the beginning is kept and the digest of all of it`(
        _ announced: Int?
    ) throws {
        let body = try read("0123456789", announced: announced, kept: 4)
        #expect(body.bytes == Array("0123".utf8))
        #expect(body.whole?.bytes == 10)
        #expect(
            body.whole?.sha256.map { Hex.text($0) }
                == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882")
        #expect(try read("0123", announced: announced.map { _ in 4 }, kept: 4).whole == nil)
    }
}
