internal import Core
internal import HTTP

/// A place for objects at an S3-compatible store.
package struct S3Location: Equatable, Sendable {
    package let bucket: String
    /// In front of every key; empty, or without a slash at either end.
    package let prefix: String
    /// Scheme, host and port of the server, and the path that all its addresses begin with.
    let scheme: String
    let endpointHost: String
    let basePath: String
    package let region: String
    package let profile: S3Profile
    let isVirtualHosted: Bool

    static let parameters = ["endpoint", "region", "profile", "style"]

    /// Reads what follows the scheme of `s3://bucket/prefix?endpoint=https://…&region=auto`.
    ///
    /// Without an endpoint it is Amazon's. `profile` names the vendor where the host does not,
    /// `style` is `path` or `virtual`. Throws `storage_url_invalid` (78).
    static func parse(_ rest: Substring) throws(Failure) -> S3Location {
        guard rest.hasPrefix("//") else {
            throw StorageLocation.invalidBucket("s3: must be followed by //")
        }
        let halves = rest.dropFirst(2).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let given = try parameters(halves.count == 2 ? halves[1] : "")
        let path = halves[0].split(separator: "/", omittingEmptySubsequences: true)
        guard let name = path.first, isBucket(name) else {
            throw StorageLocation.invalidBucket(
                "it names no bucket of 3 to 63 lower-case letters, digits, dots and hyphens")
        }
        return try S3Location(
            bucket: String(name), prefix: try prefix(path.dropFirst()), given)
    }

    private init(bucket: String, prefix: String, _ given: [String: String]) throws(Failure) {
        self.bucket = bucket
        self.prefix = prefix
        let endpoint = try Self.endpoint(given)
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
        switch given["style"] {
        case nil: isVirtualHosted = profile.isVirtualHosted && !bucket.contains(".")
        case "path": isVirtualHosted = false
        case "virtual": isVirtualHosted = true
        default: throw StorageLocation.invalidBucket("its style is neither path nor virtual")
        }
        scheme = endpoint.scheme
        endpointHost = endpoint.authority
        basePath = endpoint.path
    }

    /// The host that requests go to, with its port unless that is the scheme's own.
    var host: String { isVirtualHosted ? "\(bucket).\(endpointHost)" : endpointHost }

    /// The path of a key, or of the bucket itself, percent-encoded.
    func path(_ key: String?) -> String {
        let bucketPath = isVirtualHosted ? basePath : "\(basePath)/\(bucket)"
        guard let key else { return bucketPath.isEmpty ? "/" : bucketPath }
        return bucketPath + "/" + PercentEscape.encode(path: key)
    }

    /// The name that the store knows a key by.
    func name(_ key: ObjectKey) -> String { prefix.isEmpty ? "\(key)" : "\(prefix)/\(key)" }

    /// The key of a name in the store; nil for objects that are not ours.
    func key(_ name: String) -> ObjectKey? {
        if prefix.isEmpty { return ObjectKey(name) }
        guard name.hasPrefix(prefix + "/") else { return nil }
        return ObjectKey(String(name.dropFirst(prefix.count + 1)))
    }

    /// For messages: bucket and host, nothing secret.
    var words: String { "bucket \(bucket) at \(endpointHost)" }

    // MARK: Reading

    private static func parameters(_ query: Substring) throws(Failure) -> [String: String] {
        var given: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard parameters.contains(name) else {
                throw StorageLocation.invalidBucket(
                    "it may have \(parameters.joined(separator: ", ")) after the question mark"
                        + " and nothing else")
            }
            guard parts.count == 2, let value = PercentEscape.decode(parts[1]), !value.isEmpty,
                given.updateValue(value, forKey: name) == nil
            else {
                throw StorageLocation.invalidBucket("its \(name) is empty, twice there or wrong")
            }
        }
        return given
    }

    private static func endpoint(
        _ given: [String: String]
    ) throws(Failure) -> (scheme: String, host: String, authority: String, path: String) {
        let region = given["region"] ?? "us-east-1"
        let text = given["endpoint"] ?? "https://s3.\(region).amazonaws.com"
        guard let parsed = SafeURL.parse(text), !text.contains("?"), !text.contains("@"),
            !text.contains("#")
        else {
            throw StorageLocation.invalidBucket(
                "its endpoint is no http or https address without user, query and fragment")
        }
        // scheme://host:port/path, with the port only where it is not the scheme's own.
        let clean = SafeURL.redacted(text).dropFirst(parsed.scheme.count + 3)
        let slash = clean.firstIndex(of: "/") ?? clean.endIndex
        var path = String(clean[slash...])
        while path.hasSuffix("/") { path.removeLast() }
        return (parsed.scheme, parsed.host, String(clean[..<slash]), path)
    }

    private static func prefix(_ parts: ArraySlice<Substring>) throws(Failure) -> String {
        var names: [String] = []
        for part in parts {
            guard let name = PercentEscape.decode(part), name != ".", name != "..",
                !name.contains("/"), name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
            else {
                throw StorageLocation.invalidBucket("its prefix has a part that no key may have")
            }
            names.append(name)
        }
        let prefix = names.joined(separator: "/")
        guard prefix.utf8.count <= 256 else {
            throw StorageLocation.invalidBucket("its prefix has more than 256 bytes")
        }
        return prefix
    }

    private static func isBucket(_ name: Substring) -> Bool {
        (3...63).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                Hex.isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            }
    }
}
