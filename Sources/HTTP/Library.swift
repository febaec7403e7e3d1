internal import CCurl
internal import Glibc

/// libcurl's process-wide state: set up once, by the first client, so that idle runs do not pay.
enum Library {
    static let ready: CURLcode = {
        // TLS writes to a connection that the peer closed raise SIGPIPE, which ends the process.
        // With the signal ignored they fail with an error that libcurl reports.
        signal(SIGPIPE, SIG_IGN)
        return curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    }()

    static func start() throws(HTTPError) {
        guard ready == CURLE_OK else {
            throw HTTPError(
                code: .other, host: "", message: "libcurl does not start: \(text(ready))")
        }
    }

    /// libcurl's fixed text for a code; it holds nothing of the request.
    static func text(_ code: CURLcode) -> String {
        String(cString: curl_easy_strerror(code))
    }
}
