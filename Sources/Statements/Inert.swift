/// Texts of others, made safe to stand in a file that people open.
package enum Inert {
    /// One line of `text`: control characters, and what turns the direction of writing or is no
    /// character at all, are spelled out.
    package static func line(_ text: String) -> String {
        guard !text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }),
            text.unicodeScalars.contains(where: isUnruly)
        else { return text }
        var line = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": line += "\\n"
            case "\t": line += " "
            case _ where isUnruly(scalar): line += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    private static func isUnruly(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x61c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069,
            0xfeff, 0xfff9...0xfffb, 0xfffe, 0xffff:
            true
        // The last two of each plane are no characters.
        case let value: value & 0xfffe == 0xfffe
        }
    }

    /// A cell of text that a spreadsheet shows as it is.
    ///
    /// What it would take for a formula or for a number gets an apostrophe in front, and so does what
    /// begins with one. Who reads it by program takes one leading apostrophe off.
    package static func cell(_ text: String) -> String {
        let line = line(text)
        return wouldBeRead(line) ? "'" + line : line
    }

    /// Source: https://owasp.org/www-community/attacks/CSV_Injection; the wide forms are formulas to
    /// spreadsheets that are set to Japanese or Chinese.
    private static let triggers = Set("=+-@|%'＝＋－＠％｜＇".unicodeScalars)

    static func wouldBeRead(_ line: String) -> Bool {
        let start = line.unicodeScalars.drop { $0.properties.isWhitespace || isInvisible($0) }
        guard let first = start.first else { return false }
        if triggers.contains(first) { return true }
        guard first.value < 0x80, isDigit(first) || first == "." else {
            return first.properties.numericType == .decimal
        }
        // `007`, `20261120123456789012`, `1e5`, `2026-11-20`, `1/2`: shown as something else.
        return start.allSatisfy { isDigit($0) || ".,:/-+eE% ".unicodeScalars.contains($0) }
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        (0x30...0x39).contains(scalar.value)
    }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .format
    }
}
