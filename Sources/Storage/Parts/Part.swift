import Crypto
import HTTP

/// One part of an upload, hashed as it fills.
final class Part {
    /// What a store wants to know of each part besides its bytes.
    struct Sums: OptionSet {
        let rawValue: Int

        static let sha256 = Sums(rawValue: 1)
        static let md5 = Sums(rawValue: 2)
    }

    /// Counted from 1.
    let number: Int
    let body: RequestBody
    private var sha256Hash: SHA256?
    private var md5Hash: Insecure.MD5?
    /// Nil before `seal`, and where nobody wants it.
    private(set) var sha256: [UInt8]?
    private(set) var md5: [UInt8]?

    init(number: Int, body: RequestBody, _ sums: Sums) {
        self.number = number
        self.body = body
        if sums.contains(.sha256) { sha256Hash = SHA256() }
        if sums.contains(.md5) { md5Hash = Insecure.MD5() }
    }

    /// Takes what there is room for, and says how much that was.
    func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let taken = body.append(bytes)
        let piece = UnsafeRawBufferPointer(rebasing: bytes[..<taken])
        sha256Hash?.update(bufferPointer: piece)
        md5Hash?.update(bufferPointer: piece)
        return taken
    }

    /// No bytes follow.
    ///
    /// - Parameter whole: The hash of the file up to here, where that is this part and no more.
    func seal(whole: SHA256?) {
        sha256 = (whole ?? sha256Hash).map { Array($0.finalize()) }
        md5 = md5Hash.map { Array($0.finalize()) }
    }
}
