package import Postgres

/// A closed day in a list.
package struct ClosedDay: Equatable, Sendable {
    package var day, zone, startsAt, endsAt: String
    /// nil while it is being closed.
    package var closedAt: String?
    package var entries: Int64
    package var opened, standing, closed: Int64
    package var digest: String?
}

package enum ClosedDays {
    /// The newest first.
    package static func list(
        _ connection: borrowing Connection, most: Int
    ) throws -> [ClosedDay] {
        try connection.query(
            """
            SELECT to_char(d.day, 'YYYY-MM-DD') AS day, d.zone, holdfast.utc(d.starts_at) AS starts,
                holdfast.utc(d.ends_at) AS ends, holdfast.utc(d.closed_at) AS closed, d.entries,
                d.digest, b.opened, b.standing, b.closed_breaks
            FROM holdfast.business_day d CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE status = 'opened') AS opened,
                    count(*) FILTER (WHERE status = 'standing') AS standing,
                    count(*) FILTER (WHERE status NOT IN ('opened', 'standing')) AS closed_breaks
                FROM holdfast.break_day b WHERE b.day = d.day) b
            ORDER BY d.day DESC LIMIT \(most)::integer
            """
        ).map { row in
            ClosedDay(
                day: try row.text("day"), zone: try row.text("zone"),
                startsAt: try row.text("starts"), endsAt: try row.text("ends"),
                closedAt: try row.optionalText("closed"), entries: try row.int64("entries"),
                opened: try row.int64("opened"), standing: try row.int64("standing"),
                closed: try row.int64("closed_breaks"), digest: try row.optionalText("digest"))
        }
    }
}
