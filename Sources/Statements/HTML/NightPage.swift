import Core
import Ledger

/// The night as one page for people: nothing is loaded, nothing runs, and it prints.
struct NightPage: NightWriter {
    private var ink: Ink
    private let style: ReportStyle

    init(_ ink: Ink, _ style: ReportStyle) {
        self.ink = ink
        self.style = style
    }

    mutating func end(_ audit: NightAudit) throws {
        let day = audit.figures.day
        for part in [
            head(day), try opening(audit), try charts(audit), try PageTables.credits(audit),
            PageTables.corrections(audit), try PageTables.models(audit), PageTables.usage(audit),
            PageBreaks.section(audit, style), try PageTables.accounts(audit), foot(day),
        ] {
            ink.write(part.text)
            try ink.rest()
        }
        try ink.flush()
    }

    /// No script and nothing from elsewhere may run here, whatever an id says.
    private func head(_ day: BusinessDay) -> Markup {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
        style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
        <meta name="referrer" content="no-referrer">
        <meta name="color-scheme" content="light dark">
        <meta name="robots" content="noindex">
        <title>Holdfast, \(day.day)</title>
        <style>
        \(Markup(stringLiteral: Styles.sheet))
        </style>
        </head>
        <body>
        <main>
        <header>
        <h1>The books of <time datetime="\(day.day)">\(day.day)</time></h1>
        <p><span>\(day.startsAt)</span> to <span>\(day.endsAt)</span> (\(day.zone)), \
        closed <span>\(day.closedAt)</span>. Money in \(day.currency).</p>
        <nav aria-label="Sections"><a href="#credits">Credits</a> <a href="#models">Models</a> \
        <a href="#usage">Providers</a> <a href="#breaks">Breaks</a> \
        <a href="#accounts">Accounts</a></nav>
        </header>\n
        """
    }

    private func opening(_ audit: NightAudit) throws -> Markup {
        verdict(audit) + (try tiles(audit))
    }

    private func verdict(_ audit: NightAudit) -> Markup {
        let open = audit.breaks.open
        let breaks: String =
            switch open {
            case 0: "nothing stands open"
            case 1: "1 break stands open"
            default: "\(Figures.grouped(open)) breaks stand open"
            }
        guard audit.problems.isEmpty else {
            let items = audit.problems.map { "<li>\($0)</li>" as Markup }
            return """
                <div class="verdict bad" role="alert"><p><strong>These books do not add up.</strong> \
                Keep everything as it is; \(breaks).</p><ul>\(items)</ul></div>\n
                """
        }
        return """
            <div class="verdict\(open > 0 ? " bad" : "")"><p><strong>Opening, activity and closing \
            agree</strong> for each of \(Figures.grouped(audit.accounts)) accounts that moved and in \
            total; \(breaks).</p></div>\n
            """
    }

    private func tiles(_ audit: NightAudit) throws -> Markup {
        let money = audit.money
        let earned = try Total.sum(audit.figures.models.map(\.earned))
        let share =
            Figures.percent(money.margin.micros, of: money.revenue.micros)
            .map { "\($0) of revenue" } ?? "no revenue"
        let oldest = audit.breaks.oldestKind.map { _ in
            "the oldest for \(audit.breaks.oldestAgeDays) days"
        }
        let unpriced = money.isComplete ? "" : unpricedWords(money)
        let all = [
            tile("Revenue", .money(money.revenue), "\(Figures.grouped(earned)) credits earned"),
            tile("Provider cost", .money(money.cost), unpriced),
            tile(
                "Margin", .money(money.margin), share, isBad: money.margin < .zero),
            tile(
                "Leaked", .money(money.leaked), "paid for and not charged",
                isBad: money.leaked > .zero),
            tile(
                "Credits held", .number(audit.figures.closing.held),
                "\(Figures.grouped(audit.figures.closing.available)) available"),
            tile(
                "Open breaks", .number(audit.breaks.open), oldest ?? "",
                isBad: audit.breaks.open > 0),
        ]
        return "<dl class=\"tiles\">\(all)</dl>\n"
    }

    private func unpricedWords(_ money: MoneyTotals) -> String {
        let parts = [
            (money.unpricedLines, "usage line"), (money.unpricedModels, "model"),
            (money.unpricedUnits, "unit"),
        ].filter { $0.0 > 0 }.map { "\(Figures.grouped($0.0)) \($0.1)\($0.0 == 1 ? "" : "s")" }
        return "without a rate: " + parts.joined(separator: ", ")
    }

    private func tile(_ name: String, _ value: Markup, _ note: String, isBad: Bool = false)
        -> Markup
    {
        let below: Markup = note.isEmpty ? "" : "<p>\(note)</p>"
        return
            "<div\(isBad ? Markup(stringLiteral: " class=\"bad\"") : "")><dt>\(name)</dt><dd>\(value)\(below)</dd></div>"
    }

    private func charts(_ audit: NightAudit) throws -> Markup {
        """
        <section class="charts" aria-label="Charts">
        <div>\(try Charts.margin(audit))\(Charts.held(audit.figures.heldOverTime))</div>
        <div>\(Charts.breaks(audit.breaks))\(try Charts.success(audit.figures.models))</div>
        </section>\n
        """
    }

    private func foot(_ day: BusinessDay) -> Markup {
        """
        <footer>
        <p>The same figures are in \
        \(ReportFile.workbook.name(day: day.day)), \(ReportFile.json.name(day: day.day)), \
        \(ReportFile.journal.name(day: day.day)) and the CSV files beside this page. \
        What came to light after the close stands on a later day.</p>
        <p>Digest <code>\(day.digest)</code>, of the day before <code>\(day.previousDigest)</code>. \
        Holdfast \(day.version).</p>
        </footer>
        </main>
        </body>
        </html>\n
        """
    }
}
