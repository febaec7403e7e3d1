package import Core

/// A sealed business day: what every report says at its head.
package struct BusinessDay: Equatable, Sendable {
    /// As in `2026-11-20`.
    package var day: String
    /// The time zone that the day was cut in, such as `Europe/Berlin`.
    package var zone: String
    /// Instants in UTC, as in `2026-11-20T00:00:00Z`; the end belongs to the next day.
    package var startsAt, endsAt: String
    /// When it was closed: what came to light later stands on a later day.
    package var closedAt: String
    package var version: String
    /// The currency of all money, such as `USD`.
    package var currency: String
    /// Transfers of the day.
    package var entries: Int64
    /// SHA-256 in hex of everything the day says and of the digest before it.
    package var digest, previousDigest: String

    package init(
        day: String, zone: String, startsAt: String, endsAt: String, closedAt: String,
        version: String, currency: String, entries: Int64, digest: String, previousDigest: String
    ) {
        self.day = day
        self.zone = zone
        self.startsAt = startsAt
        self.endsAt = endsAt
        self.closedAt = closedAt
        self.version = version
        self.currency = currency
        self.entries = entries
        self.digest = digest
        self.previousDigest = previousDigest
    }
}

/// Credits as they stand, of one account or of all.
package struct CreditStand: Equatable, Sendable {
    package var available, held, spent: Int64

    package init(available: Int64 = 0, held: Int64 = 0, spent: Int64 = 0) {
        self.available = available
        self.held = held
        self.spent = spent
    }
}

/// Credits that moved, by kind of transfer; all are at least 0 except adjustments.
package struct CreditMoves: Equatable, Sendable {
    package var granted, held, captured, voided, charged, refunded, adjusted: Int64

    package init(
        granted: Int64 = 0, held: Int64 = 0, captured: Int64 = 0, voided: Int64 = 0,
        charged: Int64 = 0, refunded: Int64 = 0, adjusted: Int64 = 0
    ) {
        self.granted = granted
        self.held = held
        self.captured = captured
        self.voided = voided
        self.charged = charged
        self.refunded = refunded
        self.adjusted = adjusted
    }
}

/// An account on a day on which it moved.
package struct AccountDay: Equatable, Sendable {
    package var accountID: String
    package var opening: CreditStand
    package var moves: CreditMoves
    package var closing: CreditStand
    package var entries: Int64

    package init(
        accountID: String, opening: CreditStand, moves: CreditMoves, closing: CreditStand,
        entries: Int64
    ) {
        self.accountID = accountID
        self.opening = opening
        self.moves = moves
        self.closing = closing
        self.entries = entries
    }
}

/// What one model made, earned and cost on a day.
package struct ModelDay: Equatable, Sendable {
    package var provider, model, kind: String
    /// Jobs that were opened, and that came to their end, on the day.
    package var opened, delivered, failed, abandoned: Int64
    /// Credits captured and charged, less refunded.
    package var earned: Int64
    /// nil where no rate is known.
    package var revenue, cost: Money?
    /// Paid to the provider for jobs that no customer paid for.
    package var leaked: Money?
    package var unpricedLines: Int64
    /// Of delivered jobs: from creation to the files' being there.
    package var medianSeconds, p95Seconds: Int64?

    package init(
        provider: String, model: String, kind: String, opened: Int64, delivered: Int64,
        failed: Int64, abandoned: Int64, earned: Int64, revenue: Money?, cost: Money?,
        leaked: Money?, unpricedLines: Int64, medianSeconds: Int64?, p95Seconds: Int64?
    ) {
        self.provider = provider
        self.model = model
        self.kind = kind
        self.opened = opened
        self.delivered = delivered
        self.failed = failed
        self.abandoned = abandoned
        self.earned = earned
        self.revenue = revenue
        self.cost = cost
        self.leaked = leaked
        self.unpricedLines = unpricedLines
        self.medianSeconds = medianSeconds
        self.p95Seconds = p95Seconds
    }
}

/// What a provider says it charged, in one of its units.
package struct UsageDay: Equatable, Sendable {
    package var provider, unit: String
    package var lines: Int64
    /// An exact decimal number, as in `1250.5`.
    package var amount: String
    package var money: Money?

    package init(provider: String, unit: String, lines: Int64, amount: String, money: Money?) {
        self.provider = provider
        self.unit = unit
        self.lines = lines
        self.amount = amount
        self.money = money
    }
}

