import Core
import Ledger

/// Charts as inline SVG whose bars stretch with the page while their labels stay readable: widths
/// are in percent, and nothing is scaled.
enum Charts {
    /// Rows that a chart shows; the rest is one row.
    static let shownRows = 10

    static func figure(_ title: String, _ note: Markup, _ body: Markup) -> Markup {
        "<figure><figcaption>\(title)</figcaption>\(note)\(body)</figure>\n"
    }

    static func key(_ entries: [(color: String, words: String)]) -> Markup {
        let items = entries.map { entry in
            "<li><i style=\"background:var(--\(entry.color))\"></i>\(entry.words)</li>" as Markup
        }
        return "<ul class=\"key\">\(items)</ul>"
    }

    static func nothing(_ words: String) -> Markup { "<p>\(words)</p>" }

    // MARK: Revenue against cost

    private struct Pair {
        var name: String
        var revenue: Money?
        var cost: Money?

        var most: Int64 { max(revenue?.micros ?? 0, cost?.micros ?? 0) }
    }

    static func margin(_ audit: NightAudit) throws -> Markup {
        let title = "Revenue against provider cost"
        let pairs = try pairs(audit.figures.models)
        let most = pairs.map(\.most).max() ?? 0
        guard most > 0 else {
            return figure(title, "", nothing("No money was earned or spent on this day."))
        }
        let rows = pairs.map { pair in
            let (revenue, cost) = (pair.revenue.map { $0.text }, pair.cost.map { $0.text })
            return bar(
                pair.name, "\(Markup.money(pair.revenue)) / \(Markup.money(pair.cost))",
                "\(pair.name): earned \(revenue ?? "no rate"), cost \(cost ?? "no rate")",
                height: 18,
                """
                <rect class="one" x="0" y="0" height="8" width="\
                \(Figures.width(pair.revenue?.micros ?? 0, of: most))" rx="1"/>\
                <rect class="two" x="0" y="10" height="8" width="\
                \(Figures.width(pair.cost?.micros ?? 0, of: most))" rx="1"/>
                """)
        }
        return figure(
            title,
            key([
                ("one", "revenue"), ("two", "provider cost, in \(audit.figures.day.currency)"),
            ]), Markup(joining: rows))
    }

    private static func pairs(_ models: [ModelDay]) throws -> [Pair] {
        let all = models.map { model in
            Pair(
                name: "\(model.provider) \(model.model)", revenue: model.revenue,
                cost: model.cost)
        }.filter { $0.most != 0 }.sorted { ($1.most, $0.name) < ($0.most, $1.name) }
        guard all.count > shownRows else { return all }
        let rest = all[(shownRows - 1)...]
        func sum(_ values: [Money?]) throws -> Money {
            Money(micros: try Total.sum(values.compactMap { $0?.micros }))
        }
        return all[..<(shownRows - 1)] + [
            Pair(
                name: "\(rest.count) other models", revenue: try sum(rest.map(\.revenue)),
                cost: try sum(rest.map(\.cost)))
        ]
    }

    // MARK: Breaks by kind and age

    static func breaks(_ totals: BreakTotals) -> Markup {
        let title = "Open breaks by kind and age"
        let kinds = totals.kinds
        guard !kinds.isEmpty else { return figure(title, "", nothing("Nothing stands open.")) }
        let most = kinds.map { $0.ages.reduce(0, +) }.max() ?? 0
        let rows = kinds.prefix(shownRows).map { kind, ages in
            let count = ages.reduce(0, +)
            var start: Int64 = 0
            var rects: Markup = ""
            for (age, part) in ages.enumerated() where part > 0 {
                rects =
                    rects + """
                        <rect class="age\(age)" x="\(Figures.width(start, of: most))" y="0" \
                        height="14" width="\(Figures.width(part, of: most))"/>
                        """
                start += part
            }
            let words = zip(BreakTotals.ages, ages).filter { $1 > 0 }
                .map { "\($1) \($0)" }.joined(separator: ", ")
            return bar(
                kind, "\(Figures.grouped(count))", "\(kind): \(words)", height: 14, rects)
        }
        let more =
            kinds.count > shownRows
            ? nothing("and \(kinds.count - shownRows) kinds more, see the CSV") : ""
        return figure(
            title,
            key(zip(["age0", "age1", "age2", "age3"], BreakTotals.ages).map { ($0, $1) }),
            Markup(joining: rows) + more)
    }

    // MARK: Success and time to completion

