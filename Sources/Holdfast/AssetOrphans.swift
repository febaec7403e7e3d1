import Assembly
import Core
import HTTP
import Jobs
import Postgres
import Recovery
import Reports
import Runner

/// `holdfast asset verify --orphans`: what the store has and no row knows.
enum AssetOrphans {
    /// Objects that one JSON object lists; all of them are counted.
    private static let shown = 1000

    static func perform(
        _ context: RunContext, _ reporting: ReportingOptions, _ connection: borrowing Connection,
        after place: String?
    ) throws -> ExitStatus {
        let target = try MirrorTarget(context.settings, isDryRun: true)
        var search = OrphanObjects(target.store, try Session(), after: place)
        var found: [UnknownObject] = []
        var count = 0
        var failure: Failure?
        do {
            while !search.isOver, !StopSignal.isRaised {
                for one in try search.next(connection, shouldStop: { StopSignal.isRaised }) {
                    count += 1
                    if found.count < shown { found.append(one) }
                    if reporting.output == .text { Output.standard(line(one)) }
                }
            }
        } catch let error as Failure {
            failure = error
        }
        var status = count == 0 ? ExitStatus.done : .needsPerson
        if let failure { status = ExitStatus.worst(status, failure.status) }
        status = StopSignal.outranking(status)
        var words = "\(search.listed) objects listed, \(count) that no row knows"
        if search.foreign > 0 { words += ", \(search.foreign) that are none of ours" }
        if !search.isOver, let next = search.place {
            words +=
                "; go on with: holdfast asset verify --orphans --after "
                + AssetText.word(next)
        }
        Say.answer(
            context, reporting,
            [
                ("listed", .integer(search.listed)), ("orphans", .integer(count)),
                ("foreign", .integer(search.foreign)), ("objects", .array(found.map(object))),
                ("has_more", .bool(count > found.count)), ("next", .optional(search.place)),
            ],
            errors: [failure].compactMap { $0 }, status: status, text: words)
        if let failure { Output.error("\(context.command): \(failure.message)") }
        return status
    }

    private static func line(_ one: UnknownObject) -> String {
        Plain.line("orphan   \(one.name)  \(Plain.bytes(one.bytes))") + "\n  "
            + Plain.line(advice(one))
    }

    private static func object(_ one: UnknownObject) -> JSONValue {
        [
            "object_key": .string(one.name), "bytes": .integer(one.bytes),
            "job_id": .optional(one.jobID), "ordinal": one.ordinal.map { .integer($0) } ?? .null,
            "job_state": .optional(one.jobState), "file_state": .optional(one.fileState),
            "advice": .string(advice(one)),
        ]
    }

    /// What becomes of it, or what a person may do.
    private static func advice(_ one: UnknownObject) -> String {
        guard let jobID = one.jobID, let ordinal = one.ordinal else {
            return "no job of this database bears its name; when nobody needs it, remove it from "
                + "the store"
        }
        switch one.fileState {
        case "pending": return "file \(ordinal) of job \(jobID) is pending: the next run takes it"
        case "lost":
            return "file \(ordinal) of job \(jobID) is lost; holdfast asset refetch --job "
                + "\(AssetText.word(jobID)) --ordinal \(ordinal) takes it"
        case "stored":
            return "file \(ordinal) of job \(jobID) is stored under another key; when nobody "
                + "needs this one, remove it from the store"
        default:
            return "job \(jobID) is \(one.jobState ?? "gone") and has no file \(ordinal): it is "
                + "taken when the job comes to have one"
        }
    }
}
