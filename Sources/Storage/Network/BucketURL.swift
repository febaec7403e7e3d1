import Core
import HTTP

/// What follows the scheme of a storage URL that names a bucket: `//bucket/prefix?name=value&…`.
struct BucketURL {
    let bucket: String
    let prefix: String
    let parameters: [String: String]

    /// Throws `storage_url_invalid` (78).
    init(_ rest: Substring, scheme: String, parameters known: [String]) throws(Failure) {
        guard rest.hasPrefix("//") else {
            throw StorageLocation.invalidBucket("\(scheme): must be followed by //")
        }
        let halves = rest.dropFirst(2).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        parameters = try Self.parameters(halves.count == 2 ? halves[1] : "", known)
        let path = halves[0].split(separator: "/", omittingEmptySubsequences: true)
        bucket = path.first.map(String.init) ?? ""
        prefix = try Self.prefix(path.dropFirst())
    }

    private static func parameters(
        _ query: Substring, _ known: [String]
    ) throws(Failure) -> [String: String] {
        var given: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard known.contains(name) else {
                throw StorageLocation.invalidBucket(
                    "it may have \(known.joined(separator: ", ")) after the question mark"
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
}

/// Where a server is, and the path that all its addresses begin with.
struct Endpoint: Equatable, Sendable {
    let scheme: String
    /// Without a port.
    let host: String
    /// With its port, unless that is the scheme's own.
    let authority: String
    /// Empty, or without a slash at its end.
    let path: String

    /// Throws `storage_url_invalid` (78).
    init(_ text: String) throws(Failure) {
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
        scheme = parsed.scheme
        host = parsed.host
        authority = String(clean[..<slash])
        self.path = path
    }
}

/// A place for objects in a bucket.
protocol BucketLocation {
    /// In front of every key; empty, or without a slash at either end.
    var prefix: String { get }
    /// For messages: bucket and host, nothing secret.
    var words: String { get }
}

extension BucketLocation {
    /// The name that the store knows a key by.
    func name(_ key: ObjectKey) -> String { name("\(key)") }

    /// The name of something that lies beside the keys.
    func name(_ text: String) -> String { prefix.isEmpty ? text : "\(prefix)/\(text)" }

    /// The key of a name in the store; nil for objects that are not ours.
    func key(_ name: String) -> ObjectKey? {
        if prefix.isEmpty { return ObjectKey(name) }
        guard name.hasPrefix(prefix + "/") else { return nil }
        return ObjectKey(String(name.dropFirst(prefix.count + 1)))
    }

    /// The address of a key below another one.
    func url(for key: ObjectKey, below base: String) -> String {
        var base = base
        while base.hasSuffix("/") { base.removeLast() }
        return "\(base)/\(PercentEscape.encode(path: name(key)))"
    }
}
