package import Core
import HTTP
import Providers

extension ApplicationTrigger {
    /// The trigger as the environment describes it; nil where there is none.
    package init?(_ value: (String) throws -> String?) throws {
        guard let url = try value("HOLDFAST_RETRIGGER_URL") else { return nil }
        guard SafeURL.parse(url) != nil else {
            throw Failure(
                .configuration, code: "variable_invalid",
                "HOLDFAST_RETRIGGER_URL is no http or https address; write it like https://app.example.com/internal/start"
            )
        }
        guard let secret = try value("HOLDFAST_RETRIGGER_SECRET") else {
            throw Failure(
                .configuration, code: "variable_missing",
                "HOLDFAST_RETRIGGER_URL is set and HOLDFAST_RETRIGGER_SECRET is not; the application "
                    + "would refuse every retrigger; set both or neither")
        }
        let header = try value("HOLDFAST_RETRIGGER_HEADER") ?? "x-internal-secret"
        guard !header.isEmpty,
            header.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") }),
            secret.utf8.allSatisfy({ $0 >= 32 && $0 != 127 })
        else {
            throw Failure(
                .configuration, code: "variable_invalid",
                "HOLDFAST_RETRIGGER_HEADER or HOLDFAST_RETRIGGER_SECRET holds characters that no header "
                    + "can carry; correct it")
        }
        self.init(url: url, header: header, secret: secret)
    }
}

extension Wiring {
    /// Refuses names that no build knows and providers that this host has no credentials for.
    package func check(_ selection: Selection) throws(Failure) {
        for name in selection.providers {
            guard providers.provider(name) != nil else {
                throw Failure(
                    .configuration, code: "unknown_provider",
                    "unknown provider \(name); known are "
                        + ProviderRegistry.names.joined(separator: ", "))
            }
            guard providers.isConfigured(name) else {
                throw Failure(
                    .configuration, code: "provider_off",
                    "\(name) is off on this host: set "
                        + providers.missingVariables(name).joined(separator: " and "))
            }
        }
    }
}
