import Core
import Ledger

/// The list of breaks: what is wrong, since when, what it costs, and the command to run next.
enum PageBreaks {
    static func section(_ audit: NightAudit, _ style: ReportStyle) -> Markup {
        let totals = audit.breaks
        let items = audit.firstBreaks.map { item($0, audit.figures.day.currency, style) }
        let list: Markup =
            items.isEmpty
            ? "<p class=\"more\">Nothing stands open, and nothing was closed since the day before.</p>\n"
            : "<ol class=\"breaks\">\n\(items)</ol>\n"
        return """
            <h2 id="breaks">Breaks</h2>
            <p>\(Figures.grouped(totals.opened)) opened, \(Figures.grouped(totals.standing)) standing, \
            \(Figures.grouped(totals.closed)) closed since the day before. Each has the command to run \
            next.</p>
            \(list)\(PageTables.more(
                totals.count, audit.firstBreaks.count, "breaks",
                ReportFile.breaks.name(day: audit.figures.day.day)))
            """
    }

    private static func item(
        _ found: BreakDay, _ currency: String, _ style: ReportStyle
    ) -> Markup {
        let mood = found.status.isOpen ? "" : " class=\"closed\""
        let next: Markup =
            found.status.isOpen
            ? "<code class=\"next\">\(found.fix)</code>" : "<code>\(found.fix)</code>"
        return """
            <li id="break-\(found.breakID)"\(Markup(stringLiteral: mood))>
            <div><p class="head"><span class="tag \(found.status.rawValue)">\
            \(found.status.rawValue)</span>\(kind(found.kind, style))</p>
            <p class="about">\(about(found))</p>
            <p class="about">\(stake(found, currency))</p></div>
            <div><p>\(found.detail)</p>\(cause(found))
            \(next)</div></li>\n
            """
    }

    private static func kind(_ kind: String, _ style: ReportStyle) -> Markup {
        guard let page = style.runbookURL else { return "\(kind)" }
        return "<a href=\"\(page)#\(anchor(kind))\">\(kind)</a>"
    }

    /// A kind as a fragment of a URL; ours are plain words already.
    private static func anchor(_ kind: String) -> String {
        String(
            kind.unicodeScalars.map { scalar in
                scalar.value < 0x80
                    && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                    ? Character(scalar) : "-"
            })
    }

    private static func about(_ found: BreakDay) -> Markup {
        var parts: [Markup] = []
        if let job = found.jobID {
            parts.append("job <a href=\"#break-\(found.breakID)\"><b>\(job)</b></a>")
        } else {
            parts.append("<b>\(found.subject)</b>")
        }
        if let account = found.accountID { parts.append("account \(account)") }
        if let provider = found.provider {
            parts.append("\([provider, found.model].compactMap(\.self).joined(separator: " "))")
        }
        return joined(parts)
    }

    private static func stake(_ found: BreakDay, _ currency: String) -> Markup {
        let age =
            switch found.ageDays {
            case ...0: "since today"
            case 1: "for 1 day"
            default: "for \(found.ageDays) days"
            }
        var parts: [Markup] = [
            "<time datetime=\"\(found.firstSeenAt)\" title=\"\(found.firstSeenAt)\">\(age)</time>"
        ]
        if let credits = found.credits { parts.append("\(Markup.number(credits)) credits") }
        if let amount = found.amount { parts.append("\(amount) \(found.unit ?? "")") }
        if let money = found.money { parts.append("\(Markup.money(money)) \(currency)") }
        parts.append(
            found.loses == "integrity"
                ? "nobody can say who loses"
                : "\(found.loses == "us" ? "we lose" : "\(found.loses) loses")")
        return joined(parts)
    }

    private static func cause(_ found: BreakDay) -> Markup {
        found.cause.isEmpty ? "" : "<p class=\"about\">Likely cause: \(found.cause)</p>"
    }

    private static func joined(_ parts: [Markup]) -> Markup {
        var all: Markup = ""
        for (index, part) in parts.enumerated() { all = index == 0 ? part : "\(all) · \(part)" }
        return all
    }
}
