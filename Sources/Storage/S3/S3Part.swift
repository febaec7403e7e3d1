import Core
import HTTP

/// How S3 wants its parts.
enum S3Part {
    /// The smallest part that Amazon takes; all parts but the last are equal, as R2 demands.
    static let smallest = 5 << 20
    static let most = 10_000
    /// How many parts may have been sent, counted from the first that has no answer.
    static let lead = 8

    /// Bytes of each part of a file of that length.
    static func size(for bytes: Int64?) -> Int {
        guard let bytes else { return smallest }
        let needed = Int((bytes + Int64(most) - 1) / Int64(most))
        return max(smallest, (needed + (1 << 20) - 1) & ~((1 << 20) - 1))
    }
}

extension Part {
    /// The SHA-256 as S3 has it in headers.
    var checksum: String? { sha256.map(Base64.text) }

    /// The headers by which the server can tell that it got these bytes.
    func headers(_ checksum: S3Profile.Checksum) -> [Header] {
        switch checksum {
        case .sha256: self.checksum.map { [Header("x-amz-checksum-sha256", $0)] } ?? []
        case .md5: md5.map { [Header("Content-MD5", Base64.text($0))] } ?? []
        case .signature: []
        }
    }

    /// What an answer says of the bytes that it is about; nil where it says nothing.
    func isConfirmed(by response: Response, _ checksum: S3Profile.Checksum) -> Bool? {
        if let told = response.header("x-amz-checksum-sha256"), let sum = self.checksum {
            return told == sum
        }
        // The server compared, or it would have refused; of `sha256` it says so.
        return checksum == .sha256 ? nil : true
    }
}

/// What the store said of a part.
struct PartReceipt {
    var etag: String
    /// Base64 of the part's SHA-256; nil where the store checks another sum.
    var checksum: String?
}
