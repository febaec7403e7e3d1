internal import CCurl
internal import Glibc

/// What only this host suffers from; another one may reach the same address at the same time.
package enum HostTrouble: String, Sendable, CaseIterable {
    /// No file descriptor or no memory left.
    case resources
    /// No way leads to the address.
    case route
    /// A certificate is not valid yet: this host's clock is behind.
    case clock

    /// What libcurl's code, the system's error number and libcurl's words mean together; nil where
    /// the peer is to blame, or nobody knows.
    ///
    /// Source: errno(3), https://curl.se/libcurl/c/libcurl-errors.html
    package static func of(curlCode: Int, errorNumber: Int, detail: String) -> HostTrouble? {
        switch CURLcode(rawValue: UInt32(truncatingIfNeeded: curlCode)) {
        case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT: return .resources
        case CURLE_COULDNT_CONNECT, CURLE_ABORTED_BY_CALLBACK, CURLE_SEND_ERROR, CURLE_RECV_ERROR:
            return of(errorNumber: Int32(truncatingIfNeeded: errorNumber))
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR:
            return detail.lowercased().contains("not yet valid") ? .clock : nil
        default: return nil
        }
    }

    /// What the system's error number says by itself.
    static func of(errorNumber: Int32) -> HostTrouble? {
        switch errorNumber {
        case EMFILE, ENFILE, ENOMEM, ENOBUFS: .resources
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EADDRNOTAVAIL: .route
        default: nil
        }
    }
}
