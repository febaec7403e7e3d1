import Core
import HTTP
import Jobs
import Postgres
import Providers

/// The keys that providers publish, as far as a run has needed them.
struct KeyRing {
    /// Source: docs.fal.ai/model-endpoints/webhooks asks for no more than this.
    static let age = Duration.seconds(24 * 3600)
    private static let timeout = Duration.seconds(5)
    private static let documentLimitBytes = 256 << 10

    private let inbox: Inbox
    /// Empty where they could not be had.
    private var keys: [String: [PublishedKey]] = [:]
    /// Asked for in this run; once is enough.
    private var asked: Set<String> = []

    init(inbox: Inbox) { self.inbox = inbox }

    subscript(provider: String) -> [PublishedKey]? { keys[provider] }

    /// Whether other keys than these could be had in this run.
    func mayBeStale(_ provider: String) -> Bool { !asked.contains(provider) }

    /// Gets the keys, from the database where they are young enough, else from the provider.
    ///
    /// Outside of any transaction: it may ask somebody on the network.
    mutating func load(
        _ provider: String, url: String, isRenewal: Bool, _ connection: borrowing Connection,
        into report: inout RunReport
    ) throws {
        if !isRenewal,
            let document = try inbox.webhookKeys(
                connection, provider: provider, url: url, within: Self.age),
            let known = PublishedKey.read(Array(document.utf8))
        {
            keys[provider] = known
            return
        }
        guard asked.insert(provider).inserted else { return }
        do throws(Failure) {
            let document = try fetch(provider, url)
            keys[provider] = PublishedKey.read(Array(document.utf8))
            try? inbox.keep(connection, keys: document, provider: provider, url: url)
        } catch {
            // Keys that were good until now stay good.
            if keys[provider] == nil { keys[provider] = [] }
            report.add(
                .init(code: error.code, message: error.message), status: error.status)
        }
    }

    private func fetch(_ provider: String, _ url: String) throws(Failure) -> String {
        let problem: String
        do {
            var client = try Client()
            let response = try client.perform(
                Request(
                    url: url, headers: [Header("Accept", "application/json")],
                    timeout: Self.timeout, bodyLimitBytes: Self.documentLimitBytes))
            if response.status == 200, PublishedKey.read(response.body) != nil,
                let text = String(validating: response.body, as: UTF8.self)
            {
                return text
            }
            problem = response.status == 200 ? "the answer has no key" : "HTTP \(response.status)"
        } catch {
            problem = error.message
        }
        throw Failure(
            .unavailable, code: "webhook_keys_unavailable",
            "the keys of \(provider) could not be fetched: \(problem); callbacks that they sign are "
                + "taken unchecked until then, and the polls decide")
    }
}
