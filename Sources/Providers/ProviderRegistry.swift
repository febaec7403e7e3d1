package import Core

/// Every provider that this build knows, set up from the environment.
package struct ProviderRegistry: Sendable {
    private static let all: [any Provider.Type] = [
        KIEProvider.self,
        KlingProvider.self,
        ReplicateProvider.self,
        FalProvider.self,
        RunwayProvider.self,
        LumaProvider.self,
        MiniMaxProvider.self,
        GoogleVeoProvider.self,
        SeedanceProvider.self,
        WaveSpeedProvider.self,
        PiAPIProvider.self,
        OpenAIVideosProvider.self,
    ]

    package static let names: [String] = all.map { $0.name }

    private var providers: [String: any Provider]

    /// Reads the settings of all providers.
    ///
    /// - Parameter environment: The value of a variable, or nil.
    /// - Throws: `configuration` when a value is malformed; a missing one only leaves its
    ///   provider off.
    package init(environment: (String) -> String?) throws(Failure) {
        var providers: [String: any Provider] = [:]
        for type in Self.all {
            providers[type.name] = try Self.make(type, environment)
        }
        self.providers = providers
    }

    /// A registry of given providers, such as ones that a test has made up.
    package init(_ providers: [any Provider]) {
        self.providers = Dictionary(providers.map { ($0.name, $0) }) { $1 }
    }

    /// The providers in it, in alphabetical order.
    package var names: [String] { providers.keys.sorted() }

    /// The provider of that name, configured or not; an unknown name is nil.
    package func provider(_ name: String) -> (any Provider)? { providers[name] }

    /// Puts a provider with other credentials in the place of the one of its name.
    package mutating func replace(with provider: any Provider) {
        providers[provider.name] = provider
    }

    /// All of them, in the order of their names.
    var all: [any Provider] { providers.values.sorted { $0.name < $1.name } }

    package func isConfigured(_ name: String) -> Bool { providers[name]?.isConfigured ?? false }

    /// The variables that have to be set before the provider is on.
    package func missingVariables(_ name: String) -> [String] {
        guard let provider = providers[name] else { return [] }
        return type(of: provider).credentialVariables.filter {
            provider.settings.credentials[$0] == nil
        }
    }

    /// An adapter that reads answers and cannot ask; what `classify` and the inbox need.
    package static func reader(_ name: String) -> (any Provider)? {
        all.first { $0.name == name }.map { type in
            type.init(
                settings: ProviderSettings(
                    baseURL: type.defaultBaseURL, furtherBaseURLs: type.furtherBaseURLs))
        }
    }

    private static func make<P: Provider>(
        _ type: P.Type, _ environment: (String) -> String?
    ) throws(Failure) -> any Provider {
        P(settings: try ProviderSettings(for: type, environment: environment))
    }
}
