package import Core
import Postgres

/// A job as people see it: what the view `job_status` shows, and what stands beside the state.
package struct JobStatus: Sendable {
    package var jobID: String
    package var accountID: String
    package var provider: String
    package var model: String
    package var kind: String
    package var endpoint: String?
    package var taskID: String?
    package var state: JobState
    package var blocked: String?
    package var blockedReason: String?
    /// The command that gets a blocked job going again, or out of the way; nil for any other job.
    package var wayOut: String?
    /// A settlement that a brake stopped, or that a person released and the next run makes.
    package var hasPendingMove: Bool
    package var creditState: String
    /// What the job costs.
    package var credits: Int64
    /// What became of the hold, by the names of the view without `credits_`; zero amounts as well.
    package var creditsByFate: [(fate: String, credits: Int64)]
    /// Without queries, which are secrets while they live.
    package var resultURLs: [String]
    package var assetURLs: [String]
    package var errorCode: String?
    package var errorMessage: String?
    package var progress: Int?
    package var attempts: Int
    package var createdAt: Instant
    package var submittedAt: Instant?
    package var finishedAt: Instant?
    package var settledAt: Instant?
    package var nextPollAt: Instant?
    package var watchUntil: Instant?
    package var lastStep: String?
    package var lastHeartbeatAt: Instant?
    package var lease: Lease?
    /// The database's clock when this was read, shifted by the clock offset.
    package var now: Instant

    /// Who works on the job just now.
    package struct Lease: Equatable, Sendable {
        package var runID: String
        /// The command and the host of the run, where its record is there.
        package var holder: String?
        package var until: Instant
    }
}

extension JobStatus {
    static let fates = ["held", "captured", "voided", "charged", "refunded", "waived"]

    /// The columns that `init` reads, of `job_status s`, `job j` and the clock.
    static func columns(_ offset: Duration) -> SQL {
        let instants = [
            "s.created_at", "s.submitted_at", "s.finished_at", "s.settled_at", "s.next_poll_at",
            "j.watch_until", "s.last_heartbeat_at", "j.lease_until",
        ].map { "\(microseconds($0)) AS \($0.dropFirst(2))_us" }.joined(separator: ", ")
        return """
            s.job_id, s.account_id, s.provider, s.model, s.kind, s.endpoint, s.task_id, s.state,
            s.blocked, j.blocked_reason, holdfast.way_out(s.job_id, s.blocked) AS way_out,
            j.pending_move IS NOT NULL AS has_pending_move,
            s.credit_state, j.credits, s.credits_held, s.credits_captured, s.credits_voided,
            s.credits_charged, s.credits_refunded, s.credits_waived, j.result_urls, s.asset_urls,
            s.error_code, s.error_message, s.progress, s.attempts, s.last_step,
            \(raw: instants),
            CASE WHEN j.lease_until > clock_timestamp() + \(offset)::interval
                THEN j.lease_owner END AS lease_owner,
            (SELECT r.command || ' on ' || r.host FROM holdfast.run r
                WHERE r.run_id = j.lease_owner) AS lease_holder,
            \(raw: microseconds("clock_timestamp()"))
                + \(offset.microseconds)::bigint AS now_us
            """
    }

    /// An instant as `Row.instant` reads it.
    static func microseconds(_ expression: String) -> String {
        "(extract(epoch FROM \(expression)) * 1000000)::bigint"
    }

    /// An instant inside a JSON object, as every other one is written.
    static func text(_ expression: String) -> String {
        "to_char(\(expression) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    }

    init(_ row: Row) throws {
        var lease: Lease?
        if let runID = try row.optionalText("lease_owner") {
            lease = Lease(
                runID: runID, holder: try row.optionalText("lease_holder"),
                until: try row.instant("lease_until_us"))
        }
        self.init(
            jobID: try row.text("job_id"), accountID: try row.text("account_id"),
            provider: try row.text("provider"), model: try row.text("model"),
            kind: try row.text("kind"), endpoint: try row.optionalText("endpoint"),
            taskID: try row.optionalText("task_id"), state: try row.state("state"),
            blocked: try row.optionalText("blocked"),
            blockedReason: try row.optionalText("blocked_reason"),
            wayOut: try row.optionalText("way_out"),
            hasPendingMove: try row.bool("has_pending_move"),
            creditState: try row.text("credit_state"), credits: try row.int64("credits"),
            creditsByFate: try Self.fates.map { ($0, try row.int64("credits_" + $0)) },
            resultURLs: try row.texts("result_urls").map(URLText.withoutQuery),
            assetURLs: try row.texts("asset_urls"), errorCode: try row.optionalText("error_code"),
            errorMessage: try row.optionalText("error_message"),
            progress: try row.optionalInt("progress"), attempts: try row.int("attempts"),
            createdAt: try row.instant("created_at_us"),
            submittedAt: try row.optionalInstant("submitted_at_us"),
            finishedAt: try row.optionalInstant("finished_at_us"),
            settledAt: try row.optionalInstant("settled_at_us"),
            nextPollAt: try row.optionalInstant("next_poll_at_us"),
            watchUntil: try row.optionalInstant("watch_until_us"),
            lastStep: try row.optionalText("last_step"),
            lastHeartbeatAt: try row.optionalInstant("last_heartbeat_at_us"), lease: lease,
            now: try row.instant("now_us"))
    }
}

/// Addresses as they may be shown.
package enum URLText {
    /// The address up to its query, without a user name or password.
    package static func withoutQuery(_ url: String) -> String {
        let shown = url.prefix { $0 != "?" && $0 != "#" }
        guard let scheme = shown.firstRange(of: "://") else { return String(shown) }
        let rest = shown[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        guard let sign = authority.lastIndex(of: "@") else { return String(shown) }
        return String(shown[..<scheme.upperBound]) + String(rest[rest.index(after: sign)...])
    }
}
