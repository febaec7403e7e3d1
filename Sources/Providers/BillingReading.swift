package import Core
package import HTTP

/// What a provider can tell of its own accord about what it charged.
package struct BillingFacts: Sendable, Equatable {
    /// There is a list of what it charged, line by line.
    package var hasLines: Bool
    /// How long a window of lines may be asked for.
    package var window: Duration
    /// How long after a charge its line may still appear or change.
    package var delay: Duration
    /// It tells what is left on the account.
    package var hasBalance: Bool

    package init(
        hasLines: Bool = false, window: Duration = .seconds(30 * 86_400),
        delay: Duration = .seconds(86_400), hasBalance: Bool = false
    ) {
        self.hasLines = hasLines
        self.window = window
        self.delay = delay
        self.hasBalance = hasBalance
    }
}

/// From when to when charges are asked for; the end is not part of it.
package struct BillingWindow: Equatable, Sendable {
    package var from: Instant
    package var until: Instant

    package init(from: Instant, until: Instant) {
        self.from = from
        self.until = until
    }
}

/// One page of what a provider charged.
package struct BillingPage: Equatable, Sendable {
    package var lines: [UsageOffer]
    /// Events that could not be read.
    package var unreadable: Int
    /// Asks for the page after this one; nil on the last.
    package var next: String?

    package init(lines: [UsageOffer], unreadable: Int = 0, next: String?) {
        self.lines = lines
        self.unreadable = unreadable
        self.next = next
    }
}

/// What is left on an account.
package struct AccountBalanceAnswer: Equatable, Sendable {
    /// May be below zero, where a provider lends.
    package var amount: ExactDecimal
    package var unit: String

    package init(amount: ExactDecimal, unit: String) {
        self.amount = amount
        self.unit = unit
    }
}

extension Provider {
    package func billingRequest(
        _ window: BillingWindow, cursor: String?, now: Instant
    ) throws(Failure) -> Request? {
        nil
    }

    package func billingPage(_ answer: Answer, cursor: String?) -> BillingPage? { nil }

    package func balanceRequest(now: Instant) throws(Failure) -> Request? { nil }

    package func balance(_ answer: Answer) -> AccountBalanceAnswer? { nil }
}

/// The object of an answer that went well; nil for every other.
func wellAnswered(_ answer: Answer) -> JSONObject? {
    guard (200..<300).contains(answer.httpStatus),
        case .document(let document) = AnswerBody(answer.body)
    else { return nil }
    return document.object
}

extension JSONValue {
    /// A number, exactly, also when it is written as a string; of either sign.
    var exactDecimal: ExactDecimal? { text.flatMap { ExactDecimal($0.trimmed) } }
}
