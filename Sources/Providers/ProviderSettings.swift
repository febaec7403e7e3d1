import Core
import HTTP

/// Where a provider is and how it knows us.
package struct ProviderSettings: Sendable {
    /// Without a slash at the end.
    package var baseURL: String
    /// Values by the name of their variable; blank ones are left out.
    package var credentials: [String: String]
    /// Further addresses of the provider by the name of their variable.
    package var furtherBaseURLs: [String: String]

    package init(
        baseURL: String, credentials: [String: String] = [:],
        furtherBaseURLs: [String: String] = [:]
    ) {
        self.baseURL = baseURL
        self.credentials = credentials
        self.furtherBaseURLs = furtherBaseURLs
    }

    /// Tells credentials apart, and nothing of them: what the breaker remembers it opened for.
    package var credentialName: String? {
        guard !credentials.isEmpty else { return nil }
        return SecretDigest.name(
            of: credentials.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                .joined(separator: "\n"))
    }

    /// Reads the settings of one provider.
    ///
    /// Missing credentials are no error: the provider is off. A malformed value is one, and its
    /// message names the variable, never the value.
    init(
        for provider: (some Provider).Type, environment: (String) -> String?
    ) throws(Failure) {
        var credentials: [String: String] = [:]
        for variable in provider.credentialVariables {
            guard let value = environment(variable), !value.trimmed.isEmpty else { continue }
            guard value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw Failure(
                    .configuration, code: "malformed_credential",
                    "\(variable) has a line break, blank or other character that no key has: "
                        + "copy the key again, without quotes and without a line break")
            }
            credentials[variable] = value
        }
        let baseURL = try Self.base(
            provider.baseURLVariable, default: provider.defaultBaseURL, environment)
        var further: [String: String] = [:]
        for (variable, address) in provider.furtherBaseURLs {
            further[variable] = try Self.base(variable, default: address, environment)
        }
        self.init(baseURL: baseURL, credentials: credentials, furtherBaseURLs: further)
    }

    private static func base(
        _ variable: String, default address: String, _ environment: (String) -> String?
    ) throws(Failure) -> String {
        let given = environment(variable) ?? ""
        if let url = base(given.trimmed.isEmpty ? address : given) { return url }
        throw Failure(
            .configuration, code: "malformed_base_url",
            "\(variable) is no http or https address such as \(address), "
                + "without user name, query and fragment")
    }

    private static func base(_ text: String) -> String? {
        guard UsableURL.check(text) == text, !text.utf8.contains(where: { "?#@".utf8.contains($0) })
        else { return nil }
        var url = Substring(text)
        while url.hasSuffix("/") { url = url.dropLast() }
        return String(url)
    }
}
