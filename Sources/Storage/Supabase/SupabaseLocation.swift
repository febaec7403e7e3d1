import Core

/// A place for objects in Supabase Storage, reached by its own REST interface.
package struct SupabaseLocation: Equatable, Sendable, BucketLocation {
    package let bucket: String
    package let prefix: String
    private let endpoint: Endpoint

    /// Reads what follows the scheme of `supabase://bucket/prefix?endpoint=https://…`.
    ///
    /// Throws `storage_url_invalid` (78).
    static func parse(_ rest: Substring) throws(Failure) -> SupabaseLocation {
        let url = try BucketURL(rest, scheme: "supabase", parameters: ["endpoint"])
        guard let bucket = PercentEscape.decode(url.bucket), (1...100).contains(bucket.utf8.count),
            !bucket.contains("/"), isAllowed(bucket)
        else {
            throw StorageLocation.invalidBucket(
                "it names no bucket of at most 100 characters that Supabase allows")
        }
        guard isAllowed(url.prefix) else {
            throw StorageLocation.invalidBucket(
                "its prefix has a character that Supabase allows in no key")
        }
        guard let text = url.parameters["endpoint"] else {
            throw StorageLocation.invalidBucket(
                "it needs ?endpoint=https://PROJECT.supabase.co, the project's own address")
        }
        let endpoint = try Endpoint(text)
        guard !endpoint.path.contains("/storage/v1") else {
            throw StorageLocation.invalidBucket(
                "its endpoint is the project's address alone, without /storage/v1")
        }
        return SupabaseLocation(bucket: bucket, prefix: url.prefix, endpoint: endpoint)
    }

    /// The address of something below `/storage/v1`, whose path is percent-encoded.
    func address(_ path: String) -> String {
        "\(endpoint.scheme)://\(endpoint.authority)\(endpoint.path)/storage/v1/\(path)"
    }

    /// The address of an object, or of something to do with it, such as `authenticated/`.
    func object(_ name: String, _ what: String = "") -> String {
        address("object/\(what)\(PercentEscape.encode(path: "\(bucket)/\(name)"))")
    }

    /// What the addresses of this bucket begin with that need no key.
    var publicAddress: String { address("object/public/\(PercentEscape.encode(path: bucket))") }

    var words: String { "bucket \(bucket) at \(endpoint.authority)" }

    /// Source: the pattern for keys in github.com/supabase/storage, `src/storage/limits.ts`.
    private static func isAllowed(_ name: String) -> Bool {
        name.utf8.allSatisfy {
            Hex.isAlphanumeric($0) || "_/!.*'() &$=@;:+,?-".utf8.contains($0)
        }
    }
}
