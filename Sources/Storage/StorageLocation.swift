package import Core
internal import HTTP

/// What `HOLDFAST_STORAGE_URL` names.
package enum StorageLocation: Equatable, Sendable {
    /// A folder of this host, absolute, without a slash at the end.
    case folder(String)
    case s3(S3Location)
    case supabase(SupabaseLocation)

    /// Reads a storage URL, with percent escapes where needed: `file:///var/lib/holdfast/assets`,
    /// `s3://bucket/prefix?endpoint=https://…&region=auto` or
    /// `supabase://bucket/prefix?endpoint=https://PROJECT.supabase.co`.
    ///
    /// Throws `storage_url_invalid` (78). The URL itself is not repeated in the message, because
    /// it may hold a secret.
    package static func parse(_ url: String) throws(Failure) -> StorageLocation {
        guard let colon = url.firstIndex(of: ":") else {
            throw invalid("it has no scheme")
        }
        let rest = url[url.index(after: colon)...]
        switch url[..<colon].lowercased() {
        case "file": return .folder(try folder(rest))
        case "s3": return .s3(try S3Location.parse(rest))
        case "supabase": return .supabase(try SupabaseLocation.parse(rest))
        default: throw invalid("its scheme is none of file, s3 and supabase")
        }
    }

    /// The store at this place.
    ///
    /// - Parameters:
    ///   - variable: Looks up the credentials that the place needs.
    ///   - clock: The machine's own, for signatures.
    ///
    /// Throws `storage_key_missing` (78) with the variables to set.
    package func store(
        clock: @escaping @Sendable () -> Instant,
        variable: (String) throws(Failure) -> String?
    ) throws(Failure) -> any ObjectStore {
        switch self {
        case .folder(let path): return FileStore(root: path)
        case .s3(let location):
            return S3Store(location, try Self.signer(location, variable), clock: clock)
        case .supabase(let location):
            let name = "HOLDFAST_SUPABASE_SERVICE_KEY"
            guard let key = try variable(name) else { throw Self.missingKey(name) }
            return SupabaseStore(location, serviceKey: key)
        }
    }

    /// Where it is, for people: nothing secret.
    package var words: String {
        switch self {
        case .folder(let path): path
        case .s3(let location): "\(location.words), profile \(location.profile.name.rawValue)"
        case .supabase(let location): "\(location.words), Supabase Storage"
        }
    }

    /// Names the place as no other is named, its prefix included; nothing secret.
    package var key: String {
        switch self {
        case .folder(let path): "file://" + path
        case .s3(let location): "\(location.words), prefix /\(location.prefix)"
        case .supabase(let location): "\(location.words), prefix /\(location.prefix)"
        }
    }

    private static func signer(
        _ location: S3Location, _ variable: (String) throws(Failure) -> String?
    ) throws(Failure) -> SigV4 {
        let ours = try pair("HOLDFAST_S3_", variable)
        var keys = ours
        if keys == nil { keys = try pair("AWS_", variable) }
        guard let keys else {
            throw missingKey("HOLDFAST_S3_ACCESS_KEY_ID and HOLDFAST_S3_SECRET_ACCESS_KEY")
        }
        return SigV4(
            accessKeyID: keys.id, secretAccessKey: keys.secret,
            // A session's token belongs to the pair of the same family.
            sessionToken: try variable(
                ours == nil ? "AWS_SESSION_TOKEN" : "HOLDFAST_S3_SESSION_TOKEN"),
            region: location.region)
    }

    private static func pair(
        _ prefix: String, _ variable: (String) throws(Failure) -> String?
    ) throws(Failure) -> (id: String, secret: String)? {
        let id = try variable(prefix + "ACCESS_KEY_ID")
        let secret = try variable(prefix + "SECRET_ACCESS_KEY")
        if let id, let secret { return (id, secret) }
        guard id == nil, secret == nil else {
            throw missingKey(prefix + (id == nil ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY"))
        }
        return nil
    }

    private static func missingKey(_ names: String) -> Failure {
        Failure(
            .configuration, code: "storage_key_missing",
            "HOLDFAST_STORAGE_URL names a store that wants a key; set \(names)")
    }

    private static func folder(_ rest: Substring) throws(Failure) -> String {
        guard rest.hasPrefix("//") else { throw invalid("file: must be followed by ///") }
        let afterSlashes = rest.dropFirst(2)
        let slash = afterSlashes.firstIndex(of: "/") ?? afterSlashes.endIndex
        let host = afterSlashes[..<slash]
        guard host.isEmpty || host.lowercased() == "localhost" else {
            throw invalid("a file URL has three slashes; this one names a host")
        }
        let escaped = afterSlashes[slash...]
        guard !escaped.contains("?"), !escaped.contains("#") else {
            throw invalid("a file URL has no query and no fragment")
        }
        guard let path = PercentEscape.decode(escaped), !path.utf8.contains(0) else {
            throw invalid("its percent escapes are wrong")
        }
        let parts = path.split(separator: "/")
        guard !parts.isEmpty else { throw invalid("it names no folder") }
        guard !parts.contains(where: { $0 == "." || $0 == ".." }) else {
            throw invalid("its path has a part that is . or ..")
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func invalid(_ reason: String) -> Failure {
        Failure(
            .configuration, code: "storage_url_invalid",
            "HOLDFAST_STORAGE_URL: \(reason); set it to a folder,"
                + " like file:///var/lib/holdfast/assets, or to a bucket,"
                + " like s3://bucket/prefix?endpoint=https://host&region=auto or"
                + " supabase://bucket/prefix?endpoint=https://PROJECT.supabase.co")
    }

    static func invalidBucket(_ reason: String) -> Failure { invalid(reason) }
}

/// RFC 3986 escapes of paths.
enum PercentEscape {
    static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Hex.value),
                let low = rest.popFirst().flatMap(Hex.value)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    static func encode(path: String) -> String { encode(path, keeping: "-._~/") }

    /// A name or a value of a query.
    static func encode(_ text: String) -> String { encode(text, keeping: "-._~") }

    private static func encode(_ text: String, keeping: String) -> String {
        let kept = Set(keeping.utf8)
        return text.utf8.reduce(into: "") { text, byte in
            if Hex.isAlphanumeric(byte) || kept.contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "%" + Hex.upper(byte)
            }
        }
    }
}

extension Hex {
    /// A letter or a digit of ASCII, which no key and no address escapes.
    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
            || (0x61...0x7a).contains(byte)
    }
}
