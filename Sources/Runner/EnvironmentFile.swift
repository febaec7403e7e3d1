/// The `.env` format: `KEY=VALUE` lines, `export` in front allowed, quotes, `#` comments.
///
/// In single quotes everything stands for itself; in double quotes `\n`, `\r`, `\t`, `\"`, `\\` and
/// `\$` are escapes; both may span lines. Without quotes the value ends at the end of the line or at
/// a `#` after a blank. Nothing is expanded. The last line for a key counts.
enum EnvironmentFile {
    struct Malformed: Error, Equatable {
        var line: Int
        /// Never any of the line itself: it may hold a secret.
        var problem: String
    }

    static func parse(_ text: String) throws(Malformed) -> [String: String] {
        var reader = Reader(text)
        var values: [String: String] = [:]
        while let entry = try reader.next() { values[entry.key] = entry.value }
        return values
    }

    private struct Reader {
        private var rest: Substring.UnicodeScalarView
        private var line = 1

        init(_ text: String) {
            // A line end may be written in two ways, and an editor may have put a mark in front.
            let plain = text.unicodeScalars.drop { $0 == "\u{feff}" }
            rest =
                Substring(String(String.UnicodeScalarView(plain)).replacing("\r\n", with: "\n"))
                .unicodeScalars
        }

        mutating func next() throws(Malformed) -> (key: String, value: String)? {
            while true {
                skipBlanks()
                guard let scalar = rest.first else { return nil }
                if scalar == "\n" {
                    rest.removeFirst()
                    line += 1
                } else if scalar == "#" {
                    _ = take { $0 != "\n" }
                } else {
                    return try entry()
                }
            }
        }

        private mutating func entry() throws(Malformed) -> (key: String, value: String) {
            let start = line
            var key = take(isNamePart)
            if key == "export", rest.first.map(isBlank) == true {
                skipBlanks()
                key = take(isNamePart)
            }
            skipBlanks()
            guard let first = key.unicodeScalars.first, !("0"..."9").contains(first) else {
                throw Malformed(line: start, problem: "does not begin with a variable's name")
            }
            guard rest.first == "=" else {
                throw Malformed(line: start, problem: "has no = after the name")
            }
            rest.removeFirst()
            skipBlanks()
            let value: String
            switch rest.first {
            case "'": value = try quoted("'")
            case "\"": value = try quoted("\"")
            default: return (key, plainValue())
            }
            skipBlanks()
            guard rest.isEmpty || rest.first == "\n" || rest.first == "#" else {
                throw Malformed(line: line, problem: "has text after the closing quote")
            }
            return (key, value)
        }

        private mutating func plainValue() -> String {
            var value = String.UnicodeScalarView()
            var previous: Unicode.Scalar = " "
            while let scalar = rest.first, scalar != "\n" {
                if scalar == "#" && isBlank(previous) { break }
                value.append(scalar)
                previous = scalar
                rest.removeFirst()
            }
            while value.last.map(isBlank) == true { value.removeLast() }
            return String(value)
        }

        private mutating func quoted(_ quote: Unicode.Scalar) throws(Malformed) -> String {
            let start = line
            rest.removeFirst()
            var value = String.UnicodeScalarView()
            while let scalar = rest.popFirst() {
                if scalar == quote { return String(value) }
                if scalar == "\n" { line += 1 }
                guard scalar == "\\", quote == "\"", let escaped = rest.first else {
                    value.append(scalar)
                    continue
                }
                let meant = Self.escapes[escaped]
                if meant != nil { rest.removeFirst() }
                value.append(meant ?? scalar)
            }
            throw Malformed(line: start, problem: "opens a quote that is never closed")
        }

        private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
            "n": "\n", "r": "\r", "t": "\t", "\"": "\"", "\\": "\\", "$": "$",
        ]

        private mutating func take(_ belongs: (Unicode.Scalar) -> Bool) -> String {
            let taken = rest.prefix(while: belongs)
            rest = rest[taken.endIndex...]
            return String(taken)
        }

        private mutating func skipBlanks() { _ = take(isBlank) }

        private func isBlank(_ scalar: Unicode.Scalar) -> Bool {
            scalar == " " || scalar == "\t" || scalar == "\r"
        }

        private func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
            scalar == "_" || ("0"..."9").contains(scalar) || ("A"..."Z").contains(scalar)
                || ("a"..."z").contains(scalar)
        }
    }
}
