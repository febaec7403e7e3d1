package import Core

/// What this host knows to tell a provider's callbacks from anybody's.
package struct CallbackProof: Sendable {
    /// Our own secret, as it stands in callback addresses or makes their tags; while it is exchanged,
    /// the new one and then the one before it.
    package let secrets: [String]
    /// By the provider's name; those without a key are not there.
    private let signers: [String: Signer]
    /// Secrets that are being exchanged: the variable, and what names its old value.
    package let exchanged: [OldSecret]

    package struct Signer: Sendable {
        package var scheme: WebhookScheme
        /// The new one first, where there are two.
        package var keys: [WebhookKey]
        /// What names the old one of two.
        package var old: OldSecret?

        package var key: WebhookKey? { keys.first }
    }

    package static let secretVariable = "HOLDFAST_CALLBACK_SECRET"

    /// Nothing is known: nothing is checked.
    package static let none = CallbackProof(secrets: [], signers: [:])

    private init(secrets: [String], signers: [String: Signer]) {
        self.secrets = secrets
        self.signers = signers
        let olds = signers.sorted { $0.key < $1.key }.compactMap(\.value.old)
        exchanged = [OldSecret(Self.secretVariable, secrets)].compactMap { $0 } + olds
    }

    /// What names the value before ours, where there is one.
    package var oldSecret: OldSecret? { OldSecret(Self.secretVariable, secrets) }

    /// Reads what the environment has for each provider of a registry.
    ///
    /// - Throws: `configuration` for a value that no key can have; the message names the variable.
    package init(
        secret: String?, _ providers: ProviderRegistry, _ value: (String) throws -> String?
    ) throws {
        var signers: [String: Signer] = [:]
        for provider in providers.all {
            let scheme = provider.facts.webhook
            signers[provider.name] = try Self.signer(
                scheme, isConfigured: provider.isConfigured, value)
        }
        self.init(
            secrets: try secret.map {
                try SecretValues.split($0, variable: Self.secretVariable)
            } ?? [], signers: signers)
    }

    package func signer(_ provider: String) -> Signer? { signers[provider] }

    private static func signer(
        _ scheme: WebhookScheme, isConfigured: Bool, _ value: (String) throws -> String?
    ) throws -> Signer? {
        switch scheme {
        case .unsigned:
            return nil
        case .taskHMAC(let variable), .clearSecret(_, let variable), .standard(let variable, _):
            guard let text = try value(variable) else { return nil }
            let values = try SecretValues.split(text, variable: variable)
            return Signer(
                scheme: scheme, keys: try values.map { try key(scheme, $0, variable) },
                old: OldSecret(variable, values))
        case .publishedKeys(let url, let variable):
            let given = try value(variable)
            guard given.map({ UsableURL.check($0) == $0 }) ?? true else {
                throw Failure(
                    .configuration, code: "malformed_keys_url",
                    "\(variable) is no http or https address; leave it out for \(url)")
            }
            guard isConfigured else { return nil }
            return Signer(scheme: scheme, keys: [.published(url: given ?? url)])
        }
    }

    private static func key(
        _ scheme: WebhookScheme, _ text: String, _ variable: String
    ) throws(Failure) -> WebhookKey {
        guard case .standard(_, let isBase64) = scheme else { return .secret(Array(text.utf8)) }
        let secret = text.hasPrefix("whsec_") ? String(text.dropFirst(6)) : text
        guard isBase64 else { return .secret(Array(secret.utf8)) }
        guard let bytes = Base64.bytes(secret), !bytes.isEmpty else {
            throw Failure(
                .configuration, code: "malformed_webhook_secret",
                "\(variable) is no webhook secret: copy it whole, whsec_ and the base64 text "
                    + "behind it, without quotes and without a line break")
        }
        return .secret(bytes)
    }
}

/// What names the value before the present one of a secret, and tells nothing of it.
package struct OldSecret: Hashable, Sendable {
    package var variable: String
    /// The beginning of its digest.
    package var name: String

    init?(_ variable: String, _ values: [String]) {
        guard values.count > 1, let old = values.last else { return nil }
        self.variable = variable
        name = SecretDigest.name(of: old)
    }
}

/// What the checks of one callback came to, each by itself and together.
package struct CallbackChecks: Equatable, Sendable {
    package var secret = CheckResult.notChecked
    package var tag = CheckResult.notChecked
    package var signature = CheckResult.notChecked
    package var notes: [String] = []
    /// The secrets whose old value has proved it.
    package var olds: Set<OldSecret> = []

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
