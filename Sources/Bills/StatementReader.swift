package import Core
import Crypto

/// A line that is not taken, and why.
package struct BadLine: Equatable, Sendable {
    package var line: Int
    package var why: String
}

/// What a whole file comes to.
package struct StatementSummary: Sendable {
    package struct UnitTotal: Equatable, Sendable {
        package var lines = 0
        package var amount = DecimalSum()
    }

    /// Lines that say something, good and bad.
    package var lines = 0
    package var goodLines = 0
    /// Good lines that stand in the file before with the same id and the same content.
    package var repeatedLines = 0
    package var badCount = 0
    /// The first of them.
    package var badLines: [BadLine] = []
    /// From where on nothing could be read; nil when all was.
    package var lostFrom: Int?
    package var units: [String: UnitTotal] = [:]
    package var first: Instant?
    package var last: Instant?

    package static let badLineLimit = 50

    package init() {}

    mutating func add(_ bad: BadLine) {
        badCount += 1
        if badLines.count < Self.badLineLimit { badLines.append(bad) }
    }

    mutating func add(_ offer: UsageOffer) {
        goodLines += 1
        units[offer.unit, default: UnitTotal()].lines += 1
        units[offer.unit, default: UnitTotal()].amount.add(offer.amount)
        first = min(first ?? offer.happenedAt, offer.happenedAt)
        last = max(last ?? offer.happenedAt, offer.happenedAt)
    }
}

