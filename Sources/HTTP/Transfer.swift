internal import CCurl
internal import Core

/// One request on its way: the easy handle, the answer so far, and why it was ended, if it was.
///
/// libcurl's callbacks get a borrowed pointer to it. The client keeps it alive until its easy
/// handle has left the multi handle.
final class Transfer {
    /// Why we ended a transfer that libcurl would have gone on with.
    enum End {
        case redirect(to: String)
        case notWanted
        case failed(HTTPError)
    }

    /// Where the reader of the header block stands.
    enum Head { case awaitingStatus, inHeaders, complete }

    /// All header lines of an answer together.
    static let headLimitBytes = 256 << 10
    static let redirectLimit = 5

    let easy: UnsafeMutableRawPointer
    let request: Request
    let sink: (any DownloadSink)?
    /// What is sent, where it is not the request's own body.
    let upload: RequestBody?
    let errorText: UnsafeMutablePointer<CChar>
    /// Why the last socket could not be opened, as the system numbers it.
    var socketError = 0
    private let started = ContinuousClock.now

    var url: ParsedURL
    var lines: UnsafeMutablePointer<curl_slist>?
    var sendsAllHeaders = true

    var head = Head.awaitingStatus
    var headBytes = 0
    var status = 0
    var headers: [Header] = []
    var body: [UInt8] = []
    var bodyBytes = 0
    var end: End?
    var isPaused = false

    var refusal: String?
    var wasPermitted = false

    private var redirects = 0

    /// A transfer that is ready to be added to a multi handle.
    init(
        _ request: Request, sink: (any DownloadSink)?, body upload: RequestBody? = nil
    ) throws(HTTPError) {
        guard let url = ParsedURL(request.url) else {
            throw HTTPError(
                code: .badURL, host: "",
                message: "not an http or https URL of at most \(ParsedURL.limitBytes) bytes")
        }
        if sink != nil { try Self.refuseUserInfo(url) }
        guard let easy = curl_easy_init() else {
            throw HTTPError(
                code: .other, host: url.host, message: "libcurl gives no easy handle",
                hostTrouble: .resources)
        }
        self.easy = easy
        self.request = request
        self.sink = sink
        self.upload = upload
        self.url = url
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        try configure()
        try configureHop(timeLeft: request.timeout)
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(lines)
        errorText.deallocate()
    }

    var host: String { url.host }

    /// The answer or the error, once libcurl is done; nil when a redirect is to be followed.
    func result(_ code: CURLcode) -> Result<Response, HTTPError>? {
        switch end {
        case .redirect: return nil
        case .failed(let error): return .failure(error)
        case .notWanted: return .success(Response(status: status, headers: headers))
        case nil: break
        }
        guard code == CURLE_OK else { return .failure(error(for: code)) }
        guard head == .complete else {
            return .failure(failure(.cutOff, "the answer of \(host) has no complete header block"))
        }
        return .success(Response(status: status, headers: headers, body: body))
    }

    /// Makes the handle ready for the address that the answer named; it must be outside the multi
    /// handle.
    func follow() throws(HTTPError) {
        guard case .redirect(let location) = end else { return }
        guard redirects < Self.redirectLimit else {
            throw failure(
                .tooManyRedirects, "\(host): more than \(Self.redirectLimit) redirects")
        }
        let next = try Self.target(of: location, from: url)
        let left = request.timeout - (ContinuousClock.now - started)
        guard left > .zero else { throw timeout() }
        redirects += 1
        // Once gone, they stay gone: a redirect back proves nothing about who sent us there.
        if !next.hasSameOrigin(as: url) { sendsAllHeaders = false }
        url = next
        head = .awaitingStatus
        headBytes = 0
        status = 0
        headers = []
        end = nil
        refusal = nil
        wasPermitted = false
        try configureHop(timeLeft: left)
    }

    /// Where a redirect leads, when it may be followed.
    static func target(of location: String, from url: ParsedURL) throws(HTTPError) -> ParsedURL {
        guard let next = ParsedURL(location, relativeTo: url) else {
            throw HTTPError(
                code: .badURL, host: url.host,
                message: "\(url.host) redirects to something that is not an http URL")
        }
        try refuseUserInfo(next)
        guard url.scheme == "http" || next.scheme == "https" else {
            throw HTTPError(
                code: .badURL, host: url.host,
                message: "\(url.host) redirects from https to http (\(next.host))")
        }
        return next
    }

