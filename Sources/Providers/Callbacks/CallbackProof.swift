package import Core

/// What this host knows to tell a provider's callbacks from anybody's.
package struct CallbackProof: Sendable {
    /// Our own secret, as it stands in callback addresses or makes their tags.
    package var secret: String?
    /// By the provider's name; those without a key are not there.
    private let signers: [String: Signer]

    package struct Signer: Sendable {
        package var scheme: WebhookScheme
        package var key: WebhookKey
    }

    /// Nothing is known: nothing is checked.
    package static let none = CallbackProof(secret: nil, signers: [:])

    private init(secret: String?, signers: [String: Signer]) {
        self.secret = secret
        self.signers = signers
    }

    /// Reads what the environment has for each provider of a registry.
    ///
    /// - Throws: `configuration` for a value that no key can have; the message names the variable.
    package init(
        secret: String?, _ providers: ProviderRegistry, _ value: (String) throws -> String?
    ) throws {
        var signers: [String: Signer] = [:]
        for provider in providers.all {
            let scheme = provider.facts.webhook
            let key = try Self.key(scheme, isConfigured: provider.isConfigured, value)
            if let key { signers[provider.name] = Signer(scheme: scheme, key: key) }
        }
        self.init(secret: secret, signers: signers)
    }

    package func signer(_ provider: String) -> Signer? { signers[provider] }

    private static func key(
        _ scheme: WebhookScheme, isConfigured: Bool, _ value: (String) throws -> String?
    ) throws -> WebhookKey? {
        switch scheme {
        case .unsigned:
            return nil
        case .taskHMAC(let variable), .clearSecret(_, let variable):
            return try value(variable).map { .secret(Array($0.utf8)) }
        case .standard(let variable, let isBase64):
            guard let text = try value(variable) else { return nil }
            let secret = text.hasPrefix("whsec_") ? String(text.dropFirst(6)) : text
            guard isBase64 else { return .secret(Array(secret.utf8)) }
            guard let bytes = Base64.bytes(secret), !bytes.isEmpty else {
                throw Failure(
                    .configuration, code: "malformed_webhook_secret",
                    "\(variable) is no webhook secret: copy it whole, whsec_ and the base64 text "
                        + "behind it, without quotes and without a line break")
            }
            return .secret(bytes)
        case .publishedKeys(let url, let variable):
            let given = try value(variable)
            guard given.map({ UsableURL.check($0) == $0 }) ?? true else {
                throw Failure(
                    .configuration, code: "malformed_keys_url",
                    "\(variable) is no http or https address; leave it out for \(url)")
            }
            return isConfigured ? .published(url: given ?? url) : nil
        }
    }
}

/// What the checks of one callback came to, each by itself and together.
package struct CallbackChecks: Equatable, Sendable {
    package var secret = CheckResult.notChecked
    package var tag = CheckResult.notChecked
    package var signature = CheckResult.notChecked
    package var notes: [String] = []

    package init() {}

    /// Any wrong proof spoils the others; any right one will do; what could have come and did not is
    /// missing.
    package var overall: CheckResult {
        let all = [secret, tag, signature]
        return [.wrong, .right, .missing].first(where: all.contains) ?? .notChecked
    }

    package var object: JSONValue {
        [
            "secret": .string(secret.rawValue), "tag": .string(tag.rawValue),
            "signature": .string(signature.rawValue),
        ]
    }

    /// The results of an earlier reading, as `object` wrote them.
    package init?(json: String) {
        guard let object = (try? JSON.parse(json))?.object else { return nil }
        func result(_ name: String) -> CheckResult {
            object[name]?.text.flatMap(CheckResult.init(rawValue:)) ?? .notChecked
        }
        (secret, tag, signature) = (result("secret"), result("tag"), result("signature"))
    }
}
