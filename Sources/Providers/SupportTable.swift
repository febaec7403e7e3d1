import Core

/// What Holdfast can do at a provider, in the words of the support table.
package struct ProviderSupport: Sendable {
    package var name: String
    /// What has to be set before the provider is on.
    package var credentials: [String]
    package var baseURLVariable: String
    package var defaultBaseURL: String
    package var poll: String
    package var list: String
    package var refresh: String
    package var webhook: String
    package var cost: String
    package var urlLife: String
    package var download: String
    package var rate: String

    package static let titles = [
        "Provider", "Poll", "List of tasks", "Refresh of a URL", "Webhook checked by", "Cost in",
        "URL life", "Download", "Requests a second",
    ]

    package var cells: [String] {
        [name, poll, list, refresh, webhook, cost, urlLife, download, rate]
    }

    /// Every provider of the registry, in its order.
    package static let all: [ProviderSupport] = ProviderRegistry.names.compactMap { name in
        ProviderRegistry.reader(name).map(ProviderSupport.init)
    }

    init(_ provider: any Provider) {
        let type = type(of: provider)
        let facts = provider.facts
        name = type.name
        credentials = type.credentialVariables
        baseURLVariable = type.baseURLVariable
        defaultBaseURL = type.defaultBaseURL
        poll = facts.pollSteps == 1 ? "one request" : "\(facts.pollSteps) requests"
        list =
            !facts.canList
            ? "no" : facts.canLookUpByOwnID ? "yes, and one task by our own id" : "yes"
        refresh = facts.canRefresh ? "yes" : "by asking about the task again"
        webhook = Self.words(facts.webhook)
        cost = facts.costUnit ?? "not told"
        let life = DurationText.describe(facts.urlLife)
        urlLife = facts.urlLifeIsEstablished ? life : "not established (\(life) assumed)"
        download = facts.downloadNeedsCredentials ? "with the key" : "public"
        rate = "\(facts.ratePerSecond), \(facts.rateSource)"
    }

    private static func words(_ scheme: WebhookScheme) -> String {
        switch scheme {
        case .unsigned: "our own tag only: it signs nothing"
        case .taskHMAC(let variable): "HMAC of the task id, not of the body (`\(variable)`)"
        case .standard(let variable, _): "Standard Webhooks (`\(variable)`)"
        case .publishedKeys(_, let variable): "ED25519 with its published keys (`\(variable)`)"
        case .clearSecret(let header, let variable):
            "a secret in clear, in `\(header)` (`\(variable)`)"
        }
    }

    /// The support table and the table of variables as Markdown, as `docs/providers.md` has them.
    package static var markdown: String {
        let support = table(titles, all.map(\.cells))
        let settings = table(
            ["Provider", "Credentials", "Where it is, unless said otherwise"],
            all.map { one in
                [
                    one.name, one.credentials.map { "`\($0)`" }.joined(separator: ", "),
                    "`\(one.baseURLVariable)`: \(one.defaultBaseURL)",
                ]
            })
        return support + "\n\n" + settings
    }

    private static func table(_ titles: [String], _ rows: [[String]]) -> String {
        ([titles, titles.map { _ in "---" }] + rows)
            .map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }
}
