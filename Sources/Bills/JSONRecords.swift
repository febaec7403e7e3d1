import Core

/// Reads objects out of JSON piece by piece: an array of them, or one on each line.
///
/// Which of the two it is the first character tells. An object that cannot be read is reported with
/// the line that it begins on, and reading goes on with the next one.
struct JSONRecords {
    enum Event: Equatable {
        case record(line: Int, object: JSONObject)
        case broken(line: Int, why: String)
        case lost(line: Int, why: String)
    }

    static let recordLimitBytes = 65_536

    private enum Form { case unknown, array, lines, ended, lost }

    private var form = Form.unknown
    private var line = 1
    private var recordLine = 1
    private var record: [UInt8] = []
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    /// In an array: whether an object, a comma or the end may come.
    private var expectsObject = true
    private var isFirst = true

    mutating func read(_ bytes: some Sequence<UInt8>, _ take: (Event) throws -> Void) rethrows {
        for byte in bytes {
            if let event = step(byte) { try take(event) }
            if byte == 0x0A { line += 1 }
        }
    }

    mutating func finish(_ take: (Event) throws -> Void) rethrows {
        switch form {
        case .lines: if let event = endLine() { try take(event) }
        case .array:
            try take(.lost(line: line, why: "the text ends before the array is closed"))
        case .unknown, .ended, .lost: break
        }
        form = .lost
    }

    private mutating func step(_ byte: UInt8) -> Event? {
        let isBlank = byte == 0x20 || (0x09...0x0D).contains(byte)
        switch form {
        case .lost: return nil
        case .ended: return isBlank ? nil : lost("more text follows the array")
        case .array: return stepInArray(byte, isBlank: isBlank)
        case .lines: return stepInLines(byte)
        case .unknown:
            if isBlank { return nil }
            if byte == UInt8(ascii: "[") {
                form = .array
                return nil
            }
            form = .lines
            recordLine = line
            return stepInLines(byte)
        }
    }

    // MARK: Lines

    private mutating func stepInLines(_ byte: UInt8) -> Event? {
        guard byte == 0x0A else {
            // One more than the limit shows that it was passed.
            if record.count <= Self.recordLimitBytes { record.append(byte) }
            return nil
        }
        defer { recordLine = line + 1 }
        return endLine()
    }

    private mutating func endLine() -> Event? {
        defer { record.removeAll(keepingCapacity: true) }
        let isBlank = record.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
        return isBlank ? nil : event()
    }

    // MARK: Array

    private mutating func stepInArray(_ byte: UInt8, isBlank: Bool) -> Event? {
        if depth > 0 { return stepInObject(byte) }
        if isBlank { return nil }
        switch byte {
        case UInt8(ascii: "{") where expectsObject:
            recordLine = line
            depth = 1
            record.append(byte)
        case UInt8(ascii: ",") where !expectsObject: expectsObject = true
        case UInt8(ascii: "]") where !expectsObject || isFirst: form = .ended
        default: return lost("an object is expected here, or the array's end")
        }
        return nil
    }

    private mutating func stepInObject(_ byte: UInt8) -> Event? {
        if record.count <= Self.recordLimitBytes { record.append(byte) }
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
            return nil
        }
        switch byte {
        case UInt8(ascii: "\""): isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
        guard depth == 0 else { return nil }
        expectsObject = false
        isFirst = false
        defer { record.removeAll(keepingCapacity: true) }
        return event()
    }

    private mutating func lost(_ why: String) -> Event {
        form = .lost
        return .lost(line: line, why: why)
    }

    private func event() -> Event {
        guard record.count <= Self.recordLimitBytes else {
            return .broken(
                line: recordLine, why: "it is longer than \(Self.recordLimitBytes) bytes")
        }
        do throws(JSONError) {
            guard let object = try JSON.parse(record).object else {
                return .broken(line: recordLine, why: "it is no object")
            }
            return .record(line: recordLine, object: object)
        } catch {
            return .broken(line: recordLine, why: "it is not readable as JSON: \(error)")
        }
    }
}
