/// Reads comma-separated values piece by piece: RFC 4180 to the letter, with a delimiter of choice.
///
/// Lines end with CRLF or LF; empty ones are passed over. A record that breaks the rules is reported
/// with its line and why, and reading goes on with the next line.
struct CSVReader {
    enum Event: Equatable {
        /// `line` is where it begins, counted from 1.
        case record(line: Int, fields: [String])
        case broken(line: Int, why: String)
        /// Nothing after this can be told apart: a quotation mark was opened and not closed.
        case lost(line: Int, why: String)
    }

    static let recordLimitBytes = 65_536
    static let fieldLimit = 500

    private enum State {
        case fieldStart, plain, quoted, quoteInQuoted, carriageReturn
        /// To the end of a line that is broken.
        case skipping
        case lost
    }

    private let delimiter: UInt8
    private var state = State.fieldStart
    private var line = 1
    private var recordLine = 1
    private var recordBytes = 0
    private var field: [UInt8] = []
    private var fields: [String] = []
    private var isOutsideText = false

    init(delimiter: UInt8) { self.delimiter = delimiter }

    mutating func read(_ bytes: some Sequence<UInt8>, _ take: (Event) throws -> Void) rethrows {
        for byte in bytes {
            if let event = step(byte) { try take(event) }
        }
    }

    /// Ends the text; its last line needs no line end.
    mutating func finish(_ take: (Event) throws -> Void) rethrows {
        switch state {
        case .fieldStart where fields.isEmpty && recordBytes == 0: break
        case .skipping, .lost: break
        case .quoted:
            try take(.lost(line: recordLine, why: "a quotation mark is opened and not closed"))
        case .carriageReturn: try take(.broken(line: recordLine, why: Self.bareReturn))
        case .fieldStart, .plain, .quoteInQuoted:
            if let event = endRecord() { try take(event) }
        }
        state = .lost
    }

    private static let bareReturn = "a carriage return stands without a line feed"

    private mutating func step(_ byte: UInt8) -> Event? {
        recordBytes += 1
        if recordBytes > Self.recordLimitBytes, state != .skipping, state != .lost {
            return overflow(byte)
        }
        switch (state, byte) {
        case (.lost, _): return nil
        case (.skipping, 0x0A): begin()
        case (.skipping, _): return nil
        case (.quoted, UInt8(ascii: "\"")): state = .quoteInQuoted
        case (.quoted, _):
            if byte == 0x0A { line += 1 }
            field.append(byte)
        case (.carriageReturn, 0x0A): return endRecord()
        case (.carriageReturn, _): return broken(Self.bareReturn, byte)
        case (_, delimiter): return endField() ?? next()
        case (_, 0x0D): state = .carriageReturn
        case (_, 0x0A): return endRecord()
        case (.fieldStart, UInt8(ascii: "\"")): state = .quoted
        case (.quoteInQuoted, UInt8(ascii: "\"")):
            field.append(byte)
            state = .quoted
        case (.quoteInQuoted, _):
            return broken("text follows a closing quotation mark", byte)
        case (_, UInt8(ascii: "\"")):
            return broken("a quotation mark stands inside a field without quotation marks", byte)
        case (_, 0): return broken("a NUL character stands in it", byte)
        default:
            field.append(byte)
            state = .plain
        }
        return nil
    }

    private mutating func overflow(_ byte: UInt8) -> Event? {
        if state == .quoted {
            state = .lost
            return .lost(
                line: recordLine,
                why: "it is longer than \(Self.recordLimitBytes) bytes, so a quotation mark is "
                    + "opened and not closed")
        }
        return broken("it is longer than \(Self.recordLimitBytes) bytes", byte)
    }

    private mutating func next() -> Event? {
        state = .fieldStart
        return nil
    }

    /// Puts the field away; the event is there when that cannot be done.
    private mutating func endField() -> Event? {
        defer { field.removeAll(keepingCapacity: true) }
        guard fields.count < Self.fieldLimit else {
            return broken("it has more than \(Self.fieldLimit) fields", 0)
        }
        guard let text = String(validating: field, as: UTF8.self) else {
            isOutsideText = true
            fields.append("")
            return nil
        }
        fields.append(text)
        return nil
    }

    private mutating func endRecord() -> Event? {
        let isEmpty = fields.isEmpty && field.isEmpty && recordBytes <= 2 && state != .quoteInQuoted
        if isEmpty {
            begin()
            return nil
        }
        if let event = endField() {
            begin()
            return event
        }
        defer { begin() }
        return isOutsideText
            ? .broken(line: recordLine, why: "it is not UTF-8 text")
            : .record(line: recordLine, fields: fields)
    }

    private mutating func broken(_ why: String, _ byte: UInt8) -> Event {
        let event = Event.broken(line: recordLine, why: why)
        state = .skipping
        if byte == 0x0A { begin() }
        return event
    }

    private mutating func begin() {
        line += 1
        recordLine = line
        recordBytes = 0
        field.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        isOutsideText = false
        state = .fieldStart
    }
}
