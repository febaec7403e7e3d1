import HTTP

/// How S3 wants its parts.
enum S3Part {
    /// The smallest part that Amazon takes; all parts but the last are equal, as R2 demands.
    static let smallest = 5 << 20
    static let most = 10_000

    /// Bytes of each part of a file of that length.
    static func size(for bytes: Int64?) -> Int {
        guard let bytes else { return smallest }
        let needed = Int((bytes + Int64(most) - 1) / Int64(most))
        return max(smallest, (needed + (1 << 20) - 1) & ~((1 << 20) - 1))
    }
}

extension Part {
    /// The SHA-256 as S3 has it in headers.
    var checksum: String? { sha256.map(Base64.encode) }

    /// The headers by which the server can tell that it got these bytes.
    var checksumHeaders: [Header] {
        if let md5 { return [Header("Content-MD5", Base64.encode(md5))] }
        return checksum.map { [Header("x-amz-checksum-sha256", $0)] } ?? []
    }

    /// Whether an answer contradicts the bytes that were sent.
    func isContradicted(by response: Response) -> Bool {
        guard let told = response.header("x-amz-checksum-sha256") else { return false }
        return told != checksum
    }
}

/// What the store said of a part.
struct PartReceipt {
    var etag: String
    /// Base64 of the part's SHA-256; nil where the store checks another sum.
    var checksum: String?
}
