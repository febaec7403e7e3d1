/// Just enough XML for the answers of an S3: elements without attributes, and text.
enum XMLText {
    /// The text of the first element of that name; nil when there is none.
    static func first(_ name: String, in text: some StringProtocol) -> String? {
        all(name, in: text, most: 1).first.map { unescaped(String($0)) }
    }

    /// What is between the tags of the elements of that name, in order.
    static func all(_ name: String, in text: some StringProtocol, most: Int = .max) -> [String] {
        var found: [String] = []
        var rest = text[...]
        while found.count < most, let start = rest.firstRange(of: "<\(name)>"),
            let end = rest[start.upperBound...].firstRange(of: "</\(name)>")
        {
            found.append(String(rest[start.upperBound..<end.lowerBound]))
            rest = rest[end.upperBound...]
        }
        return found
    }

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { whole, character in
            switch character {
            case "&": whole += "&amp;"
            case "<": whole += "&lt;"
            case ">": whole += "&gt;"
            case "\"": whole += "&quot;"
            default: whole.append(character)
            }
        }
    }

    static func unescaped(_ text: String) -> String {
        guard text.contains("&") else { return text }
        var whole = ""
        var rest = text[...]
        while let start = rest.firstIndex(of: "&"), let end = rest[start...].firstIndex(of: ";") {
            whole += rest[..<start]
            let name = rest[rest.index(after: start)..<end]
            whole += entity(name) ?? "&\(name);"
            rest = rest[rest.index(after: end)...]
        }
        return whole + rest
    }

    private static func entity(_ name: Substring) -> String? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let number =
                digits.lowercased().hasPrefix("x")
                ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return number.flatMap(Unicode.Scalar.init).map { String(Character($0)) }
        }
    }
}
