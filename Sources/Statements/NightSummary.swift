import Core
import Ledger

/// A link to one of a night's files, as it may be given to people.
package struct ReportLink: Equatable, Sendable {
    package var file: ReportFile
    package var url: String

    package init(file: ReportFile, url: String) {
        self.file = file
        self.url = url
    }
}

/// The night in at most ten lines of plain text: amounts and ids of kinds, nobody's data.
package struct NightSummary: Equatable, Sendable {
    package static let lineLimit = 10

    package let day: String
    package let lines: [String]

    /// The first line, for a subject.
    package var title: String { lines[0] }
    package var text: String { lines.joined(separator: "\n") }

    /// - Parameter links: Where the files are; the page and the workbook are named.
    package init(_ audit: NightAudit, links: [ReportLink] = []) throws {
        let figures = audit.figures
        day = figures.day.day
        var lines = [Self.title(audit), Self.stands(figures), Self.moves(figures)]
        lines.append(try Self.earned(figures))
        lines.append(Self.money(audit))
        if !audit.money.isComplete { lines.append(Self.unpriced(audit.money)) }
        lines.append(Self.breaks(audit.breaks))
        for file in [ReportFile.page, .workbook] {
            if let link = links.first(where: { $0.file == file }) {
                lines.append("\(file == .page ? "Report" : "Workbook"): \(Inert.line(link.url))")
            }
        }
        self.lines = Array(lines.prefix(Self.lineLimit))
    }

    private static func title(_ audit: NightAudit) -> String {
        let day = audit.figures.day
        let name = "Holdfast \(day.day) (\(Inert.line(day.zone)))"
        guard audit.problems.isEmpty else {
            return "\(name): THE BOOKS DO NOT ADD UP; \(audit.problems[0])"
        }
        if audit.figures.accountsMoved == 0, audit.breaks.count == 0 {
            return "\(name): nothing to report; nothing moved and nothing stands open"
        }
        return "\(name): the books agree; \(count(audit.breaks.open, "open break"))"
    }

    private static func stands(_ figures: NightFigures) -> String {
        func words(_ stand: CreditStand) -> String {
            "\(stand.available) available, \(stand.held) held, \(stand.spent) spent"
        }
        return "Credits: opening \(words(figures.opening)); closing \(words(figures.closing))"
    }

    private static func moves(_ figures: NightFigures) -> String {
        let moves = figures.moves
        let adjusted = moves.adjusted == 0 ? "" : ", \(moves.adjusted) adjusted"
        return "Moved: \(moves.granted) granted, \(moves.held) held, \(moves.captured) captured, "
            + "\(moves.voided) voided, \(moves.charged) charged late, \(moves.refunded) refunded"
            + adjusted
    }

    private static func earned(_ figures: NightFigures) throws -> String {
        let earned = try Total.sum(figures.models.map(\.earned))
        let delivered = try Total.sum(figures.models.map(\.delivered))
        let ended = try Total.sum(figures.models.map { try $0.ended() })
        let rate = Figures.percent(delivered, of: ended).map { " (\($0))" } ?? ""
        return "Earned: \(earned) credits; \(delivered) of \(ended) jobs delivered\(rate)"
    }

    private static func money(_ audit: NightAudit) -> String {
        let currency = Inert.line(audit.figures.day.currency)
        let money = audit.money
        let share =
            Figures.percent(money.margin.micros, of: money.revenue.micros).map { " (\($0))" } ?? ""
        return
            "Money: revenue \(money.revenue.text) \(currency), provider cost \(money.cost.text), "
            + "margin \(money.margin.text)\(share), leaked \(money.leaked.text)"
    }

    private static func unpriced(_ money: MoneyTotals) -> String {
        "Without a rate, and missing from the money: \(count(money.unpricedLines, "usage line")), "
            + "\(count(money.unpricedModels, "model")), \(count(money.unpricedUnits, "unit"))"
    }

    private static func breaks(_ totals: BreakTotals) -> String {
        let oldest = totals.oldestKind.map {
            "; the oldest is \(Inert.line($0)), \(count(Int64(totals.oldestAgeDays), "day"))"
        }
        return
            "Breaks: \(totals.opened) opened, \(totals.standing) standing, \(totals.closed) closed "
            + "(\(totals.fixed) fixed)\(oldest ?? "")"
    }

    private static func count(_ number: Int64, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}

extension NightSummary {
    /// The body for an incoming webhook of Slack, and of whatever takes the same.
    ///
    /// Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    package var slackBody: [UInt8] {
        let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            .replacing(">", with: "&gt;")
        return Array(JSON.write(["text": .string(escaped)]).utf8)
    }
}
