/// Names and literals of a statement, and the placeholders in an application's expressions.
package enum SQLText {
    /// A name in double quotes.
    package static func name(_ name: String) -> String {
        "\""
            + name.split(separator: "\"", omittingEmptySubsequences: false).joined(
                separator: "\"\"")
            + "\""
    }

    /// A text literal that means the same whatever `standard_conforming_strings` says.
    package static func literal(_ text: String) -> String {
        let quoted = text.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "''")
        guard text.contains("\\") else { return "'\(quoted)'" }
        return "E'"
            + quoted.split(separator: "\\", omittingEmptySubsequences: false)
            .joined(separator: "\\\\") + "'"
    }

    /// A text[] of literals.
    package static func array(_ texts: [String]) -> String {
        "ARRAY[\(texts.map(literal).joined(separator: ", "))]::text[]"
    }

    /// What may be put into an expression that writes.
    package static let placeholders: Set<String> = [
        "account", "job", "task", "credits", "reference", "reason", "word", "pot", "url", "urls",
        "key", "error", "kind", "now",
    ]

    /// The expression with each placeholder replaced; literals, quoted names and casts stay.
    package static func filled(_ sql: String, _ value: (String) -> String) -> String {
        var text = ""
        scan(sql) { piece in
            switch piece {
            case .code(let code): text += code
            case .quoted(let quoted): text += quoted
            case .placeholder(let name): text += value(name)
            }
        }
        return text
    }

    /// Whether a semicolon stands outside of literals and quoted names.
    static func hasSemicolon(_ sql: String) -> Bool {
        var found = false
        scan(sql) { piece in
            if case .code(let code) = piece, code.contains(";") { found = true }
        }
        return found
    }

    private enum Piece {
        case code(String)
        /// A literal or a quoted name, with its quotes.
        case quoted(String)
        case placeholder(String)
    }

    private static func scan(_ sql: String, _ body: (Piece) -> Void) {
        let text = Array(sql)
        var at = 0
        var code = ""
        func isWord(_ character: Character) -> Bool {
            character.isLetter || character.isNumber || character == "_"
        }
        while at < text.count {
            let character = text[at]
            if character == "'" || character == "\"" {
                if !code.isEmpty { body(.code(code)) }
                code = ""
                var end = at + 1
                while end < text.count, text[end] != character { end += 1 }
                body(.quoted(String(text[at...min(end, text.count - 1)])))
                at = end + 1
            } else if character == ":", at + 1 < text.count, text[at + 1] == ":" {
                code += "::"
                at += 2
            } else if character == ":" {
                var end = at + 1
                while end < text.count, isWord(text[end]) { end += 1 }
                let name = String(text[(at + 1)..<end])
                if placeholders.contains(name) {
                    if !code.isEmpty { body(.code(code)) }
                    code = ""
                    body(.placeholder(name))
                } else {
                    code += String(text[at..<end])
                }
                at = end
            } else {
                code.append(character)
                at += 1
            }
        }
        if !code.isEmpty { body(.code(code)) }
    }
}
