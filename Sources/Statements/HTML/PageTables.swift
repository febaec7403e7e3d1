import Core
import Ledger

/// The tables of the page.
enum PageTables {
    private struct Column {
        var title: String
        var isNumber: Bool

        init(_ title: String, isNumber: Bool = true) {
            self.title = title
            self.isNumber = isNumber
        }
    }

    private static func table(
        _ name: String, id: String, _ columns: [Column], _ rows: [[Markup]], total: [Markup]? = nil
    ) -> Markup {
        func row(_ cells: [Markup]) -> Markup {
            let filled = zip(cells, columns).enumerated().map { index, cell -> Markup in
                if index == 0 { return "<th scope=\"row\" class=\"id\">\(cell.0)</th>" }
                return cell.1.isNumber
                    ? "<td class=\"n\">\(cell.0)</td>" : "<td class=\"id\">\(cell.0)</td>"
            }
            return "<tr>\(filled)</tr>\n"
        }
        let heads = columns.map { column in
            column.isNumber
                ? "<th scope=\"col\" class=\"n\">\(column.title)</th>" as Markup
                : "<th scope=\"col\">\(column.title)</th>"
        }
        let foot: Markup = total.map { "<tfoot>\(row($0))</tfoot>" } ?? ""
        return """
            <div class="scroll" role="region" aria-label="\(name)" tabindex="0"><table id="table-\(id)">
            <thead><tr>\(heads)</tr></thead>
            <tbody>\(rows.map(row))</tbody>\(foot)</table></div>\n
            """
    }

    // MARK: Credits

    static func credits(_ audit: NightAudit) throws -> Markup {
        let figures = audit.figures
        let moves = figures.moves
        func stand(_ name: Markup, _ stand: CreditStand) -> [Markup] {
            [name, "", .number(stand.available), .number(stand.held), .number(stand.spent)]
        }
        func moved(_ name: Markup, _ credits: Int64, _ only: CreditMoves) throws -> [Markup] {
            let effect = try only.effect()
            return [name, .number(credits)]
                + [effect.available, effect.held, effect.spent].map { $0 == 0 ? "" : signed($0) }
        }
        let rows = [
            stand("Opening", figures.opening),
            try moved("Granted", moves.granted, CreditMoves(granted: moves.granted)),
            try moved("Held", moves.held, CreditMoves(held: moves.held)),
            try moved("Captured", moves.captured, CreditMoves(captured: moves.captured)),
            try moved("Voided", moves.voided, CreditMoves(voided: moves.voided)),
            try moved("Charged late", moves.charged, CreditMoves(charged: moves.charged)),
            try moved("Refunded", moves.refunded, CreditMoves(refunded: moves.refunded)),
            try moved("Adjusted", moves.adjusted, CreditMoves(adjusted: moves.adjusted)),
        ]
        return """
            <h2 id="credits">Credits</h2>
            <p>Opening and activity make the closing, for each account and in total.</p>
            \(table(
                "Credits of the day", id: "credits",
                [
                    Column("All accounts", isNumber: false), Column("Moved"), Column("Available"),
                    Column("Held"), Column("Spent"),
                ], rows, total: stand("Closing", figures.closing)))
            """
    }

    /// What was put right of earlier days; nothing where nothing was.
    static func corrections(_ audit: NightAudit) -> Markup {
        let rows = audit.figures.corrections.map { one -> [Markup] in
            [
                "\(one.day)", "\(one.accountID)", signed(one.credits), "\(one.reason)",
                "\(one.person)",
            ]
        }
        guard !rows.isEmpty else { return "" }
        return """
            <h2 id="corrections">Corrections</h2>
            <p>Adjustments of this day for the sake of days that were sealed before.</p>
            \(table(
                "Corrections of earlier days", id: "corrections",
                [
                    Column("Corrects", isNumber: false), Column("Account", isNumber: false),
                    Column("Credits"), Column("Reason", isNumber: false),
                    Column("By", isNumber: false),
                ], rows))
            """
    }

    private static func signed(_ number: Int64) -> Markup {
        number > 0
            ? "<data value=\"\(number)\">+\(Figures.grouped(number))</data>" : .number(number)
    }

    // MARK: Models and usage

