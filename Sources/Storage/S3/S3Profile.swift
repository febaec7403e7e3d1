/// What a vendor's S3 does differently from the others.
///
/// Sources: the vendors' S3 compatibility pages (AWS, Cloudflare R2, Supabase Storage, Backblaze
/// B2), MinIO's and Ceph's documentation.
package struct S3Profile: Equatable, Sendable {
    package enum Name: String, CaseIterable, Sendable {
        case aws, r2, supabase, b2, minio, ceph, generic
    }

    /// By what is known that the server got the bytes that were sent.
    enum Checksum: Equatable, Sendable {
        /// `x-amz-checksum-sha256` of each body.
        case sha256
        /// `Content-MD5` of each body, which servers knew long before the other.
        case md5
        /// The body's own hash, which is part of what is signed.
        case signature
    }

    package let name: Name
    /// The bucket is part of the host name, not of the path.
    let isVirtualHosted: Bool
    /// Used where the storage URL names none.
    let region: String?
    let checksum: Checksum
    /// Whether a key that is taken is answered with 412 when we say `If-None-Match: *`.
    ///
    /// Also at the end of a multipart upload. Where it is false, we look first; the lease on the
    /// file keeps others away. The storage URL may say otherwise.
    let isCreateOnly: Bool

    static let all: [Name: S3Profile] = [
        .aws: S3Profile(.aws, virtual: true, "us-east-1", .sha256, createOnly: true),
        .r2: S3Profile(.r2, "auto", .sha256, createOnly: true),
        .supabase: S3Profile(.supabase, "us-east-1", .md5, createOnly: false),
        .b2: S3Profile(.b2, nil, .md5, createOnly: false),
        .minio: S3Profile(.minio, "us-east-1", .sha256, createOnly: true),
        .ceph: S3Profile(.ceph, "default", .md5, createOnly: false),
        .generic: S3Profile(.generic, "us-east-1", .signature, createOnly: false),
    ]

    private init(
        _ name: Name, virtual: Bool = false, _ region: String?, _ checksum: Checksum,
        createOnly: Bool
    ) {
        self.name = name
        isVirtualHosted = virtual
        self.region = region
        self.checksum = checksum
        isCreateOnly = createOnly
    }

    static func of(_ name: Name) -> S3Profile { all[name] ?? S3Profile(.generic) }

    private init(_ name: Name) {
        self.init(name, "us-east-1", .signature, createOnly: false)
    }

    /// The vendor that a host belongs to, and the region where the host names it.
    static func recognise(host: String) -> (name: Name, region: String?) {
        let parts = host.split(separator: ".").map(String.init)
        if host.hasSuffix(".amazonaws.com") || host.hasSuffix(".amazonaws.com.cn") {
            // s3.eu-west-1.amazonaws.com
            let place = parts.firstIndex(of: "s3")
            let region = place.flatMap { parts.indices.contains($0 + 1) ? parts[$0 + 1] : nil }
            return (.aws, region == "amazonaws" ? nil : region)
        }
        if host.hasSuffix(".r2.cloudflarestorage.com") { return (.r2, nil) }
        if host.hasSuffix(".supabase.co") || host.hasSuffix(".supabase.in") {
            return (.supabase, nil)
        }
        if host.hasSuffix(".backblazeb2.com"), parts.first == "s3", parts.count > 3 {
            // s3.us-west-004.backblazeb2.com
            return (.b2, parts[1])
        }
        return (.generic, nil)
    }
}
