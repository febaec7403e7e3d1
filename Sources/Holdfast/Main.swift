import ArgumentParser
import Runner

@main
struct Holdfast: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Looks after jobs, credits and policies by hand.",
        discussion: """
            The four executables that cron runs need nobody. This one is for people: it sets the \
            database up, says how things are, and frees what was set aside.
            """,
        version: Version.current,
        subcommands: [
            Setup.self, Migrate.self, Doctor.self, Status.self, JobCommands.self,
            AccountCommands.self, AssetCommands.self, RewindCommands.self, CallbackCommands.self,
            BreakCommands.self,
            BooksCommands.self, UsageCommands.self, PolicyCommands.self, ProviderCommands.self,
            AdoptCommands.self, InstallationCommands.self, Classify.self,
        ])

    static func main() { Entry.main(Self.self) }
}
