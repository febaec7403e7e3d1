import Core

/// A place for objects at an S3-compatible store.
package struct S3Location: Equatable, Sendable, BucketLocation {
    package let bucket: String
    package let prefix: String
    private let endpoint: Endpoint
    package let region: String
    package let profile: S3Profile
    let isVirtualHosted: Bool
    /// What the URL says of keys that are taken; nil where it leaves that to the profile.
    package let conditional: Bool?

    /// Whether the server is relied upon to refuse a key that is taken.
    package var isCreateOnly: Bool { conditional ?? profile.isCreateOnly }

    /// Reads what follows the scheme of `s3://bucket/prefix?endpoint=https://…&region=auto`.
    ///
    /// Without an endpoint it is Amazon's. `profile` names the vendor where the host does not,
    /// `style` is `path` or `virtual`, `conditional` is `yes` or `no`. Throws `storage_url_invalid` (78).
    static func parse(_ rest: Substring) throws(Failure) -> S3Location {
        let url = try BucketURL(
            rest, scheme: "s3",
            parameters: ["endpoint", "region", "profile", "style", "conditional"])
        guard isBucket(url.bucket) else {
            throw StorageLocation.invalidBucket(
                "it names no bucket of 3 to 63 lower-case letters, digits, dots and hyphens")
        }
        return try S3Location(url)
    }

    private init(_ url: BucketURL) throws(Failure) {
        bucket = url.bucket
        prefix = url.prefix
        let given = url.parameters
        endpoint = try Endpoint(
            given["endpoint"] ?? "https://s3.\(given["region"] ?? "us-east-1").amazonaws.com")
        let known = S3Profile.recognise(host: endpoint.host)
        var name = known.name
        if let text = given["profile"] {
            guard let chosen = S3Profile.Name(rawValue: text) else {
                let all = S3Profile.Name.allCases.map(\.rawValue).joined(separator: ", ")
                throw StorageLocation.invalidBucket("its profile is none of \(all)")
            }
            name = chosen
        }
        profile = S3Profile.of(name)
        guard let region = given["region"] ?? known.region ?? profile.region, !region.isEmpty
        else { throw StorageLocation.invalidBucket("it needs &region=… for this vendor") }
        self.region = region
        switch given["conditional"] {
        case nil: conditional = nil
        case "yes": conditional = true
        case "no": conditional = false
        default: throw StorageLocation.invalidBucket("its conditional is neither yes nor no")
        }
        switch given["style"] {
        case nil: isVirtualHosted = profile.isVirtualHosted && !bucket.contains(".")
        case "path": isVirtualHosted = false
        case "virtual": isVirtualHosted = true
        default: throw StorageLocation.invalidBucket("its style is neither path nor virtual")
        }
    }

    var scheme: String { endpoint.scheme }

    /// The host that requests go to, with its port unless that is the scheme's own.
    var host: String { isVirtualHosted ? "\(bucket).\(endpoint.authority)" : endpoint.authority }

    /// The path of a key, or of the bucket itself, percent-encoded.
    func path(_ key: String?) -> String {
        let bucketPath = isVirtualHosted ? endpoint.path : "\(endpoint.path)/\(bucket)"
        guard let key else { return bucketPath.isEmpty ? "/" : bucketPath }
        return bucketPath + "/" + PercentEscape.encode(path: key)
    }

    var words: String { "bucket \(bucket) at \(endpoint.authority)" }

    private static func isBucket(_ name: String) -> Bool {
        (3...63).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                Hex.isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            }
    }
}
