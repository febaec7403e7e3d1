package import Core
package import Ledger

/// Sums that cannot overflow on the way, and throw when they do not fit at the end.
enum Total {
    static func sum(_ values: some Sequence<Int64>) throws -> Int64 {
        try narrow(values.reduce(Int128(0)) { $0 + Int128($1) })
    }

    static func sum(_ one: Int64, _ other: Int64) throws -> Int64 {
        let (sum, overflows) = one.addingReportingOverflow(other)
        return overflows ? try narrow(Int128(one) + Int128(other)) : sum
    }

    static func negated(_ value: Int64) throws -> Int64 { try narrow(-Int128(value)) }

    static func narrow(_ value: Int128) throws -> Int64 {
        guard let narrow = Int64(exactly: value) else {
            throw Failure(
                .defect, code: "report_overflow",
                "a total of the report does not fit into 64 bits; look for an absurd amount in "
                    + "holdfast.account_balance")
        }
        return narrow
    }
}

/// Money of a night: sums of what has a price, and how much has none.
package struct MoneyTotals: Equatable, Sendable {
    package var revenue = Money.zero
    package var cost = Money.zero
    /// Revenue less cost.
    package var margin = Money.zero
    package var leaked = Money.zero
    /// What the providers say they charged, whether it belongs to a model or not.
    package var usage = Money.zero
    /// Usage lines without a known rate.
    package var unpricedLines: Int64 = 0
    /// Models, and units of usage, for which a rate is missing.
    package var unpricedModels: Int64 = 0
    package var unpricedUnits: Int64 = 0

    /// Nothing is left out of the sums.
    package var isComplete: Bool {
        unpricedLines == 0 && unpricedModels == 0 && unpricedUnits == 0
    }

    init(_ figures: NightFigures) throws {
        func sum(_ values: [Money?]) throws -> Money {
            Money(micros: try Total.sum(values.lazy.compactMap { $0?.micros }))
        }
        revenue = try sum(figures.models.map(\.revenue))
        cost = try sum(figures.models.map(\.cost))
        margin = Money(micros: try Total.narrow(Int128(revenue.micros) - Int128(cost.micros)))
        leaked = try sum(figures.models.map(\.leaked))
        usage = try sum(figures.usage.map(\.money))
        unpricedLines = try Total.sum(figures.models.map(\.unpricedLines))
        unpricedModels = Int64(figures.models.count { $0.revenue == nil || $0.cost == nil })
        unpricedUnits = Int64(figures.usage.count { $0.money == nil && $0.lines > 0 })
    }
}

/// Breaks of a night, counted.
package struct BreakTotals: Equatable, Sendable {
    /// Days that a break has stood, in four steps.
    package static let ages = ["today", "1 to 2 days", "3 to 6 days", "7 days or more"]

    package var byStatus: [BreakDay.Status: Int64] = [:]
    /// Open ones by kind, and within it by age as in `ages`.
    package var openByKind: [String: [Int64]] = [:]
    package var oldestAgeDays = 0
    package var oldestKind: String?
    /// Credits and money at stake in open ones.
    package var credits: Int64 = 0
    package var money = Money.zero
    package var count: Int64 = 0

    package var opened: Int64 { byStatus[.opened, default: 0] }
    package var standing: Int64 { byStatus[.standing, default: 0] }
    package var open: Int64 { opened + standing }
    package var fixed: Int64 { byStatus[.fixed, default: 0] }
    package var closed: Int64 { count - open }

    mutating func add(_ found: BreakDay) throws {
        count += 1
        byStatus[found.status, default: 0] += 1
        guard found.status.isOpen else { return }
        let age =
            switch found.ageDays {
            case ...0: 0
            case 1...2: 1
            case 3...6: 2
            default: 3
            }
        openByKind[found.kind, default: [0, 0, 0, 0]][age] += 1
        if oldestKind == nil || found.ageDays > oldestAgeDays {
            oldestAgeDays = found.ageDays
            oldestKind = found.kind
        }
        credits = try Total.sum([credits, found.credits ?? 0])
        money = Money(micros: try Total.sum([money.micros, found.money?.micros ?? 0]))
    }

    /// Kinds with open breaks, the most frequent first.
    package var kinds: [(kind: String, ages: [Int64])] {
        openByKind.map { ($0.key, $0.value) }
            .sorted { ($1.1.reduce(0, +), $0.0) < ($0.1.reduce(0, +), $1.0) }
    }
}

