package import Core
import Postgres

/// What is known of a file that is refused because it is no media.
package struct RefusedContent: Equatable, Sendable {
    /// What it is, in words.
    package var type: String
    package var since: Instant
    /// Of all of it; nil where only a part was read.
    package var sha256: String?
    package var bytes: Int64?
    /// All of it is in the quarantine store.
    package var isQuarantined: Bool
    /// The command that delivers it all the same; nil where there is none.
    package var acceptCommand: String?
}

extension RefusedContent {
    /// Of `holdfast.asset a`, left-joined with `holdfast.refused_file k`.
    static var columns: SQL {
        """
        CASE WHEN a.state = 'pending' THEN a.refused_as END AS refused_as,
        \(raw: JobStatus.microseconds("a.refused_since")) AS refused_us,
        CASE WHEN k.is_whole THEN k.sha256 END AS refused_sha256,
        CASE WHEN k.is_whole THEN k.bytes END AS refused_bytes,
        k.object_name IS NOT NULL AS is_quarantined,
        CASE WHEN k.is_whole THEN holdfast.accept_command(a.job_id, a.ordinal) END AS accept_command
        """
    }

    init?(_ row: Row) throws {
        guard let type = try row.optionalText("refused_as"),
            let since = try row.optionalInstant("refused_us")
        else { return nil }
        self.init(
            type: type, since: since, sha256: try row.optionalText("refused_sha256"),
            bytes: try row.optionalInt64("refused_bytes"),
            isQuarantined: try row.bool("is_quarantined"),
            acceptCommand: try row.optionalText("accept_command"))
    }
}
