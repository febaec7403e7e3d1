package import Core
import HTTP
import Jobs
import Ledger
package import Postgres
import Providers
package import Recovery

/// What was fetched of one provider's own billing.
package struct FetchedUsage: Equatable, Sendable {
    package var provider: String
    /// Lines that the provider gave, and those of them that the books lacked.
    package var lines = 0
    package var newLines: Int64 = 0
    /// Lines that came before with other content.
    package var conflicts: Int64 = 0
    /// Lines that could not be understood.
    package var unreadable = 0
    /// Up to when its lines are in the books now; nil where it tells none.
    package var coveredUntil: Instant?
    /// Amount and unit of what is left on the account; nil where it does not tell.
    package var balance: (amount: String, unit: String)?
    /// Why not everything could be had.
    package var problem: String?

    init(_ provider: String) { self.provider = provider }

    package static func == (left: FetchedUsage, right: FetchedUsage) -> Bool {
        left.provider == right.provider && left.lines == right.lines
            && left.newLines == right.newLines && left.conflicts == right.conflicts
            && left.unreadable == right.unreadable && left.coveredUntil == right.coveredUntil
            && left.balance?.amount == right.balance?.amount
            && left.balance?.unit == right.balance?.unit && left.problem == right.problem
    }
}

/// Asks the providers that tell it what they charged and what is left on our accounts.
///
/// A provider that does not answer is reported and never fails the run; what it gave before stays,
/// and the next fetch goes on from there. Its answers do not count for the circuit breaker, because
/// bills often take another key than tasks do.
package struct UsageFetch: ~Copyable {
    /// Pages of one provider in one run at most.
    private static let pageLimit = 2000
    /// How long to wait for the provider's token bucket.
    private static let bucketWait = Duration.seconds(10)
    private static let pause = Duration.milliseconds(100)

    private let wiring: Wiring
    private let books: UsageBooks
    private let limits: ProviderLimits
    private let deadline: ContinuousClock.Instant
    private var client: Client?

    /// Why a provider's answers came to an end.
    private struct Trouble: Error {
        var words: String
    }

    /// The providers of this host that tell what they charged or what is left.
    package static func providers(_ wiring: Wiring) -> [String] {
        wiring.providers.names.filter { name in
            guard let provider = wiring.providers.provider(name) else { return false }
            let billing = provider.facts.billing
            return provider.isConfigured && (billing.hasLines || billing.hasBalance)
        }
    }

    /// Fetches from each of the providers in turn.
    ///
    /// - Parameters:
    ///   - providers: Their names; all that can tell something when empty.
    ///   - timeBudget: After this long nothing more is asked.
    /// - Throws: what the database throws, never what a provider does.
    package static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, providers: [String] = [],
        timeBudget: Duration = .seconds(300)
    ) throws -> [FetchedUsage] {
        var fetch = UsageFetch(wiring, deadline: .now + timeBudget)
        let able = Self.providers(wiring)
        var results: [FetchedUsage] = []
        for name in providers.isEmpty ? able : providers.filter(able.contains) {
            guard let provider = wiring.providers.provider(name), !wiring.shouldStop() else {
                continue
            }
            results.append(try fetch.fetch(connection, provider))
        }
        return results
    }

    private init(_ wiring: Wiring, deadline: ContinuousClock.Instant) {
        self.wiring = wiring
        self.deadline = deadline
        books = UsageBooks(
            actor: wiring.run.command, runID: wiring.run.runID,
            clockOffset: wiring.run.clockOffset)
        limits = ProviderLimits(run: wiring.run)
    }

    private mutating func fetch(
        _ connection: borrowing Connection, _ provider: any Provider
    ) throws -> FetchedUsage {
        var result = FetchedUsage(provider.name)
        do {
            if provider.facts.billing.hasLines { try readLines(connection, provider, &result) }
            if provider.facts.billing.hasBalance { try readBalance(connection, provider, &result) }
        } catch let trouble as Trouble {
            result.problem = trouble.words
        } catch let failure as Failure where failure.status == .configuration {
            result.problem = failure.message
        }
        if provider.facts.billing.hasLines {
            try books.noteFetch(
                connection, provider: provider.name, coveredUntil: result.coveredUntil,
                problem: result.problem)
        }
        wiring.tell(
            "usage of \(provider.name): \(result.lines) lines, \(result.newLines) new"
                + (result.problem.map { "; \($0)" } ?? ""))
        return result
    }

    // MARK: Lines

    private mutating func readLines(
        _ connection: borrowing Connection, _ provider: any Provider, _ result: inout FetchedUsage
    ) throws {
        let billing = provider.facts.billing
        let now = try books.now(connection)
        var from = try books.fetchStart(connection, provider: provider.name, delay: billing.delay)
        var pages = 0
        while from < now {
            let window = BillingWindow(from: from, until: min(from + billing.window, now))
            try readWindow(connection, provider, window, &pages, &result)
            from = window.until
            result.coveredUntil = from
        }
    }

    private mutating func readWindow(
        _ connection: borrowing Connection, _ provider: any Provider, _ window: BillingWindow,
        _ pages: inout Int, _ result: inout FetchedUsage
    ) throws {
        var cursor: String?
        repeat {
            pages += 1
            guard pages <= Self.pageLimit else {
                throw Trouble(words: "more than \(Self.pageLimit) pages; the next fetch goes on")
            }
            let time = wiring.wallClock()
            guard let request = try provider.billingRequest(window, cursor: cursor, now: time)
            else { return }
            let response = try ask(connection, provider, request)
            guard let page = provider.billingPage(Answer(response), cursor: cursor) else {
                throw Self.trouble(response, "no list of charges that can be read")
            }
            let counts = try books.record(
                connection, provider: provider.name, source: .billing, importID: nil, page.lines)
            result.lines += page.lines.count
            result.newLines += counts.new
            result.conflicts += counts.conflicts
            result.unreadable += page.unreadable + counts.refused.count
            cursor = page.next
        } while cursor != nil
    }

    // MARK: Balance

    private mutating func readBalance(
        _ connection: borrowing Connection, _ provider: any Provider, _ result: inout FetchedUsage
    ) throws {
        guard let request = try provider.balanceRequest(now: wiring.wallClock()) else { return }
        let asked = ContinuousClock.now
        let response = try ask(connection, provider, request)
        guard let balance = provider.balance(Answer(response)) else {
            throw Self.trouble(response, "no balance that can be read")
        }
        _ = try books.recordBalance(
            connection, provider: provider.name, amount: balance.amount, unit: balance.unit,
            at: nil, margin: ContinuousClock.now - asked, isFromProvider: true)
        result.balance = (balance.amount.text, balance.unit)
    }

    // MARK: Asking

    /// One request, once the provider's bucket has a token for it.
    private mutating func ask(
        _ connection: borrowing Connection, _ provider: any Provider, _ request: Request
    ) throws -> Response {
        let patience = min(ContinuousClock.now + Self.bucketWait, deadline)
        while true {
            guard ContinuousClock.now < deadline, !wiring.shouldStop() else {
                throw Trouble(words: "the time for it was over; the next fetch goes on")
            }
            switch try limits.take(connection, provider: provider.name, wanted: 1) {
            case nil: throw Trouble(words: "the provider is being left alone")
            case 0:
                guard ContinuousClock.now < patience else {
                    throw Trouble(words: "its rate is used up by jobs (policy rate)")
                }
                Pause.wait(Self.pause)
                continue
            default: break
            }
            break
        }
        var request = request
        request.timeout = wiring.run.requestTimeout
        do throws(HTTPError) {
            if client == nil { client = try Client() }
            guard let response = try client?.perform(request) else {
                throw HTTPError(code: .other, host: "", message: "no client")
            }
            return response
        } catch {
            throw Trouble(words: ProviderTrouble(message: error.message).description)
        }
    }

    private static func trouble(_ response: Response, _ otherwise: String) -> Trouble {
        let isRefusal = !(200..<300).contains(response.status)
        return Trouble(
            words: isRefusal
                ? ProviderTrouble(status: response.status).description
                : "HTTP \(response.status), and \(otherwise)")
    }
}
