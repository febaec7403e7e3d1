import ArgumentParser

/// A word in the place of a command that is none: the parser only calls it unexpected.
enum Mistyped {
    /// Refuses the first such word, with what there is and what may have been meant.
    static func check(
        _ root: any ParsableCommand.Type, _ arguments: [String]
    ) throws(ValidationError) {
        var command: any ParsableCommand.Type = root
        for word in arguments {
            let subcommands = command.configuration.subcommands
            guard !subcommands.isEmpty, command.configuration.defaultSubcommand == nil,
                !word.hasPrefix("-")
            else { return }
            if word == "help" { continue }
            let next = subcommands.first {
                name(of: $0) == word || $0.configuration.aliases.contains(word)
            }
            guard let next else {
                let names = subcommands.map(name).filter { !$0.hasPrefix("_") }
                let nearest = nearest(to: word, in: names)
                throw ValidationError(
                    "there is no command '\(word)'"
                        + (nearest.map { "; did you mean '\($0)'?" } ?? ".")
                        + " The commands are \(names.joined(separator: ", "))")
            }
            command = next
        }
    }

    private static func name(of command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? "\(command)".lowercased()
    }

    /// The name that a slip or two would turn into the word; nil when none is near.
    static func nearest(to word: String, in names: [String]) -> String? {
        names.map { ($0, distance(word.lowercased(), $0)) }
            .filter { $0.1 <= max(1, $0.0.count / 3) }
            .min { $0.1 < $1.1 }?.0
    }

    /// Letters to put in, take out or change; two that changed places count once.
    static func distance(_ left: String, _ right: String) -> Int {
        let (a, b) = (Array(left), Array(right))
        var rows = [Array(0...b.count)]
        for i in 1..<(a.count + 1) {
            var row = [i]
            for j in 1..<(b.count + 1) {
                let isSame = a[i - 1] == b[j - 1]
                var best = min(
                    rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (isSame ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    best = min(best, rows[i - 2][j - 2] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