    static func models(_ audit: NightAudit) throws -> Markup {
        let rows = try audit.figures.models.map { model -> [Markup] in
            [
                "\(model.provider) \(model.model) <small>\(model.kind)</small>",
                .number(model.opened), .number(model.delivered), .number(model.failed),
                .number(model.abandoned), .number(model.earned), .money(model.revenue),
                .money(model.cost), .money(try model.margin()), .money(model.leaked),
                .number(model.unpricedLines), time(model.medianSeconds), time(model.p95Seconds),
            ]
        }
        func sum(_ path: KeyPath<ModelDay, Int64>) throws -> Markup {
            .number(try Total.sum(audit.figures.models.map { $0[keyPath: path] }))
        }
        let money = audit.money
        let total = [
            "Total", try sum(\.opened), try sum(\.delivered), try sum(\.failed),
            try sum(\.abandoned), try sum(\.earned), .money(money.revenue), .money(money.cost),
            .money(money.margin), .money(money.leaked), .number(money.unpricedLines), "", "",
        ]
        return """
            <h2 id="models">Models</h2>
            <p>Margin is revenue less what the provider charged. Leaked is the part of the cost that \
            no customer paid for. \(money.isComplete ? "" : missingRates)</p>
            \(table(
                "What each model earned and cost", id: "models",
                [
                    Column("Model", isNumber: false), Column("Opened"), Column("Delivered"),
                    Column("Failed"), Column("Abandoned"), Column("Credits"), Column("Revenue"),
                    Column("Cost"), Column("Margin"), Column("Leaked"), Column("Unpriced lines"),
                    Column("Median"), Column("95 % within"),
                ], rows, total: total))
            """
    }

    private static let missingRates: Markup =
        "<strong>Not everything has a rate:</strong> what has none is missing from the sums."

    private static func time(_ seconds: Int64?) -> Markup {
        guard let seconds else { return .optional(nil) }
        return "<data value=\"\(seconds)\">\(Figures.span(seconds: seconds))</data>"
    }

    static func usage(_ audit: NightAudit) -> Markup {
        let rows = audit.figures.usage.map { line -> [Markup] in
            [
                "\(line.provider)", "\(line.unit)", .number(line.lines),
                "<data value=\"\(line.amount)\">\(line.amount)</data>", .money(line.money),
            ]
        }
        return """
            <h2 id="usage">What providers charged</h2>
            <p>As it was booked on this day, whether it belongs to a model or not.</p>
            \(table(
                "What providers charged", id: "usage",
                [
                    Column("Provider", isNumber: false), Column("Unit", isNumber: false),
                    Column("Lines"), Column("Amount"), Column("Money"),
                ], rows, total: ["Total", "", "", "", .money(audit.money.usage)]))
            """
    }

    // MARK: Accounts

    static func accounts(_ audit: NightAudit) throws -> Markup {
        let rows = audit.firstAccounts.map { account -> [Markup] in
            ["\(account.accountID)"] + account.numbers.map { .number($0) }
        }
        let sums = AccountDay(
            accountID: "", opening: audit.opening, moves: audit.moves, closing: audit.closing,
            entries: audit.entries)
        let titles = [
            "Opening available", "held", "spent", "Granted", "Held", "Captured", "Voided",
            "Charged", "Refunded", "Adjusted", "Closing available", "held", "spent", "Entries",
        ]
        return """
            <h2 id="accounts">Accounts that moved</h2>
            <p>By id. The total is that of all accounts that moved, listed here or not.</p>
            \(table(
                "Accounts that moved", id: "accounts",
                [Column("Account", isNumber: false)] + titles.map { Column($0) }, rows,
                total: ["Total"] + sums.numbers.map { .number($0) }))
            \(more(
                audit.accounts, audit.firstAccounts.count, "accounts",
                ReportFile.accounts.name(day: audit.figures.day.day)))
            """
    }

    /// What a shortened list leaves out.
    static func more(_ count: Int64, _ shown: Int, _ noun: String, _ file: String) -> Markup {
        guard count > Int64(shown) else { return "" }
        return """
            <p class="more">and \(Figures.grouped(count - Int64(shown))) \(noun) more, \
            see \(file)</p>\n
            """
    }
}
