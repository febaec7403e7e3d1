package import Core

/// A line as it stands in the file, with everything read.
struct StatementLine: Equatable {
    var line: Int
    var lineID: String?
    var taskID: String?
    var jobID: String?
    var model: String?
    var status: UsageOffer.Status?
    var amount: ExactDecimal
    var unit: String
    var happenedAt: Instant
}

/// Why a line is not taken.
struct LineProblem: Error, Equatable {
    var why: String

    init(_ why: String) { self.why = why }
}

/// Turns the cells of one line into what they mean; pure, and the same for CSV and JSON.
struct LineReader {
    let mapping: StatementMapping
    let zone: ZoneTable

    /// Characters of a cell that a complaint quotes.
    private static let quoteLimit = 40
    private static let modelLimit = 200

    /// - Parameter cell: The text of a mapped column; nil where the line has none.
    func read(
        line: Int, cell: (StatementMapping.Column) -> String?
    ) throws(LineProblem) -> StatementLine {
        let taskID = try id(.taskID, cell)
        let jobID = try id(.jobID, cell)
        return StatementLine(
            line: line, lineID: try id(.lineID, cell, isNeeded: true), taskID: taskID,
            jobID: jobID, model: try text(.model, cell, limit: Self.modelLimit),
            status: Self.status(cell(.status)), amount: try amount(cell), unit: try unit(cell),
            happenedAt: try time(cell))
    }

    private func id(
        _ column: StatementMapping.Column, _ cell: (StatementMapping.Column) -> String?,
        isNeeded: Bool = false
    ) throws(LineProblem) -> String? {
        guard let name = mapping.columns[column] else { return nil }
        let value = try text(column, cell, limit: UsageOffer.idLimit)
        if value == nil, isNeeded { throw LineProblem("\(name) is empty") }
        return value
    }

    private func text(
        _ column: StatementMapping.Column, _ cell: (StatementMapping.Column) -> String?, limit: Int
    ) throws(LineProblem) -> String? {
        guard let name = mapping.columns[column], let value = Self.trimmed(cell(column)) else {
            return nil
        }
        guard value.unicodeScalars.count <= limit else {
            throw LineProblem("\(name) is longer than \(limit) characters")
        }
        guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            throw LineProblem("\(name) holds a control character")
        }
        return value
    }

    private func amount(
        _ cell: (StatementMapping.Column) -> String?
    ) throws(LineProblem) -> ExactDecimal {
        let name = mapping.columns[.amount] ?? ""
        guard let text = Self.trimmed(cell(.amount)) else { throw LineProblem("\(name) is empty") }
        guard let amount = ExactDecimal(text) else {
            throw LineProblem(
                "\(name) is \(Self.quoted(text)), which is no number like 1234.50 (a point, no "
                    + "thousands separator, no currency sign, up to \(ExactDecimal.wholeLimit) "
                    + "digits before the point)")
        }
        guard (amount.isNegative ? ExactDecimal(0) : amount) <= UsageOffer.amountLimit,
            !amount.isNegative || negated(amount) <= UsageOffer.amountLimit
        else {
            throw LineProblem(
                "\(name) is \(Self.quoted(text)), more than the "
                    + "\(UsageOffer.amountLimit.text) that one line can charge")
        }
        guard !amount.isNegative || mapping.allowsCredits else {
            throw LineProblem(
                "\(name) is \(Self.quoted(text)), and negative amounts are taken with "
                    + "--allow-credits only")
        }
        return amount
    }

    private func negated(_ amount: ExactDecimal) -> ExactDecimal {
        ExactDecimal(amount.text.drop { $0 == "-" }) ?? amount
    }

    private func unit(
        _ cell: (StatementMapping.Column) -> String?
    ) throws(LineProblem) -> String {
        guard let name = mapping.columns[.unit] else { return mapping.unit ?? "" }
        guard let unit = Self.trimmed(cell(.unit)) else { throw LineProblem("\(name) is empty") }
        guard UnitName.isValid(unit) else {
            throw LineProblem("\(name) is \(Self.quoted(unit)), which is no name of a unit")
        }
        return unit
    }

    private func time(
        _ cell: (StatementMapping.Column) -> String?
    ) throws(LineProblem) -> Instant {
        let name = mapping.columns[.time] ?? ""
        guard let text = Self.trimmed(cell(.time)) else { throw LineProblem("\(name) is empty") }
        guard let time = StatementTime.read(text, zone) else {
            throw LineProblem(
                "\(name) is \(Self.quoted(text)), which is no time like 2026-11-21T10:42:36Z, "
                    + "2026-11-21 10:42, 2026-11-21, or seconds or milliseconds since 1970")
        }
        return time
    }

    private static let statuses: [String: UsageOffer.Status] = [
        "succeeded": .succeeded, "success": .succeeded, "successful": .succeeded,
        "completed": .succeeded, "complete": .succeeded, "done": .succeeded, "ok": .succeeded,
        "finished": .succeeded, "failed": .failed, "failure": .failed, "fail": .failed,
        "error": .failed, "expired": .failed, "cancelled": .cancelled, "canceled": .cancelled,
        "running": .running, "processing": .running, "pending": .running, "queued": .running,
        "in_progress": .running,
    ]

    /// A word that nobody knows says nothing: the amount counts.
    private static func status(_ text: String?) -> UsageOffer.Status? {
        trimmed(text).flatMap { statuses[$0.lowercased()] }
    }

    private static func trimmed(_ text: String?) -> String? {
        guard let text else { return nil }
        let blanks: Set<Unicode.Scalar> = [" ", "\t", "\u{a0}"]
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !blanks.contains($0) }),
            let last = scalars.lastIndex(where: { !blanks.contains($0) })
        else { return nil }
        return String(String.UnicodeScalarView(scalars[first...last]))
    }

    /// Without what could move a cursor.
    static func plain(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
                ? "\u{fffd}" : String(scalar)
        }.joined()
    }

    /// A short piece of what stands there, on one line.
    private static func quoted(_ text: String) -> String {
        let piece = plain(String(text.unicodeScalars.prefix(quoteLimit)))
        return "'\(piece)\(text.unicodeScalars.count > quoteLimit ? "…" : "")'"
    }
}

