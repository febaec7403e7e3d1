/// Why a provider gave no answer about a task, and what a person can do about it.
package struct ProviderTrouble: Equatable, CustomStringConvertible {
    /// Nil when no answer came.
    var status: Int?
    var message: String?

    package init(status: Int? = nil, message: String? = nil) {
        self.status = status
        self.message = message
    }

    package var description: String {
        let what = message ?? status.map { "HTTP \($0)" } ?? "no answer"
        return advice.map { "\(what) - \($0)" } ?? what
    }

    private var advice: String? {
        guard let status else {
            return "see that this host reaches the provider's address (name, network, certificate)"
        }
        return switch status {
        case 401: "check the key"
        case 402: "top up the account at the provider"
        case 403:
            "check that the key is active and may read tasks, and that no front end stands between"
        case 429: "lower its rate with holdfast policy set rate"
        case 300..<400: "check the base URL: redirects are not followed, so that keys stay home"
        case 500...: "look at the provider's status page"
        default: nil
        }
    }
}
