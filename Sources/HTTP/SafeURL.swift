internal import CCurl

/// Reads URLs as libcurl will, so that what was judged is what gets asked.
package enum SafeURL {
    /// Scheme, host and port of an http or https URL; nil for anything else.
    ///
    /// The scheme and the host come in lower case, an IPv6 host without brackets, the port from
    /// the scheme where the URL names none.
    package static func parse(_ text: String) -> (scheme: String, host: String, port: Int)? {
        ParsedURL(text).map { ($0.scheme, $0.host, $0.port) }
    }

    /// The URL as it may be logged: scheme, host, port and path.
    ///
    /// Query, fragment and user info are left out; a text that is no http URL is left out whole,
    /// because nobody can say which part of it is secret.
    package static func redacted(_ url: String) -> String {
        guard let parsed = ParsedURL(url) else { return "(not an http URL)" }
        let host = parsed.host.contains(":") ? "[\(parsed.host)]" : parsed.host
        let standard = parsed.port == (parsed.scheme == "https" ? 443 : 80)
        return "\(parsed.scheme)://\(host)" + (standard ? "" : ":\(parsed.port)") + parsed.path
    }
}

/// An http or https URL that libcurl has taken apart and put together again.
struct ParsedURL: Sendable {
    /// What is asked for: blanks and non-ASCII bytes escaped, relative parts resolved.
    let text: String
    let scheme: String
    let host: String
    let port: Int
    let path: String
    let hasUserInfo: Bool

    static let limitBytes = 16 << 10
    /// The longest name that DNS can carry, and then some; hosts appear in messages.
    static let hostLimitBytes = 255

    /// Reads `text`, which may be relative when there is a base.
    ///
    /// Source: https://curl.se/libcurl/c/libcurl-url.html
    init?(_ text: String, relativeTo base: ParsedURL? = nil) {
        // A blank at either end is a mistake of whoever wrote it down; escaping it would turn the
        // mistake into a 404, which reads as "the file is gone".
        guard !text.isEmpty, text.utf8.count <= Self.limitBytes,
            text.utf8.first != 0x20, text.utf8.last != 0x20,
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }), let handle = curl_url()
        else { return nil }
        defer { curl_url_cleanup(handle) }
        if let base, curl_url_set(handle, CURLUPART_URL, base.text, 0) != CURLUE_OK { return nil }
        guard curl_url_set(handle, CURLUPART_URL, text, UInt32(CURLU_URLENCODE)) == CURLUE_OK,
            curl_url_set(handle, CURLUPART_FRAGMENT, nil, 0) == CURLUE_OK,
            let whole = Self.part(handle, CURLUPART_URL),
            let scheme = Self.part(handle, CURLUPART_SCHEME)?.lowercased(),
            scheme == "http" || scheme == "https",
            let host = Self.part(handle, CURLUPART_HOST)?.lowercased(), !host.isEmpty,
            host.utf8.count <= Self.hostLimitBytes,
            let port = Self.part(handle, CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT)).flatMap({
                Int($0)
            })
        else { return nil }
        self.text = whole
        self.scheme = scheme
        self.host =
            host.hasPrefix("[") && host.hasSuffix("]")
            ? String(host.dropFirst().dropLast()) : host
        self.port = port
        self.path = Self.part(handle, CURLUPART_PATH) ?? "/"
        self.hasUserInfo =
            Self.part(handle, CURLUPART_USER) != nil
            || Self.part(handle, CURLUPART_PASSWORD) != nil
    }

    func hasSameOrigin(as other: ParsedURL) -> Bool {
        scheme == other.scheme && host == other.host && port == other.port
    }

    private static func part(_ handle: OpaquePointer, _ what: CURLUPart, _ flags: UInt32 = 0)
        -> String?
    {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, what, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}
