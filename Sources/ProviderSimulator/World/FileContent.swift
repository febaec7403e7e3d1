import Crypto
import Foundation

/// The bytes of one result file: the same for the same task, ordinal, size and kind, different
/// for any other, and never in memory as a whole.
///
/// Whole for its kind from 64 bytes on: noise, in a structure that ends where the file
/// does. Nothing in it says that the noise is a picture.
struct FileContent: Sendable {
    static let blockBytes = 65_536

    let count: Int
    let kind: FileKind
    private let tag: [UInt8]
    private let rotation: Int

    init(taskID: String, ordinal: Int, count: Int, kind: FileKind) {
        self.count = count
        self.kind = kind
        let name = "\(taskID)|\(ordinal)|\(count)|\(kind.rawValue)"
        let digest = Array(SHA256.hash(data: Data(name.utf8)))
        self.tag = digest[..<16].map(Self.plain)
        self.rotation = Int(digest[16]) << 8 | Int(digest[17])
    }

    /// Calls `body` with each block of at most `blockBytes` and its offset, until `limit` bytes
    /// are told or `body` returns false.
    func forEachBlock(
        upTo limit: Int, _ body: (_ offset: Int, _ block: UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        let frame = Frame(kind, count)
        return withUnsafeTemporaryAllocation(byteCount: Self.blockBytes, alignment: 16) { block in
            var offset = 0
            while offset < min(limit, count) {
                fill(block, at: offset)
                Self.lay(frame.start, at: 0, into: block, at: offset)
                Self.lay(frame.end, at: count - frame.end.count, into: block, at: offset)
                let length = min(Self.blockBytes, min(limit, count) - offset)
                let piece = UnsafeRawBufferPointer(rebasing: block[..<length])
                guard body(offset, piece) else { return false }
                offset += length
            }
            return true
        }
    }

    /// SHA-256 of the whole file, in hexadecimal.
    var sha256: String {
        var hash = SHA256()
        _ = forEachBlock(upTo: count) { _, block in
            hash.update(bufferPointer: block)
            return true
        }
        return hex(hash.finalize())
    }

    /// Noise from a place that depends on the file, and in each block the file's tag and the
    /// block's number: cheap in a debug build, and no two blocks are equal.
    private func fill(_ block: UnsafeMutableRawBufferPointer, at offset: Int) {
        Self.noise.withUnsafeBytes { noise in
            block.copyMemory(
                from: UnsafeRawBufferPointer(
                    rebasing: noise[rotation..<(rotation + Self.blockBytes)]))
        }
        let number = offset / Self.blockBytes
        let digits = (0..<8).map { UInt8(truncatingIfNeeded: number >> (7 * $0)) & 0x7F }
        UnsafeMutableRawBufferPointer(rebasing: block[64...]).copyBytes(from: tag + digits)
    }

    /// Copies what of some bytes of the file belongs into a block of it.
    private static func lay(
        _ bytes: [UInt8], at start: Int, into block: UnsafeMutableRawBufferPointer, at offset: Int
    ) {
        for (index, byte) in bytes.enumerated() where block.indices ~= start + index - offset {
            block[start + index - offset] = byte
        }
    }

    /// Twice a block of noise, so that a block may begin anywhere in its first half.
    private static let noise: [UInt8] = (0..<(2 * blockBytes / 8)).flatMap { index in
        withUnsafeBytes(of: Chance.mix(UInt64(index) &* 0x9E37_79B9_7F4A_7C15)) {
            $0.map(plain)
        }
    }

    /// Noise without 0xFF: in a JPEG that would be a marker, in an MP3 the beginning of a frame.
    private static func plain(_ byte: UInt8) -> UInt8 { byte == 0xFF ? 0xFE : byte }
}

/// What stands around the noise of a file, for the formats' own parsers and sniffers.
private struct Frame {
    var start: [UInt8]
    var end: [UInt8] = []

    init(_ kind: FileKind, _ count: Int) {
        switch kind {
        case .mp4: start = Self.boxes(count)
        case .png:
            end = Self.big(0, 4) + Array("IEND".utf8) + [0xAE, 0x42, 0x60, 0x82]
            // The signature, the header of an RGB image of 1 by 1 with its checksum, and one
            // chunk of pixels, whose checksum is noise too.
            start =
                [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + Self.big(13, 4)
                + Array("IHDR".utf8)
                + [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE]
            start += Self.big(count - start.count - 12 - end.count, 4) + Array("IDAT".utf8)
        case .jpg:
            // The header, and a scan of one component up to the end marker.
            start =
                [0xFF, 0xD8, 0xFF, 0xE0, 0, 16] + Array("JFIF".utf8)
                + [0, 1, 1, 0, 0, 1, 0, 1, 0, 0] + [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]
            end = [0xFF, 0xD9]
        case .mp3:
            // An empty ID3v2.4 tag, then the header of an MPEG-1 layer 3 frame.
            start = Array("ID3".utf8) + [4, 0, 0, 0, 0, 0, 0, 0xFF, 0xFB, 0x90, 0x64]
        }
    }

    /// An ftyp box of 24 bytes, an empty moov box, then an mdat box that reaches to the end.
    private static func boxes(_ count: Int) -> [UInt8] {
        let start =
            big(24, 4) + Array("ftypisom".utf8) + [0, 0, 2, 0] + Array("isommp42".utf8)
            + big(8, 4) + Array("moov".utf8)
        let rest = count - start.count
        return rest <= Int(UInt32.max)
            ? start + big(rest, 4) + Array("mdat".utf8)
            : start + big(1, 4) + Array("mdat".utf8) + big(rest, 8)
    }

    /// A number of so many bytes, the most significant first.
    private static func big(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

/// Lower-case hexadecimal.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var output: [UInt8] = []
    for byte in bytes {
        output.append(digits[Int(byte >> 4)])
        output.append(digits[Int(byte & 15)])
    }
    return String(decoding: output, as: UTF8.self)
}