/// What a night adds up to, told while its pages go by, and whether it does add up.
package struct NightAudit: Sendable {
    /// How many accounts and breaks a page for people shows.
    package static let shownRows = 200
    private static let problemLimit = 20

    package let figures: NightFigures
    package let money: MoneyTotals
    package private(set) var breaks = BreakTotals()
    package private(set) var accounts: Int64 = 0
    /// Sums over the accounts that moved.
    package private(set) var opening = CreditStand()
    package private(set) var closing = CreditStand()
    package private(set) var moves = CreditMoves()
    package private(set) var entries: Int64 = 0
    package private(set) var firstAccounts: [AccountDay] = []
    package private(set) var firstBreaks: [BreakDay] = []
    /// Whole sentences; empty when opening, activity and closing agree everywhere.
    package private(set) var problems: [String] = []

    package init(_ figures: NightFigures) throws {
        self.figures = figures
        money = try MoneyTotals(figures)
    }

    package mutating func take(_ page: [AccountDay]) throws {
        for account in page {
            accounts += 1
            opening = try opening.adding(account.opening)
            closing = try closing.adding(account.closing)
            moves = try moves.adding(account.moves)
            entries = try Total.sum(entries, account.entries)
            if try account.opening.after(account.moves) != account.closing {
                blame("account \(Inert.line(account.accountID)) does not add up")
            }
            if firstAccounts.count < Self.shownRows { firstAccounts.append(account) }
        }
    }

    package mutating func take(_ page: [BreakDay]) throws {
        for found in page {
            try breaks.add(found)
            if firstBreaks.count < Self.shownRows { firstBreaks.append(found) }
        }
    }

    /// What the accounts that did not move hold, then as now.
    package func unmoved() throws -> CreditStand {
        try figures.opening.less(opening)
    }

    /// Holds the sums against the sealed figures.
    package mutating func end() throws {
        if try figures.opening.after(figures.moves) != figures.closing {
            blame("the day's opening, activity and closing do not add up")
        }
        if moves != figures.moves { blame("the accounts' activity differs from the day's") }
        if try unmoved() != figures.closing.less(closing) {
            blame("credits of accounts that did not move have changed")
        }
        if accounts != figures.accountsMoved {
            blame("\(figures.accountsMoved) accounts moved and \(accounts) are listed")
        }
        if entries != figures.day.entries {
            blame("the day has \(figures.day.entries) entries, its accounts have \(entries)")
        }
    }

    private mutating func blame(_ problem: String) {
        if problems.count < Self.problemLimit { problems.append(problem) }
    }
}

extension CreditStand {
    func adding(_ other: CreditStand) throws -> CreditStand {
        CreditStand(
            available: try Total.sum(available, other.available),
            held: try Total.sum(held, other.held), spent: try Total.sum(spent, other.spent))
    }

    func less(_ other: CreditStand) throws -> CreditStand {
        CreditStand(
            available: try Total.narrow(Int128(available) - Int128(other.available)),
            held: try Total.narrow(Int128(held) - Int128(other.held)),
            spent: try Total.narrow(Int128(spent) - Int128(other.spent)))
    }

    /// The stand that these moves lead to.
    func after(_ moves: CreditMoves) throws -> CreditStand {
        try adding(moves.effect())
    }
}

extension CreditMoves {
    /// What the moves change of available, held and spent credits.
    func effect() throws -> CreditStand {
        func sum(plus: [Int64], minus: [Int64]) throws -> Int64 {
            let up = plus.reduce(Int128(0)) { $0 + Int128($1) }
            return try Total.narrow(minus.reduce(up) { $0 - Int128($1) })
        }
        return CreditStand(
            available: try sum(
                plus: [granted, adjusted, voided, refunded], minus: [held, charged]),
            held: try sum(plus: [held], minus: [captured, voided]),
            spent: try sum(plus: [captured, charged], minus: [refunded]))
    }

    func adding(_ other: CreditMoves) throws -> CreditMoves {
        CreditMoves(
            granted: try Total.sum(granted, other.granted),
            held: try Total.sum(held, other.held),
            captured: try Total.sum(captured, other.captured),
            voided: try Total.sum(voided, other.voided),
            charged: try Total.sum(charged, other.charged),
            refunded: try Total.sum(refunded, other.refunded),
            adjusted: try Total.sum(adjusted, other.adjusted))
    }
}

extension ModelDay {
    /// Revenue less cost; nil where one of them has no rate.
    package func margin() throws -> Money? {
        guard let revenue, let cost else { return nil }
        return Money(micros: try Total.narrow(Int128(revenue.micros) - Int128(cost.micros)))
    }

    /// Jobs that came to their end.
    func ended() throws -> Int64 { try Total.sum([delivered, failed, abandoned]) }
}
