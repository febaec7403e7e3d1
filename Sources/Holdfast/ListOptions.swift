import ArgumentParser
import Core
import Runner

/// How many rows a command shows, and whether there are more.
struct ListOptions: ParsableArguments {
    @Option(help: ArgumentHelp("At most this many.", valueName: "count"))
    var limit = 50

    static let limitMaximum = 100_000

    mutating func validate() throws { try Self.check(limit, example: 50) }

    static func check(_ limit: Int, example: Int) throws {
        if limit < 1 || limit > limitMaximum {
            throw ValidationError(
                "--limit takes a number from 1 to \(limitMaximum), such as --limit \(example)")
        }
    }

    /// What to ask for: one more than wanted tells whether there are more.
    var wanted: Int { limit + 1 }

    /// The rows to show of those found; says on standard error when there are more of them.
    func shown<Row>(
        _ found: [Row], _ what: String, _ context: RunContext, _ reporting: ReportingOptions
    ) -> (rows: [Row], hasMore: Bool) {
        let hasMore = found.count > limit
        if hasMore && reporting.output == .text && !reporting.quiet {
            Output.error(
                "\(context.command): more than \(limit) \(what) are like that; see more with "
                    + "--limit N")
        }
        return (Array(found.prefix(limit)), hasMore)
    }
}
