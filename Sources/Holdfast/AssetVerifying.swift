import Core
import Jobs
import Postgres
import Recovery
import Reports
import Runner

/// The files that are to be verified, one after the other; a page of them in memory at most.
struct StoredFileSource {
    private let files: StoredFiles
    private var page: ArraySlice<StoredFile> = []
    private var last: StoredFile?
    /// What is stored after this is left to the next time; nil when no page follows.
    private var end: Instant?

    /// - Parameter most: So many chosen by chance; nil for all.
    init(_ connection: borrowing Connection, _ files: StoredFiles, most: Int?) throws {
        self.files = files
        if let most {
            page = try files.sample(connection, most)[...]
        } else {
            end = try files.newest(connection)
        }
    }

    mutating func next(_ connection: borrowing Connection) throws -> StoredFile? {
        if page.isEmpty, let end {
            page = try files.page(connection, after: last, upTo: end)[...]
            last = page.last
            if page.isEmpty { self.end = nil }
        }
        return page.popFirst()
    }
}

/// The line on a terminal that says how far a verification is.
final class VerificationProgress {
    private static let pause = Duration.milliseconds(250)

    var verified = 0
    private let planned: Int64
    private let isEstimated: Bool
    private let isShown: Bool
    private let started = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?

    init(_ reporting: ReportingOptions, planned: Int64, isEstimated: Bool) {
        self.planned = planned
        self.isEstimated = isEstimated
        isShown = Output.canShowPassing && !reporting.quiet
    }

    func show(bytes: Int64) {
        guard isShown else { return }
        let now = ContinuousClock.now
        if let lastShown, now - lastShown < Self.pause { return }
        lastShown = now
        Output.passing(
            ProgressText.bar(
                verified: verified, of: planned, isEstimated: isEstimated, bytes: bytes,
                duration: now - started, columns: Output.columns - 1))
    }
}

/// What a verification says: as text each finding at once, as JSON all of them at the end.
struct VerificationAnswer {
    var tally: AssetText.Tally
    private var listed: [VerifiedFile] = []

    init(_ tally: AssetText.Tally) { self.tally = tally }

    mutating func add(_ verified: VerifiedFile, _ reporting: ReportingOptions) {
        tally.counts[verified.finding.word, default: 0] += 1
        let isNews = verified.finding != .ok
        switch reporting.output {
        case .text where isNews || reporting.verbose: Output.standard(AssetText.line(verified))
        case .json where isNews && listed.count < AssetVerify.listed: listed.append(verified)
        default: break
        }
    }

    /// - Returns: the exit status: 1 when an object is not what it should be, or the store's own.
    func say(
        _ context: RunContext, _ reporting: ReportingOptions, _ failure: Failure?
    ) -> ExitStatus {
        var status = tally.bad == 0 ? ExitStatus.done : .needsPerson
        if let failure { status = ExitStatus.worst(status, failure.status) }
        status = StopSignal.outranking(status)
        let counts = ["ok", "missing", "differs", "unreadable"].map { word in
            JSONObject.Member(key: word, value: .integer(tally.counts[word, default: 0]))
        }
        Say.answer(
            context, reporting,
            [
                ("verified", .integer(tally.verified)), ("stored", .integer(tally.all)),
                ("stored_is_estimated", .bool(tally.isEstimated)),
                ("bytes_read", .integer(tally.bytes)), ("findings", .object(JSONObject(counts))),
                ("files", .array(listed.map(AssetText.object))),
                ("has_more", .bool(tally.bad > listed.count)),
            ],
            errors: [failure].compactMap { $0 }, status: status,
            text: AssetText.summary(tally, wasStopped: failure != nil || StopSignal.isRaised))
        if let failure { Output.error("\(context.command): \(failure.message)") }
        return status
    }
}
