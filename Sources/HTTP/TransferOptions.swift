internal import CCurl
internal import Core

// Options: https://curl.se/libcurl/c/curl_easy_setopt.html

extension Transfer {
    /// Bytes that libcurl reads at once from the connection of a download.
    private static let receiveBufferBytes = 64 << 10
    /// Bytes that libcurl hands to the connection of an upload at once.
    private static let sendBufferBytes = 128 << 10

    /// Sets what stays the same on every hop.
    func configure() throws(HTTPError) {
        try set(CURLOPT_NOSIGNAL, 1)
        try check(curl_easy_allow_http_only(easy), "protocols")
        try check(curl_easy_leave_resolver_behind(easy), "CURLOPT_QUICK_EXIT")
        // The environment is not asked: through a proxy the egress policy would judge the proxy.
        try set(CURLOPT_PROXY, "")
        try set(CURLOPT_NOPROXY, "*")
        try set(CURLOPT_NETRC, 0)
        try set(CURLOPT_FOLLOWLOCATION, 0)
        // Said here, so that neither the library's build nor the system's settings decide it.
        try set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        try set(CURLOPT_SSL_VERIFYPEER, 1)
        try set(CURLOPT_SSL_VERIFYHOST, 2)
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        try check(
            curl_easy_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText), "CURLOPT_ERRORBUFFER")
        try configureMethod()
        try configureCallbacks()
        if sink != nil { try set(CURLOPT_BUFFERSIZE, Self.receiveBufferBytes) }
        if upload != nil { try set(CURLOPT_UPLOAD_BUFFERSIZE, Self.sendBufferBytes) }
        if sink != nil || upload != nil {
            try set(CURLOPT_LOW_SPEED_LIMIT, 1)
            try set(CURLOPT_LOW_SPEED_TIME, stallSeconds)
        }
    }

    /// Sets what a redirect changes: address, headers and the time that is left.
    func configureHop(timeLeft: Duration) throws(HTTPError) {
        try set(CURLOPT_URL, url.text)
        try set(CURLOPT_TIMEOUT_MS, Self.milliseconds(timeLeft))
        try set(CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(request.connectTimeout))
        let fresh = try headerLines()
        try check(curl_easy_set_list(easy, CURLOPT_HTTPHEADER, fresh), "CURLOPT_HTTPHEADER")
        curl_slist_free_all(lines)
        lines = fresh
    }

    var stallSeconds: Int {
        let (seconds, rest) = request.stallTimeout.components
        return Int(clamping: max(1, min(seconds, 86_400) + (rest > 0 ? 1 : 0)))
    }

    private func configureMethod() throws(HTTPError) {
        let method = sink == nil ? request.method : "GET"
        guard Self.isToken(method) else { throw failure(.other, "\(host): not an HTTP method") }
        let body = sink == nil ? request.body : nil
        guard body != nil || upload != nil || ["POST", "PUT", "PATCH"].contains(method) else {
            if method == "HEAD" { return try set(CURLOPT_NOBODY, 1) }
            try set(CURLOPT_HTTPGET, 1)
            if method != "GET" { try set(CURLOPT_CUSTOMREQUEST, method) }
            return
        }
        if method != "POST" { try set(CURLOPT_CUSTOMREQUEST, method) }
        // On a kept connection that turns out to be closed, libcurl sends the request again. The
        // server may have acted on the first one, so what changes something gets a new connection,
        // unless a second time makes no difference.
        if !request.isRepeatable { try set(CURLOPT_FRESH_CONNECT, 1) }
        if let upload { return try configureUpload(upload) }
        let bytes = body ?? []
        try check(
            curl_easy_set_offset(
                easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count)),
            "CURLOPT_POSTFIELDSIZE_LARGE")
        // libcurl copies the bytes during the call. An empty array may have no address at all,
        // and none would mean a body that is read from a callback.
        let code = bytes.withUnsafeBytes { buffer in
            buffer.isEmpty
                ? curl_easy_set_text(easy, CURLOPT_COPYPOSTFIELDS, "")
                : curl_easy_set_pointer(
                    easy, CURLOPT_COPYPOSTFIELDS,
                    UnsafeMutableRawPointer(mutating: buffer.baseAddress))
        }
        try check(code, "CURLOPT_COPYPOSTFIELDS")
    }

    /// The bytes stay where they are until the transfer is over; it keeps them alive.
    private func configureUpload(_ upload: RequestBody) throws(HTTPError) {
        try check(
            curl_easy_set_offset(
                easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(upload.bytes.count)),
            "CURLOPT_POSTFIELDSIZE_LARGE")
        try check(
            curl_easy_set_pointer(
                easy, CURLOPT_POSTFIELDS,
                UnsafeMutableRawPointer(mutating: upload.bytes.baseAddress)), "CURLOPT_POSTFIELDS")
    }

    /// The header lines of this hop; the caller owns the list.
    private func headerLines() throws(HTTPError) -> UnsafeMutablePointer<curl_slist>? {
        var texts: [String] = []
        var names: Set<String> = []
        for header in request.headers {
            let name = header.name.lowercased()
            guard Self.isToken(header.name) else {
                throw failure(
                    .other, "\(host): a header's name has a character that is not allowed")
            }
            guard header.value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7f) || $0 == 0x09 }) else {
                throw failure(
                    .other, "\(host): the value of header \(header.name) has a control character")
            }
            guard sendsAllHeaders || Self.harmlessElsewhere.contains(name) else { continue }
            names.insert(name)
            // Without a value, libcurl takes "Name:" for "leave it out" and "Name;" for "empty".
            texts.append(
                header.value.allSatisfy { $0 == " " || $0 == "\t" }
                    ? "\(header.name);" : "\(header.name): \(header.value)")
        }
        if !names.contains("user-agent") {
            texts.append("User-Agent: \(Request.browserUserAgent)")
        }
        if !names.contains("content-type") { texts.append("Content-Type:") }
        if !names.contains("expect") { texts.append("Expect:") }
        var list: UnsafeMutablePointer<curl_slist>?
        for text in texts {
            guard let longer = curl_slist_append(list, text) else {
                curl_slist_free_all(list)
                throw failure(.other, "\(host): no memory for the header list")
            }
            list = longer
        }
        return list
    }

    /// What still goes along when a redirect leads to another origin; everything else may be a
    /// credential under a name we do not know.
    private static let harmlessElsewhere: Set<String> = [
        "accept", "accept-encoding", "accept-language", "user-agent", "range", "if-range",
    ]

    private static let tokenPunctuation = Set("!#$%&'*+-.^_`|~".utf8)

    /// RFC 9110, section 5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
                    || (0x61...0x7a).contains(byte) || tokenPunctuation.contains(byte)
            }
    }

    /// Rounded up, so that whoever is cut off by it has had all of its time; never zero, which
    /// libcurl takes for "no limit".
    private static func milliseconds(_ duration: Duration) -> Int {
        Int(clamping: max(0, min(duration.milliseconds, Int64(Int32.max) - 1)) + 1)
    }

    func set(_ option: CURLoption, _ value: Int) throws(HTTPError) {
        try check(curl_easy_set_long(easy, option, value), "\(option.rawValue)")
    }

    private func set(_ option: CURLoption, _ value: String) throws(HTTPError) {
        try check(curl_easy_set_text(easy, option, value), "\(option.rawValue)")
    }

    func check(_ code: CURLcode, _ option: String) throws(HTTPError) {
        guard code != CURLE_OK else { return }
        throw failure(.other, "libcurl refuses option \(option): \(Library.text(code))")
    }
}