    static func success(_ models: [ModelDay]) throws -> Markup {
        let title = "Success rate and time to completion"
        let ended = try models.map { (model: $0, ended: try $0.ended()) }.filter { $0.ended > 0 }
            .sorted { ($1.ended, $0.model.model) < ($0.ended, $1.model.model) }
        guard !ended.isEmpty else {
            return figure(title, "", nothing("No job came to its end on this day."))
        }
        let rows = ended.prefix(shownRows).map { model, ended in
            let rate = Figures.percent(model.delivered, of: ended) ?? ""
            let times = [
                model.medianSeconds.map { "half within \(Figures.span(seconds: $0))" },
                model.p95Seconds.map { "95 % within \(Figures.span(seconds: $0))" },
            ].compactMap(\.self).joined(separator: ", ")
            let name = "\(model.provider) \(model.model)"
            return bar(
                name, "\(rate) of \(Figures.grouped(ended))",
                "\(name): delivered \(rate) of \(ended), \(times)", height: 10,
                """
                <rect class="bad" x="0" y="0" height="10" width="100%" rx="1"/>\
                <rect class="good" x="0" y="0" height="10" width="\
                \(Figures.width(model.delivered, of: ended))"/>
                """, note: times)
        }
        let more =
            ended.count > shownRows
            ? nothing("and \(ended.count - shownRows) models more, see the table") : ""
        return figure(
            title, key([("good", "delivered"), ("bad", "failed or given up")]),
            Markup(joining: rows) + more)
    }

    /// A label, a value, and a bar below them.
    private static func bar(
        _ name: String, _ value: Markup, _ title: String, height: Int, _ rects: Markup,
        note: String = ""
    ) -> Markup {
        let below: Markup = note.isEmpty ? "" : "<p class=\"note\">\(note)</p>"
        return """
            <div class="bar"><p><span>\(name)</span><span>\(value)</span></p>\
            <svg role="img" height="\(height)"><title>\(title)</title>\
            <rect class="track" x="0" y="0" width="100%" height="\(height)" rx="1"/>\
            \(rects)</svg>\(below)</div>\n
            """
    }

    // MARK: Credits held over time

    private static let plotWidth: Int64 = 3000
    private static let plotHeight: Int64 = 1000

    static func held(_ points: [HeldPoint]) -> Markup {
        let title = "Credits held at the end of each day"
        guard let first = points.first, let last = points.last, points.count > 1 else {
            let held = points.last.map { "\(Figures.grouped($0.held)) held on \($0.day). " } ?? ""
            return figure(title, "", nothing(held + "The curve begins with the second day."))
        }
        let top = max(points.map(\.held).max() ?? 1, 1)
        let spots = points.enumerated().map { index, point in
            let x = Int64(index) * plotWidth / Int64(points.count - 1)
            let y =
                plotHeight - Int64(Int128(max(point.held, 0)) * Int128(plotHeight) / Int128(top))
            return "\(x),\(y)"
        }.joined(separator: " ")
        let words =
            "from \(Figures.grouped(first.held)) on \(first.day) to "
            + "\(Figures.grouped(last.held)) on \(last.day), \(Figures.grouped(top)) at most"
        let plot: Markup = """
            <svg role="img" height="170"><title>\(title): \(words)</title>\
            <line class="rule" x1="0" x2="100%" y1="18" y2="18"/>\
            <line class="rule" x1="0" x2="100%" y1="82" y2="82"/>\
            <line class="rule" x1="0" x2="100%" y1="146" y2="146"/>\
            <svg x="0" y="18" width="100%" height="128" viewBox="0 0 \(plotWidth) \(plotHeight)" \
            preserveAspectRatio="none"><polygon class="area" points="0,\(plotHeight) \(spots) \
            \(plotWidth),\(plotHeight)"/><polyline class="curve" vector-effect="non-scaling-stroke" \
            points="\(spots)"/></svg>\
            <text x="0" y="12">\(Figures.grouped(top))</text>\
            <text x="0" y="78">\(Figures.grouped(top / 2))</text>\
            <text x="0" y="164">\(first.day)</text>\
            <text x="100%" y="164" text-anchor="end">\(last.day)</text></svg>
            """
        let rows = points.map { point in
            "<tr><th scope=\"row\">\(point.day)</th><td class=\"n\">\(Markup.number(point.held))</td></tr>"
                as Markup
        }
        return figure(
            title, "<p>\(words)</p>",
            plot + """
                <details><summary>The numbers</summary><table><thead><tr><th scope="col">Day</th>\
                <th scope="col" class="n">Held</th></tr></thead><tbody>\(rows)</tbody></table>\
                </details>
                """)
    }
}