/// A break as it stood when a day was sealed.
package struct BreakDay: Equatable, Sendable {
    package enum Status: String, Sendable {
        /// Found for the first time, or found again.
        case opened, standing
        /// Closed since the day before: gone by itself, fixed by us, or resolved by a person.
        case healed, fixed, resolved

        package var isOpen: Bool { self == .opened || self == .standing }
    }

    package var breakID: Int64
    package var status: Status
    package var ageDays: Int
    /// As in `failed-still-held`.
    package var kind: String
    /// The job, account, task or provider that it is about.
    package var subject: String
    package var jobID, accountID, provider, model: String?
    /// `customer`, `us`, `provider` or `integrity`.
    package var loses: String
    package var credits: Int64?
    /// The provider's amount at stake, an exact decimal, and its unit.
    package var amount, unit: String?
    package var money: Money?
    package var detail, cause: String
    /// The exact command that a person runs next.
    package var fix: String
    package var firstSeenAt: String

    package init(
        breakID: Int64, status: Status, ageDays: Int, kind: String, subject: String,
        jobID: String?, accountID: String?, provider: String?, model: String?, loses: String,
        credits: Int64?, amount: String?, unit: String?, money: Money?, detail: String,
        cause: String, fix: String, firstSeenAt: String
    ) {
        self.breakID = breakID
        self.status = status
        self.ageDays = ageDays
        self.kind = kind
        self.subject = subject
        self.jobID = jobID
        self.accountID = accountID
        self.provider = provider
        self.model = model
        self.loses = loses
        self.credits = credits
        self.amount = amount
        self.unit = unit
        self.money = money
        self.detail = detail
        self.cause = cause
        self.fix = fix
        self.firstSeenAt = firstSeenAt
    }
}

/// Credits that were held at the end of a day, and jobs that were waiting for their end.
package struct HeldPoint: Equatable, Sendable {
    package var day: String
    package var held: Int64

    package init(day: String, held: Int64) {
        self.day = day
        self.held = held
    }
}

/// The figures of a sealed day that fit into memory whatever its size.
package struct NightFigures: Equatable, Sendable {
    package var day: BusinessDay
    package var opening, closing: CreditStand
    package var moves: CreditMoves
    package var accountsMoved: Int64
    /// By provider, model and kind.
    package var models: [ModelDay]
    /// By provider and unit.
    package var usage: [UsageDay]
    /// The last thirty sealed days and this one, the oldest first.
    package var heldOverTime: [HeldPoint]
    /// Adjustments of this day for the sake of earlier ones, in their order.
    package var corrections: [CorrectionEntry]

    package init(
        day: BusinessDay, opening: CreditStand, moves: CreditMoves, closing: CreditStand,
        accountsMoved: Int64, corrections: [CorrectionEntry] = [], models: [ModelDay],
        usage: [UsageDay], heldOverTime: [HeldPoint]
    ) {
        self.day = day
        self.opening = opening
        self.moves = moves
        self.closing = closing
        self.accountsMoved = accountsMoved
        self.corrections = corrections
        self.models = models
        self.usage = usage
        self.heldOverTime = heldOverTime
    }
}

/// An adjustment that corrects a day which was sealed before.
package struct CorrectionEntry: Equatable, Sendable {
    /// The day that it corrects.
    package var day: String
    package var accountID: String
    /// Given to the account, or taken from it.
    package var credits: Int64
    package var reason, person: String

    package init(day: String, accountID: String, credits: Int64, reason: String, person: String) {
        self.day = day
        self.accountID = accountID
        self.credits = credits
        self.reason = reason
        self.person = person
    }
}

/// A sealed day as reports read it.
///
/// What may be long comes in pages, each time in the same order, so that memory does not grow with
/// the day.
package struct NightPages {
    package var figures: NightFigures
    /// By account id.
    package var accounts: (_ page: ([AccountDay]) throws -> Void) throws -> Void
    /// Open ones first, then by class and subject.
    package var breaks: (_ page: ([BreakDay]) throws -> Void) throws -> Void

    package init(
        figures: NightFigures,
        accounts: @escaping (_ page: ([AccountDay]) throws -> Void) throws -> Void,
        breaks: @escaping (_ page: ([BreakDay]) throws -> Void) throws -> Void
    ) {
        self.figures = figures
        self.accounts = accounts
        self.breaks = breaks
    }
}
