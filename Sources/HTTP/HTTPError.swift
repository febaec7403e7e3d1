/// Why a transfer brought no usable answer.
///
/// The message names the host and the limit; it never has a query string, user info or a header.
package struct HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case resolve, connect, tls, timeout
        /// The connection ended before the answer did.
        case cutOff = "cut_off"
        case tooLarge = "too_large"
        /// Every address of the host was refused by the egress policy.
        case blockedAddress = "blocked_address"
        case badURL = "bad_url"
        case tooManyRedirects = "too_many_redirects"
        /// The sink did not want the rest; it knows why.
        case stopped
        case other
    }

    package var code: Code
    /// The host that was being talked to; empty where the URL has none.
    package var host: String
    package var message: String
    /// Set where the cause is on this side, whoever was to be reached.
    package var hostTrouble: HostTrouble?

    package init(
        code: Code, host: String, message: String, hostTrouble: HostTrouble? = nil
    ) {
        self.code = code
        self.host = host
        self.message = message
        self.hostTrouble = hostTrouble
    }

    package var description: String { message }
}