/// Reads a provider's lines out of a file, piece by piece: the same lines, names and complaints each
/// time that the same file is read.
package struct StatementReader {
    /// Lines that are handed on together.
    package static let page = 2000
    /// Data lines of one file.
    package static let lineLimit = 2_000_000
    /// How far ahead of the database's clock a line may be.
    private static let aheadLimit = Duration.seconds(86_400)
    /// Nothing that is generated today was charged before; a date as digits would be read as 1970.
    private static let earliest = Instant(unixSeconds: 1_420_070_400)

    private let file: String
    private let mapping: StatementMapping
    private let now: Instant
    private let lineReader: LineReader
    private var source: Source
    private var start: [UInt8] = []
    private var hasStarted = false
    private var header: StatementHeader?
    private var pending: [UsageOffer] = []
    private var seenIDs: [UInt64: (content: UInt64, line: Int32)] = [:]
    private var occurrences: [UInt64: Int32] = [:]
    private var strangeUnits: Set<String> = []
    private var sum = StatementSummary()

    private enum Source {
        case csv(CSVReader)
        case json(JSONRecords)
    }

    /// - Parameters:
    ///   - file: Its name, for complaints.
    ///   - zone: The mapping's time zone.
    ///   - now: The database's clock.
    package init(file: String, mapping: StatementMapping, zone: ZoneTable, now: Instant) {
        self.file = file
        self.mapping = mapping
        self.now = now
        lineReader = LineReader(mapping: mapping, zone: zone)
        source =
            mapping.format == .csv
            ? .csv(CSVReader(delimiter: mapping.delimiter)) : .json(JSONRecords())
    }

    /// Takes the next piece of the file.
    ///
    /// - Parameter take: Gets pages of good lines.
    /// - Throws: `usage_encoding`, `usage_file` (1) or `usage_mapping` (64), and what `take` throws.
    package mutating func read(
        _ bytes: ArraySlice<UInt8>, _ take: ([UsageOffer]) throws -> Void
    ) throws {
        if hasStarted { return try feed(bytes, take) }
        start += bytes
        guard start.count >= 4 else { return }
        try begin(take)
    }

    /// Ends the file.
    package mutating func finish(
        _ take: ([UsageOffer]) throws -> Void
    ) throws -> StatementSummary {
        if !hasStarted { try begin(take) }
        switch source {
        case .csv(var reader):
            var events: [CSVReader.Event] = []
            reader.finish { events.append($0) }
            for event in events { try accept(event, take) }
        case .json(var reader):
            var events: [JSONRecords.Event] = []
            reader.finish { events.append($0) }
            for event in events { try accept(event, take) }
        }
        try flush(take)
        guard sum.lines > 0 else {
            throw Failure(
                .needsPerson, code: "usage_file",
                header == nil && mapping.format == .csv
                    ? "\(file) is empty; it needs a header line and lines below it"
                    : "\(file) holds no line of usage; nothing is there to import")
        }
        try checkStrangeUnits()
        return sum
    }

    private mutating func begin(_ take: ([UsageOffer]) throws -> Void) throws {
        hasStarted = true
        if let encoding = Self.foreignEncoding(start) {
            throw Failure(
                .needsPerson, code: "usage_encoding",
                "\(file) is \(encoding), and only UTF-8 is read; convert it: iconv "
                    + "--from-code=\(encoding.prefix { $0 != " " }) --to-code=UTF-8 FILE > NEW")
        }
        let hasMark = start.starts(with: [0xEF, 0xBB, 0xBF])
        try feed(start[(hasMark ? 3 : 0)...], take)
        start = []
    }

    private static func foreignEncoding(_ start: [UInt8]) -> String? {
        if start.starts(with: [0xFF, 0xFE]) { return "UTF-16LE (by its byte order mark)" }
        if start.starts(with: [0xFE, 0xFF]) { return "UTF-16BE (by its byte order mark)" }
        guard start.count >= 4 else { return nil }
        if start[0] != 0, start[1] == 0 { return "UTF-16LE (by its first characters)" }
        if start[0] == 0, start[1] != 0 { return "UTF-16BE (by its first characters)" }
        return start.starts(with: [0x50, 0x4B, 0x03, 0x04])
            ? "XLSX (a spreadsheet; save it as CSV instead)" : nil
    }

    private mutating func feed(
        _ bytes: ArraySlice<UInt8>, _ take: ([UsageOffer]) throws -> Void
    ) throws {
        switch source {
        case .csv(var reader):
            var events: [CSVReader.Event] = []
            reader.read(bytes) { events.append($0) }
            source = .csv(reader)
            for event in events { try accept(event, take) }
        case .json(var reader):
            var events: [JSONRecords.Event] = []
            reader.read(bytes) { events.append($0) }
            source = .json(reader)
            for event in events { try accept(event, take) }
        }
    }

    // MARK: Records

    private mutating func accept(
        _ event: CSVReader.Event, _ take: ([UsageOffer]) throws -> Void
    ) throws {
        switch event {
        case .broken(let line, let why):
            guard header != nil else {
                throw Failure(
                    .needsPerson, code: "usage_file",
                    "line \(line) of \(file), the header, is broken: \(why)")
            }
            try countLine()
            sum.add(BadLine(line: line, why: why))
        case .lost(let line, let why): try lose(line, why)
        case .record(let line, let fields):
            guard let header else {
                return header = try StatementHeader(fields, mapping, file: file)
            }
            try countLine()
            guard fields.count == header.count else {
                return sum.add(
                    BadLine(
                        line: line,
                        why: "it has \(fields.count) fields, and the header has \(header.count)"))
            }
            if let place = header.strangeUnit { noteUnit(fields[place]) }
            try keep(line, take) { column in header.places[column].map { fields[$0] } }
        }
    }

    private mutating func accept(
        _ event: JSONRecords.Event, _ take: ([UsageOffer]) throws -> Void
    ) throws {
        switch event {
        case .broken(let line, let why):
            try countLine()
            sum.add(BadLine(line: line, why: why))
        case .lost(let line, let why): try lose(line, why)
        case .record(let line, let object):
            try countLine()
            if header == nil {
                header = try StatementHeader(checking: object, mapping, file: file, line: line)
            }
            if mapping.columns[.unit] == nil,
                let name = object.keys.first(where: StatementHeader.namesUnit),
                let unit = object[name]?.text
            {
                noteUnit(unit)
            }
            try keep(line, take) { [mapping] column in
                mapping.columns[column].flatMap { object[$0]?.text }
            }
        }
    }

    private mutating func lose(_ line: Int, _ why: String) throws {
        try countLine()
        sum.lostFrom = line
        sum.add(BadLine(line: line, why: why + "; nothing after it was read"))
    }

    private mutating func countLine() throws {
        sum.lines += 1
        guard sum.lines <= Self.lineLimit else {
            throw Failure(
                .needsPerson, code: "usage_file",
                "\(file) has more than \(Self.lineLimit) lines; split it")
        }
    }

    private mutating func keep(
        _ line: Int, _ take: ([UsageOffer]) throws -> Void,
        cell: (StatementMapping.Column) -> String?
    ) throws {
        do throws(LineProblem) {
            guard let offer = try offer(lineReader.read(line: line, cell: cell)) else { return }
            sum.add(offer)
            pending.append(offer)
        } catch {
            sum.add(BadLine(line: line, why: error.why))
        }
        if pending.count == Self.page { try flush(take) }
    }

    // MARK: Pages

    private mutating func flush(_ take: ([UsageOffer]) throws -> Void) throws {
        guard !pending.isEmpty else { return }
        try take(pending)
        pending.removeAll(keepingCapacity: true)
    }

    /// The line with its name; nil when it is the repetition of one before.
    private mutating func offer(
        _ line: StatementLine
    ) throws(LineProblem) -> UsageOffer? {
        let instant = line.happenedAt
        guard instant >= Self.earliest else {
            throw LineProblem("its time is \(instant), before any that a provider can mean")
        }
        guard instant <= now + Self.aheadLimit else {
            throw LineProblem(
                "its time is \(instant), more than a day ahead of the database's clock (\(now))")
        }
        let content = Digests.of([
            line.taskID ?? "", line.jobID ?? "", line.amount.text, line.unit,
            String(instant.microseconds),
        ])
        guard let key = try key(line, content) else { return nil }
        return UsageOffer(
            lineKey: key, taskID: line.taskID, jobID: line.jobID, model: line.model,
            status: line.status, amount: line.amount, unit: line.unit, happenedAt: instant)
    }

    private mutating func key(
        _ line: StatementLine, _ content: SHA256.Digest
    ) throws(LineProblem) -> String? {
        guard let id = line.lineID else {
            // The same content may be charged twice in truth: the second one is another line.
            let short = Digests.short(content)
            let number = (occurrences[short] ?? 0) + 1
            occurrences[short] = number
            return "content:\(Digests.hex(content))/\(number)"
        }
        let all = Digests.short(
            Digests.of([
                Digests.hex(content), line.model ?? "", line.status?.rawValue ?? "",
            ]))
        let short = Digests.short(Digests.of([id]))
        if let earlier = seenIDs[short] {
            guard earlier.content == all else {
                throw LineProblem(
                    "its id stands on line \(earlier.line) with other content; if a task may have "
                        + "several lines, its id names no line: leave --line-id-column out")
            }
            sum.repeatedLines += 1
            return nil
        }
        seenIDs[short] = (all, Int32(clamping: line.line))
        return "id:" + id
    }

    // MARK: Units

    private mutating func noteUnit(_ unit: String) {
        if strangeUnits.count < 3 { strangeUnits.insert(unit) }
    }

    /// A column that looks as if it told the unit, and that nobody has named.
    private func checkStrangeUnits() throws {
        guard let unit = mapping.unit, let name = header?.strangeUnitName else { return }
        let others = strangeUnits.filter { $0.lowercased() != unit.lowercased() && !$0.isEmpty }
        guard !others.isEmpty else { return }
        throw Failure(
            .wrongUsage, code: "usage_units",
            "\(file) has \(strangeUnits.count > 1 ? "several units" : "another unit") in its "
                + "column \(name) (\(strangeUnits.sorted().joined(separator: ", "))), and --unit "
                + "says \(unit) for all; use --unit-column \(name) instead of --unit")
    }
}
