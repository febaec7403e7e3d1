import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Recovery
import Reports
import Runner

struct RewindCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rewind",
        abstract: "Shows lost commits, and lets jobs go that they may be about.",
        discussion: """
            After a failover to a standby that was behind, or a restore to a point in time, jobs whose \
            story may have changed are neither sent again nor voided until their provider has told. \
            The runbook is database-rewound.
            """,
        subcommands: [RewindShow.self, RewindRelease.self])
}

struct RewindShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "What was lost, and every job that it may be about.",
        discussion: "Without a number it shows those that are open, and the last ten.")

    private static let listed = 10

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("The number of one.", valueName: "rewind")) var rewindID: Int64?

    @OptionGroup var rows: ListOptions

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let queries = RewindQueries(clockOffset: try context.settings.clockOffset())
        let all = try queries.list(connection, most: rewindID == nil ? Self.listed : 10_000)
        let found = all.filter { rewindID == nil || $0.rewindID == rewindID }
        if let rewindID, found.isEmpty {
            throw Failure(
                .notFound, code: "no_such_rewind",
                "there is no rewind \(rewindID); see holdfast rewind show")
        }
        let (jobs, hasMore) = rows.shown(
            try queries.jobs(connection, rewindID: rewindID, most: rows.wanted), "jobs", context,
            reporting)
        let isOpen = found.contains { $0.closedAt == nil }
        let since = found.filter { isOpen ? $0.closedAt == nil : true }.map(\.gapFrom).min()
        let unknown =
            try since.map {
                try queries.unknownTasks(connection, since: $0, most: rows.wanted)
            } ?? []
        var parts = found.map(RewindText.lines)
        if found.isEmpty { parts.append("no lost commits were ever noticed") }
        if !jobs.isEmpty { parts.append(RewindText.table(jobs)) }
        if !unknown.isEmpty {
            parts.append(
                "tasks that no job knows, each may belong to one of these (holdfast job link JOB "
                    + "--task TASK):")
            parts += unknown.map { Plain.line("  \($0.provider) \($0.taskID) (\($0.source))") }
        }
        if jobs.contains(where: { $0.how == nil }) {
            parts.append(
                "let go when you know better: holdfast rewind release --job JOB --reason TEXT")
        }
        Say.answer(
            context, reporting,
            [
                ("rewinds", .array(found.map(RewindText.object))),
                ("jobs", .array(jobs.map(RewindText.object))), ("has_more", .bool(hasMore)),
                (
                    "unknown_tasks",
                    .array(
                        unknown.map {
                            [
                                "provider": .string($0.provider), "task_id": .string($0.taskID),
                                "source": .string($0.source),
                            ]
                        })
                ),
            ],
            text: parts.joined(separator: "\n"))
        return .done
    }
}

struct RewindRelease: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Lets jobs go that lost commits may be about.",
        discussion: """
            They are sent again, failed and voided by the same rules as ever from then on: do it when \
            the provider's console shows no task of theirs. Without --job all are let go, and marks \
            that nobody can read are written anew. The reason and your name are kept. Look first with \
            --dry-run.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(
        name: .customLong("job"),
        help: ArgumentHelp("Only this job; repeatable.", valueName: "id"))
    var jobIDs: [String] = []

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String

    @Flag(name: .customLong("dry-run"), help: "Say what would be done, and do nothing.")
    var isDryRun = false

    mutating func validate() throws { try Reason.check(reason) }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let offset = try context.settings.clockOffset()
        let queries = RewindQueries(clockOffset: offset)
        try JobQueries(clockOffset: offset).requireJobs(connection, jobIDs)
        let run = Run(runID: context.runID, command: context.command, clockOffset: offset)
        let marks = Marks(run: run)
        let watch = RewindWatch(context, run)
        let hosts = [JobRun.hostName] + (try marks.hosts(connection))
        let findings = jobIDs.isEmpty ? watch.find(Array(Set(hosts)).sorted()) : nil
        let held = try queries.held(connection, jobIDs: jobIDs)
        var released = held
        if !isDryRun {
            try marks.fillOpen(connection)
            released = try queries.release(
                connection, jobIDs: jobIDs, reason: reason, actor: Person.actor)
            if let findings { try watch.replace(connection, findings) }
        }
        let garbage = findings?.garbage.map { "\($0.name) in \($0.place.words)" } ?? []
        var lines = released.map { Plain.line("\(isDryRun ? "would be" : "is") let go: \($0)") }
        lines += garbage.map {
            Plain.line("\(isDryRun ? "would be" : "is") written anew: \($0)")
        }
        if lines.isEmpty { lines.append("nothing is held back; nothing was changed") }
        Say.answer(
            context, reporting,
            [
                ("released", .array(released.map(JSONValue.string))),
                ("rewritten", .array(garbage.map(JSONValue.string))), ("dry_run", .bool(isDryRun)),
                ("actor", .string(Person.actor)),
            ],
            text: lines.joined(separator: "\n"))
        return .done
    }
}