/// Times as consoles write them.
enum StatementTime {
    static func read(_ text: String, _ zone: ZoneTable) -> Instant? {
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return unix(text) }
        if CalendarDay.isValid(text) {
            return Instant(dateAndTime: text + "T00:00:00Z").map(zone.instant)
        }
        // Without seconds, as spreadsheets like it.
        let bytes = Array(text.utf8)
        let isShort =
            bytes.count >= 16 && bytes[13] == UInt8(ascii: ":")
            && (bytes.count == 16 || bytes[16] != UInt8(ascii: ":"))
        let whole =
            isShort
            ? String(decoding: bytes[..<16], as: UTF8.self) + ":00"
                + String(decoding: bytes[16...], as: UTF8.self) : text
        guard let instant = Instant(dateAndTime: zoneWithoutBlank(whole)) else { return nil }
        return hasZone(whole) ? instant : zone.instant(instant)
    }

    /// `2026-11-21 10:42:36 UTC` and `… +0200` as well.
    private static func zoneWithoutBlank(_ text: String) -> String {
        for (ending, zone) in [(" UTC", "Z"), (" GMT", "Z"), (" Z", "Z")]
        where text.hasSuffix(ending) {
            return String(text.dropLast(ending.count)) + zone
        }
        guard let blank = text.lastIndex(of: " "),
            text[blank...].dropFirst().first == "+"
                || text[blank...].dropFirst().first == "-"
        else { return text }
        return String(text[..<blank]) + String(text[blank...].dropFirst())
    }

    private static func hasZone(_ text: String) -> Bool {
        text.dropFirst(19).contains { "Zz+-UG".contains($0) }
    }

    // Milliseconds from 1973 on and seconds up to 5138 do not overlap.
    private static func unix(_ text: String) -> Instant? {
        guard let number = Int64(text) else { return nil }
        return switch number {
        case 1..<100_000_000_000: Instant(unixSeconds: number)
        case 100_000_000_000...253_402_300_799_999: Instant(microseconds: number * 1000)
        default: nil
        }
    }
}

/// How far the clocks of a zone are ahead of UTC, and from when on.
package struct ZoneTable: Sendable {
    private let periods: [(from: Instant, offset: Duration)]

    package static let utc = ZoneTable([])

    /// - Parameter periods: In the order of time; the first holds before its start too.
    package init(_ periods: [(from: Instant, offset: Duration)]) { self.periods = periods }

    /// The instant at which clocks show a time, which is given as if it were in UTC.
    ///
    /// A time that clocks show twice is the second one; one that they leave out is read by the clock
    /// before the gap.
    func instant(_ face: Instant) -> Instant {
        for period in periods.reversed() {
            let instant = face + (.zero - period.offset)
            if instant >= period.from { return instant }
        }
        return face + (.zero - (periods.first?.offset ?? .zero))
    }
}
