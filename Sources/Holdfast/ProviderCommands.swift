import ArgumentParser
import Assembly
import Core
import Providers
import Reports
import Runner

struct ProviderCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "provider",
        abstract: "Says which providers this build knows and what it can do at each.",
        subcommands: [ProviderList.self])
}

struct ProviderList: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the providers, whether they are on here, and what they take.",
        discussion: "Works without a database; holdfast doctor tries what is configured.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Flag(help: "Print the whole support table as Markdown.")
    var markdown = false

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        if markdown {
            Output.standard(ProviderSupport.markdown)
            return .done
        }
        let registry = try ProviderRegistry(context.settings)
        Say.answer(
            context, reporting,
            [
                (
                    "providers",
                    .array(
                        ProviderSupport.all.map { one in
                            Self.object(one, isOn: registry.isConfigured(one.name))
                        })
                )
            ],
            text: Self.text(registry))
        return .done
    }

    private static func text(_ registry: ProviderRegistry) -> String {
        var table = TextTable(["provider", "here", "list", "cost", "url life", "credentials"])
        for one in ProviderSupport.all {
            table.add(
                one.name, registry.isConfigured(one.name) ? "on" : "off", one.list, one.cost,
                one.urlLife, one.credentials.joined(separator: " and "))
        }
        return table.text
    }

    private static func object(_ one: ProviderSupport, isOn: Bool) -> JSONValue {
        [
            "provider": .string(one.name), "configured": .bool(isOn),
            "credentials": .array(one.credentials.map { .string($0) }),
            "base_url_variable": .string(one.baseURLVariable),
            "default_base_url": .string(one.defaultBaseURL), "poll": .string(one.poll),
            "list": .string(one.list), "refresh": .string(one.refresh),
            "webhook": .string(one.webhook), "cost": .string(one.cost),
            "url_life": .string(one.urlLife), "download": .string(one.download),
            "rate": .string(one.rate),
        ]
    }
}
