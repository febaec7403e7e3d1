package import Core
package import Ledger
import Reports

/// Closed days for people and for machines.
package enum ClosedDayText {
    package static func table(_ days: [ClosedDay]) -> String {
        guard !days.isEmpty else {
            return "no day is closed yet; the next nightly run closes the days that are over"
        }
        var table = TextTable(
            ["day", "ends", "transfers", "opened", "standing", "closed", "sealed", "digest"],
            numbers: [2, 3, 4, 5])
        for day in days {
            table.add(
                day.day, day.endsAt, String(day.entries), String(day.opened), String(day.standing),
                String(day.closed), day.closedAt ?? "being closed",
                day.digest.map { String($0.prefix(16)) } ?? "-")
        }
        return table.text
    }

    package static func object(_ day: ClosedDay) -> JSONValue {
        [
            "day": .string(day.day), "zone": .string(day.zone), "starts_at": .string(day.startsAt),
            "ends_at": .string(day.endsAt), "sealed_at": .optional(day.closedAt),
            "transfers": .integer(day.entries), "breaks_opened": .integer(day.opened),
            "breaks_standing": .integer(day.standing), "breaks_closed": .integer(day.closed),
            "digest": .optional(day.digest),
        ]
    }
}
