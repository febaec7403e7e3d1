import Crypto
import Foundation

/// The bytes of one result file: the same for the same task, ordinal, size and kind, different
/// for any other, and never in memory as a whole.
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
        self.tag = Array(digest[..<16])
        self.rotation = Int(digest[16]) << 8 | Int(digest[17])
    }

    /// Calls `body` with each block of at most `blockBytes` and its offset, until `limit` bytes
    /// are told or `body` returns false.
    func forEachBlock(
        upTo limit: Int, _ body: (_ offset: Int, _ block: UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        let magic = Self.magic(kind)
        let tagOffset = 64
        return withUnsafeTemporaryAllocation(byteCount: Self.blockBytes, alignment: 16) { block in
            var offset = 0
            while offset < min(limit, count) {
                // Noise from a place that depends on the file, and in each block the file's tag
                // and the block's number: cheap in a debug build, and no two blocks are equal.
                Self.noise.withUnsafeBytes { noise in
                    block.copyMemory(
                        from: UnsafeRawBufferPointer(
                            rebasing: noise[rotation..<(rotation + Self.blockBytes)]))
                }
                UnsafeMutableRawBufferPointer(rebasing: block[tagOffset...]).copyBytes(from: tag)
                block.storeBytes(
                    of: UInt64(offset / Self.blockBytes), toByteOffset: tagOffset + tag.count,
                    as: UInt64.self)
                if offset == 0 { block.copyBytes(from: magic) }
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

    /// Twice a block of noise, so that a block may begin anywhere in its first half.
    private static let noise: [UInt64] = (0..<(2 * blockBytes / 8)).map {
        Chance.mix(UInt64($0) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// What the formats' own parsers and sniffers look for.
    private static func magic(_ kind: FileKind) -> [UInt8] {
        switch kind {
        case .mp4:
            // An ftyp box of 24 bytes, then an mdat box that reaches to the end of the file.
            [0, 0, 0, 24] + Array("ftypisom".utf8) + [0, 0, 2, 0] + Array("isommp42".utf8)
                + [0, 0, 0, 0] + Array("mdat".utf8)
        case .png:
            // The signature, then the header of an RGB image of 1 by 1 with its checksum.
            [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13]
                + Array("IHDR".utf8)
                + [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE]
        case .jpg:
            [0xFF, 0xD8, 0xFF, 0xE0, 0, 16] + Array("JFIF".utf8) + [0, 1, 1, 0, 0, 1, 0, 1, 0, 0]
        case .mp3:
            // An empty ID3v2.4 tag, then the header of an MPEG-1 layer 3 frame.
            Array("ID3".utf8) + [4, 0, 0, 0, 0, 0, 0, 0xFF, 0xFB, 0x90, 0x64]
        }
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