    private static func refuseUserInfo(_ url: ParsedURL) throws(HTTPError) {
        guard url.hasUserInfo else { return }
        throw HTTPError(
            code: .badURL, host: url.host,
            message: "\(url.host): a URL with user name or password is not downloaded")
    }
}

// MARK: Errors

extension Transfer {
    func failure(
        _ code: HTTPError.Code, _ message: String, _ trouble: HostTrouble? = nil
    ) -> HTTPError {
        HTTPError(code: code, host: host, message: message, hostTrouble: trouble)
    }

    private func timeout() -> HTTPError {
        failure(
            .timeout, "\(host): not finished within \(DurationText.describe(request.timeout))")
    }

    /// What libcurl's code means for whoever asked.
    ///
    /// Source: https://curl.se/libcurl/c/libcurl-errors.html
    func error(for code: CURLcode) -> HTTPError {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST:
            return failure(.resolve, "\(host): the name cannot be resolved")
        case CURLE_COULDNT_CONNECT, CURLE_ABORTED_BY_CALLBACK:
            if let refusal, !wasPermitted { return blocked(refusal) }
            return failure(
                .connect, "\(host):\(url.port): no connection\(systemReason)", trouble(code))
        case CURLE_OPERATION_TIMEDOUT:
            return timeoutError()
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR:
            return failure(
                .cutOff,
                "\(host): the connection ended before the answer did, after"
                    + " \(bodyBytes) bytes of the body")
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_CRL_BADFILE, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT,
            CURLE_SSL_ENGINE_INITFAILED, CURLE_USE_SSL_FAILED:
            // libcurl's own words here are about the certificate, and the only useful ones.
            let detail = String(cString: errorText)
            return failure(
                .tls, "\(host): \(detail.isEmpty ? Library.text(code) : detail)", trouble(code))
        case CURLE_URL_MALFORMAT:
            return failure(.badURL, "\(host): libcurl cannot use this URL")
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY:
            return failure(.other, "\(host): what came back is not HTTP")
        default:
            return failure(.other, "\(host): \(Library.text(code))", trouble(code))
        }
    }

    private func trouble(_ code: CURLcode) -> HostTrouble? {
        HostTrouble.of(
            curlCode: Int(code.rawValue), errorNumber: systemNumber,
            detail: String(cString: errorText))
    }

    private func blocked(_ refusal: String) -> HTTPError {
        failure(
            .blockedAddress,
            "\(host) leads to \(refusal), where downloads may not go;"
                + " if it is yours, add its range to HOLDFAST_EGRESS_ALLOW")
    }

    /// libcurl has one code for three clocks; which one rang shows in what had been reached.
    private func timeoutError() -> HTTPError {
        if ContinuousClock.now - started >= request.timeout { return timeout() }
        var connected = curl_off_t(0)
        let info = url.scheme == "https" ? CURLINFO_APPCONNECT_TIME_T : CURLINFO_CONNECT_TIME_T
        curl_easy_get_offset(easy, info, &connected)
        if connected == 0 && head == .awaitingStatus {
            let limit = DurationText.describe(request.connectTimeout)
            var resolved = curl_off_t(0)
            curl_easy_get_offset(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved)
            if resolved == 0 {
                return failure(.resolve, "\(host): the name was not resolved within \(limit)")
            }
            return failure(.timeout, "\(host): no connection within \(limit)")
        }
        let limit = DurationText.describe(.seconds(stallSeconds))
        return failure(
            .timeout,
            "\(host): stalled; less than 1 byte a second for \(limit), after"
                + " \(bodyBytes) bytes of the body")
    }

    private var systemReason: String {
        systemNumber == 0 ? "" : " (\(SystemError.text(systemNumber)))"
    }

    /// Why there is no connection, by the system's number; 0 where it gave none.
    private var systemNumber: Int {
        // libcurl does not hear why the callback had no socket.
        guard socketError == 0 else { return socketError }
        var number = 0
        curl_easy_get_long(easy, CURLINFO_OS_ERRNO, &number)
        return number
    }
}
