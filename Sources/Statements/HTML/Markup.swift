import Core

/// Text that is HTML already; whatever else goes into it is escaped on the way.
struct Markup: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    var text: String

    init(stringLiteral value: String) { text = value }
    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }
    init(joining parts: [Markup]) { text = parts.map(\.text).joined() }

    struct Interpolation: StringInterpolationProtocol {
        var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {}

        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: String) { text += Markup.escaped(value) }
        mutating func appendInterpolation(_ markup: Markup) { text += markup.text }
        mutating func appendInterpolation(_ markups: [Markup]) {
            for markup in markups { text += markup.text }
        }
        mutating func appendInterpolation(_ number: some BinaryInteger) { text += "\(number)" }
    }

    /// A text of somebody else, inside an element or a quoted attribute.
    static func escaped(_ value: String) -> String {
        let line = Inert.line(value)
        guard line.utf8.contains(where: { Self.special.contains($0) }) else { return line }
        var text = ""
        for scalar in line.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "'": text += "&#39;"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private static let special = Set("&<>\"'".utf8)

    static func + (left: Markup, right: Markup) -> Markup { Markup(joining: [left, right]) }
}

extension Markup {
    /// A whole number for people, with the bare one for programs.
    static func number(_ number: Int64) -> Markup {
        "<data value=\"\(number)\">\(Figures.grouped(number))</data>"
    }

    /// An amount of money, every digit of it; what comes after the second decimal is smaller.
    static func money(_ money: Money?) -> Markup {
        guard let money else {
            return "<span class=\"none\" title=\"no rate is known\">no rate</span>"
        }
        let parts = money.text.split(separator: ".")
        let whole = String(parts[0].drop { $0 == "-" })
        let sign = money.micros < 0 ? "\u{2212}" : ""
        let cents = String(parts[1].prefix(2))
        let rest = String(parts[1].dropFirst(2))
        let finer: Markup = rest.isEmpty ? "" : "<small>\(rest)</small>"
        return """
            <data value="\(money.text)">\(sign)\(Figures.grouped(digits: whole)).\(cents)\(finer)</data>
            """
    }

    static func optional(_ text: String?) -> Markup {
        text.map { "\($0)" } ?? "<span class=\"none\">\u{2013}</span>"
    }
}
