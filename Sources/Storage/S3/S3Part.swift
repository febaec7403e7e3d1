import Core
import Crypto
import HTTP

/// One part of an upload, hashed as it fills.
final class S3Part {
    let number: Int
    let body: RequestBody
    private var hash = SHA256()
    private var md5: Insecure.MD5?
    private(set) var sha256: [UInt8] = []
    private(set) var md5Digest: [UInt8]?

    /// The smallest part that Amazon takes; all parts but the last are equal, as R2 demands.
    static let smallest = 5 << 20
    static let most = 10_000

    /// Bytes of each part of a file of that length.
    static func size(for bytes: Int64?) -> Int {
        guard let bytes else { return smallest }
        let needed = Int((bytes + Int64(most) - 1) / Int64(most))
        return max(smallest, (needed + (1 << 20) - 1) & ~((1 << 20) - 1))
    }

    init(number: Int, body: RequestBody, _ checksum: S3Profile.Checksum) {
        self.number = number
        self.body = body
        if checksum == .md5 { md5 = Insecure.MD5() }
    }

    var isFull: Bool { body.room == 0 }

    /// Takes what there is room for, and says how much that was.
    func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let taken = body.append(bytes)
        let piece = UnsafeRawBufferPointer(rebasing: bytes[..<taken])
        hash.update(bufferPointer: piece)
        md5?.update(bufferPointer: piece)
        return taken
    }

    func seal() {
        sha256 = Array(hash.finalize())
        md5Digest = md5.map { Array($0.finalize()) }
    }

    /// The headers by which the server can tell that it got these bytes.
    var checksumHeaders: [Header] {
        if let md5Digest { return [Header("Content-MD5", Base64.encode(md5Digest))] }
        return [Header("x-amz-checksum-sha256", Base64.encode(sha256))]
    }

    /// Whether an answer contradicts the bytes that were sent.
    func isContradicted(by response: Response) -> Bool {
        guard let told = response.header("x-amz-checksum-sha256") else { return false }
        return told != Base64.encode(sha256)
    }
}

/// What the store said of a part.
struct PartReceipt {
    var etag: String
    /// Base64 of the part's SHA-256; nil where the store checks another sum.
    var sha256: String?
}

/// RFC 4648, section 4.
enum Base64 {
    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let number = (0..<3).reduce(UInt32(0)) { sum, place in
                sum << 8 | (place < group.count ? UInt32(group[start + place]) : 0)
            }
            for place in 0..<4 {
                text.append(
                    place <= group.count
                        ? digits[Int(number >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
