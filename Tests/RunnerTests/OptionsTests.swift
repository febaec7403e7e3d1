import ArgumentParser
import Core
import Testing

@testable import Runner

struct OptionsTests {
    struct Sample: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "sample")
        @OptionGroup var common: CommonOptions
        @OptionGroup var minutely: MinutelyOptions
    }

    private func parse(_ arguments: [String]) throws -> Sample {
        try #require(try Sample.parseAsRoot(arguments) as? Sample)
    }

    @Test func nothingMeansTheDefaults() throws {
        let sample = try parse([])
        #expect(sample.common.timeBudget == .seconds(50))
        #expect(!sample.common.dryRun)
        #expect(sample.common.reporting.output == .text)
        #expect(sample.common.reporting.logFormat == .text)
        #expect(sample.common.reporting.envFile == nil)
        #expect(sample.minutely.limit == nil)
        #expect(sample.minutely.jobs == [])
        #expect(sample.minutely.providers == [])
        #expect(sample.minutely.concurrency == 64)
    }

    /// What cron's plain call gets without the parser is what the parser would have made of it.
    @Test func noFlagsAreTheSameWithTheParserAndWithoutIt() throws {
        func words(_ common: CommonOptions, _ minutely: MinutelyOptions) -> [String] {
            let reporting = common.reporting
            return [
                "\(common.timeBudget)", "\(common.dryRun)", "\(reporting.output)",
                "\(reporting.logFormat)", "\(reporting.verbose)", "\(reporting.quiet)",
                "\(reporting.envFile ?? "none")", "\(minutely.limit ?? -1)", "\(minutely.jobs)",
                "\(minutely.providers)", "\(minutely.concurrency)",
            ]
        }
        let parsed = try parse([])
        #expect(words(.unflagged, .unflagged) == words(parsed.common, parsed.minutely))
    }

    @Test func everythingIsRead() throws {
        let sample = try parse([
            "--time-budget", "1h30m", "--dry-run", "--output", "json", "--log-format=logfmt",
            "--verbose", "--env-file", "/etc/x.env", "--limit", "7", "--job", "a", "--job=-b",
            "--provider", "kie", "--provider", "kling", "--concurrency", "1",
        ])
        #expect(sample.common.timeBudget == .seconds(5400))
        #expect(sample.common.dryRun)
        #expect(sample.common.reporting.output == .json)
        #expect(sample.common.reporting.logFormat == .logfmt)
        #expect(sample.common.reporting.verbose)
        #expect(sample.common.reporting.envFile == "/etc/x.env")
        #expect(sample.minutely.limit == 7)
        #expect(sample.minutely.jobs == ["a", "-b"])
        #expect(sample.minutely.providers == ["kie", "kling"])
        #expect(sample.minutely.concurrency == 1)
    }

    @Test(arguments: [
        (["--time-budget", "50"], "50s"), (["--time-budget", "soon"], "50s"),
        (["--time-budget", "0s"], "50s"), (["--time-budget", "-5s"], "--time-budget"),
        (["--time-budget"], "--time-budget"), (["--limit", "0"], "--limit 100"),
        (["--limit", "-3"], "--limit"), (["--limit", "all"], "--limit"),
        (["--concurrency", "0"], "1024"), (["--concurrency", "1025"], "1024"),
        (["--job", ""], "--job"), (["--provider", ""], "--provider kie"),
        (["--output", "xml"], "json"), (["--log-format", "xml"], "logfmt"),
        (["--verbose", "--quiet"], "--quiet"), (["--env-file", ""], "--env-file"),
        (["--no-such-flag"], "--no-such-flag"), (["extra"], "extra"),
    ])
    func aWrongFlagIsAUsageErrorThatNamesTheWayOut(arguments: [String], hint: String) {
        let error = #expect(throws: (any Error).self) { try Sample.parseAsRoot(arguments) }
        guard let error else { return }
        #expect(Sample.exitCode(for: error).rawValue == 64)
        #expect(Sample.fullMessage(for: error).contains(hint))
    }

    @Test func helpShowsDurationsTheWayTheyAreWritten() {
        let help = Sample.helpMessage(columns: 100)
        #expect(help.contains("(default: 50s)"))
        #expect(help.contains("--time-budget <duration>"))
    }
}
