import Core
import Ledger

/// `-accounts.csv`: the accounts that moved.
struct AccountTable: NightWriter {
    private var table: CSVTable
    private let day: String

    static let columns = [
        "day", "account_id", "opening_available", "opening_held", "opening_spent", "granted",
        "held", "captured", "voided", "charged", "refunded", "adjusted", "closing_available",
        "closing_held", "closing_spent", "entries",
    ]

    init(_ figures: NightFigures, _ ink: Ink, _ style: ReportStyle) {
        day = figures.day.day
        table = CSVTable(ink, style, columns: Self.columns)
    }

    mutating func take(_ page: [AccountDay]) throws {
        for account in page {
            table.word(day)
            table.text(account.accountID)
            for number in account.numbers { table.number(number) }
            table.endRow()
            try table.rest()
        }
    }

    mutating func end(_ audit: NightAudit) throws { try table.flush() }
}

extension AccountDay {
    /// In the order of the columns, after day and id.
    var numbers: [Int64] {
        [
            opening.available, opening.held, opening.spent, moves.granted, moves.held,
            moves.captured, moves.voided, moves.charged, moves.refunded, moves.adjusted,
            closing.available, closing.held, closing.spent, entries,
        ]
    }
}

/// `-models.csv`: what each model made, earned and cost.
struct ModelTable: NightWriter {
    private var table: CSVTable

    static let columns = [
        "day", "provider", "model", "kind", "opened", "delivered", "failed", "abandoned",
        "earned_credits", "revenue", "cost", "margin", "leaked", "currency", "unpriced_lines",
        "median_seconds", "p95_seconds",
    ]

    init(_ ink: Ink, _ style: ReportStyle) {
        table = CSVTable(ink, style, columns: Self.columns)
    }

    mutating func end(_ audit: NightAudit) throws {
        for model in audit.figures.models {
            table.word(audit.figures.day.day)
            for name in [model.provider, model.model, model.kind] { table.text(name) }
            for count in [model.opened, model.delivered, model.failed, model.abandoned] {
                table.number(count)
            }
            table.number(model.earned)
            for money in [model.revenue, model.cost, try model.margin(), model.leaked] {
                table.money(money)
            }
            table.text(audit.figures.day.currency)
            table.number(model.unpricedLines)
            table.number(model.medianSeconds)
            table.number(model.p95Seconds)
            table.endRow()
            try table.rest()
        }
        try table.flush()
    }
}

/// `-usage.csv`: what each provider says it charged.
struct UsageTable: NightWriter {
    private var table: CSVTable

    static let columns = ["day", "provider", "unit", "lines", "amount", "money", "currency"]

    init(_ ink: Ink, _ style: ReportStyle) {
        table = CSVTable(ink, style, columns: Self.columns)
    }

    mutating func end(_ audit: NightAudit) throws {
        for usage in audit.figures.usage {
            table.word(audit.figures.day.day)
            table.text(usage.provider)
            table.text(usage.unit)
            table.number(usage.lines)
            table.decimal(usage.amount)
            table.money(usage.money)
            table.text(audit.figures.day.currency)
            table.endRow()
            try table.rest()
        }
        try table.flush()
    }
}

/// `-breaks.csv`: what stands wrong, and what was put right.
struct BreakTable: NightWriter {
    private var table: CSVTable
    private let day: BusinessDay

    static let columns = [
        "day", "break_id", "status", "age_days", "kind", "subject", "job_id", "account_id",
        "provider", "model", "loses", "credits", "amount", "unit", "money", "currency", "detail",
        "cause", "command", "first_seen_at",
    ]

    init(_ figures: NightFigures, _ ink: Ink, _ style: ReportStyle) {
        day = figures.day
        table = CSVTable(ink, style, columns: Self.columns)
    }

    mutating func take(_ page: [BreakDay]) throws {
        for found in page {
            table.word(day.day)
            table.number(found.breakID)
            table.word(found.status.rawValue)
            table.number(Int64(found.ageDays))
            for text in [
                found.kind, found.subject, found.jobID, found.accountID, found.provider,
                found.model, found.loses,
            ] { table.text(text) }
            table.number(found.credits)
            table.decimal(found.amount)
            table.text(found.unit)
            table.money(found.money)
            table.text(day.currency)
            for text in [found.detail, found.cause, found.fix] { table.text(text) }
            table.word(found.firstSeenAt)
            table.endRow()
            try table.rest()
        }
    }

    mutating func end(_ audit: NightAudit) throws { try table.flush() }
}

/// `-summary.csv`: the totals, one figure a row.
struct SummaryTable: NightWriter {
    private var table: CSVTable

    init(_ ink: Ink, _ style: ReportStyle) {
        table = CSVTable(ink, style, columns: ["day", "figure", "unit", "value"])
    }

    mutating func end(_ audit: NightAudit) throws {
        let day = audit.figures.day
        func row(_ figure: String, _ unit: String, _ fill: (inout CSVTable) -> Void) {
            table.word(day.day)
            table.word(figure)
            table.text(unit)
            fill(&table)
            table.endRow()
        }
        for (name, credits) in audit.figures.credits {
            row(name, "credits") { $0.number(credits) }
        }
        for correction in audit.figures.corrections {
            row("correction_of_\(correction.day)", "credits") { $0.number(correction.credits) }
        }
        for (name, money) in audit.money.sums { row(name, day.currency) { $0.money(money) } }
        for (name, count) in audit.counts { row(name, "count") { $0.number(count) } }
        row("problems", "count") { $0.number(Int64(audit.problems.count)) }
        try table.flush()
    }
}

extension NightFigures {
    /// The day's credits by name.
    var credits: [(String, Int64)] {
        [
            ("opening_available", opening.available), ("opening_held", opening.held),
            ("opening_spent", opening.spent), ("granted", moves.granted), ("held", moves.held),
            ("captured", moves.captured), ("voided", moves.voided), ("charged", moves.charged),
            ("refunded", moves.refunded), ("adjusted", moves.adjusted),
            ("closing_available", closing.available), ("closing_held", closing.held),
            ("closing_spent", closing.spent),
        ]
    }
}

extension MoneyTotals {
    var sums: [(String, Money)] {
        [
            ("revenue", revenue), ("cost", cost), ("margin", margin), ("leaked", leaked),
            ("usage", usage),
        ]
    }
}

extension NightAudit {
    var counts: [(String, Int64)] {
        [
            ("entries", figures.day.entries), ("accounts_moved", accounts),
            ("unpriced_lines", money.unpricedLines), ("unpriced_models", money.unpricedModels),
            ("unpriced_units", money.unpricedUnits), ("breaks_opened", breaks.opened),
            ("breaks_standing", breaks.standing), ("breaks_closed", breaks.closed),
        ]
    }
}
