import ArgumentParser
import Assembly
import Core
import HTTP
import Jobs
import Postgres
import Recovery
import Reports
import Runner
import Storage

struct AssetCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "asset",
        abstract: "Lists result files, verifies, fetches and accepts them.",
        subcommands: [AssetList.self, AssetVerify.self, AssetRefetch.self, AssetAccept.self])
}

extension AssetState: ExpressibleByArgument {}

struct AssetList: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists result files: pending ones by their expiry, others newest first.",
        discussion: "All flags given must hold for a file.")

    /// Source: AWS, "Authenticating Requests: Using Query Parameters", X-Amz-Expires.
    static let longestLink = Duration.seconds(7 * 86_400)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(
        name: .customLong("job"),
        help: ArgumentHelp("Files of this job; repeatable.", valueName: "id"))
    var jobIDs: [String] = []

    @Option(help: ArgumentHelp("Files of this account.", valueName: "id"))
    var account: String?

    @Option(help: "Files in this state.")
    var state: AssetState?

    @Option(
        help: ArgumentHelp(
            "Pending files whose source expires within this time.", valueName: "duration"),
        transform: { try DurationFlag("--expiring", $0) })
    var expiring: DurationFlag?

    @Option(
        help: ArgumentHelp(
            "Show for each stored file an address to read it by, signed for this time.",
            valueName: "duration"),
        transform: { try DurationFlag("--sign", $0) })
    var sign: DurationFlag?

    @OptionGroup var rows: ListOptions

    mutating func validate() throws {
        if let sign, sign.duration > Self.longestLink || sign.duration < .seconds(1) {
            throw ValidationError("--sign takes a time from 1s to 7d, such as --sign 1h")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let offset = try context.settings.clockOffset()
        try JobQueries(clockOffset: offset).requireJobs(connection, jobIDs)
        var filter = AssetFilter()
        filter.jobIDs = jobIDs
        filter.accountID = account
        filter.expiring = expiring?.duration
        // A file that is stored has nothing to fear from an address that ends.
        filter.state = state ?? (expiring == nil ? nil : .pending)
        filter.limit = rows.wanted
        let (files, hasMore) = rows.shown(
            try AssetQueries(clockOffset: offset).list(connection, filter), "files", context,
            reporting)
        let links = try sign.map { try Self.links(files, $0.duration, context.settings) }
        let objects = files.enumerated().map { place, file in
            AssetText.object(file, link: links.map { .optional($0[place]) })
        }
        let problem = try Conditions.ofStore(connection)
        let tail = problem.map {
            "\n\nno file is stored now: \($0.message) (met \($0.times) times since \($0.beganAt))"
        }
        Say.answer(
            context, reporting,
            [
                ("assets", .array(objects)), ("has_more", .bool(hasMore)),
                ("store_problem", .optional(problem?.message)),
            ],
            text: AssetText.table(files, links: links) + (tail ?? ""))
        return .done
    }

    /// An address for each stored file: signed, or the public one where that leads to it.
    private static func links(
        _ files: [AssetSummary], _ expires: Duration, _ settings: Settings
    ) throws -> [String?] {
        let target = try MirrorTarget(settings, isDryRun: true)
        let session = try Session()
        return files.map { file in
            guard file.state == .stored else { return nil }
            guard target.publicBaseURL == nil, let key = file.objectKey.flatMap(ObjectKey.init)
            else { return file.publicURL }
            return target.store.link(to: key, expires: expires, session) ?? file.publicURL
        }
    }
}

struct AssetVerify: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Reads stored objects back and compares them with the database.",
        discussion: """
            Size and SHA-256 of each must be those that were recorded when it was stored. Without \
            flags it looks at 100 files chosen by chance. It writes nothing. With --orphans it goes \
            the other way: through the list of the store, for objects that no row knows.
            """)

    static let sampleFiles = 100
    /// Files that one JSON object lists; all of them are counted.
    static let listed = 1000

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(
        name: .customLong("job"),
        help: ArgumentHelp("Files of this job, all of them; repeatable.", valueName: "id"))
    var jobIDs: [String] = []

    @Option(help: ArgumentHelp("So many files, chosen by chance.", valueName: "count"))
    var sample: Int?

    @Flag(name: .customLong("all"), help: "All files.")
    var isAll = false

    @Flag(name: .customLong("orphans"), help: "Objects in the store that no row knows.")
    var wantsOrphans = false

    @Option(
        help: ArgumentHelp("With --orphans: only names behind this one.", valueName: "name"))
    var after: String?

    @Option(
        help: ArgumentHelp("Only files stored within this time.", valueName: "duration"),
        transform: { try DurationFlag("--since", $0) })
    var since: DurationFlag?

    mutating func validate() throws {
        if wantsOrphans, isAll || sample != nil || since != nil || !jobIDs.isEmpty {
            throw ValidationError(
                "--orphans is about objects of no job; leave --all, --sample, --since and --job out"
            )
        }
        if after != nil, !wantsOrphans { throw ValidationError("--after goes with --orphans") }
        if isAll && sample != nil {
            throw ValidationError("--all and --sample exclude each other; leave one out")
        }
        if let sample, sample < 1 || sample > ListOptions.limitMaximum {
            throw ValidationError(
                "--sample takes a number from 1 to \(ListOptions.limitMaximum), such as "
                    + "--sample 1000; for more there is --all")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let offset = try context.settings.clockOffset()
        try JobQueries(clockOffset: offset).requireJobs(connection, jobIDs)
        if wantsOrphans {
            return try AssetOrphans.perform(context, reporting, connection, after: after)
        }
        let target = try MirrorTarget(context.settings, isDryRun: true)
        let files = StoredFiles(jobIDs: jobIDs, since: since?.duration, clockOffset: offset)
        let most = isAll || (sample == nil && !jobIDs.isEmpty) ? nil : sample ?? Self.sampleFiles
        var source = try StoredFileSource(connection, files, most: most)
        let (all, isEstimated) = try files.count(connection)
        let progress = VerificationProgress(
            reporting, planned: most.map { min(Int64($0), all) } ?? all,
            isEstimated: isEstimated && most == nil)
        let verification = Verification(
            target.store, try Session(), shouldStop: { StopSignal.isRaised },
            watch: { progress.show(bytes: $0) })
        var answer = VerificationAnswer(.init(all: all, isEstimated: isEstimated))
        var failure: Failure?
        do {
            try verification.run(
                next: { try source.next(connection) },
                current: { try files.current(connection, $0) },
                ended: { verified in
                    progress.verified += 1
                    answer.add(verified, reporting)
                })
        } catch let error as Failure {
            failure = error
        }
        answer.tally.bytes = verification.bytes
        return answer.say(context, reporting, failure)
    }
}
