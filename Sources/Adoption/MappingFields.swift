import Core

/// Something that is wrong with a mapping: where, and what was found instead.
package struct MappingProblem: Equatable, Sendable {
    /// Such as `jobs[0].status.words`.
    package var path: String
    /// Of the file, from 1; nil where the key is not there.
    package var line: Int?
    package var message: String
    /// It keeps nothing from being adopted; a person should look.
    package var isWarning = false

    package var text: String {
        (line.map { "line \($0), " } ?? "") + "\(path): \(message)"
    }
}

/// Everything that is found wrong while a mapping is read: a person mends it in one go.
final class MappingProblems {
    private(set) var list: [MappingProblem] = []
    private let lines: [String: Int]

    init(lines: [String: Int]) { self.lines = lines }

    /// - Parameter path: Of the value that is wrong, or of the object that lacks it.
    func add(_ path: String, _ message: String, isWarning: Bool = false) {
        let problem = MappingProblem(
            path: path.isEmpty ? "the file" : path, line: line(of: path), message: message,
            isWarning: isWarning)
        if !list.contains(problem) { list.append(problem) }
    }

    /// In the order of the file.
    var sorted: [MappingProblem] {
        list.enumerated().sorted { left, right in
            (left.element.line ?? .max, left.offset) < (right.element.line ?? .max, right.offset)
        }.map(\.element)
    }

    /// The line of a value, or of what is around it.
    private func line(of path: String) -> Int? {
        var path = Substring(path)
        while true {
            if let line = lines[String(path)] { return line }
            guard let end = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return nil }
            path = path[..<end]
        }
    }
}

/// The keys of one object; a key that nobody asked for is an error.
final class MappingFields {
    let path: String
    let problems: MappingProblems
    /// As it stands in the file.
    let object: JSONObject
    private var known: Set<String> = []

    private init(_ object: JSONObject, _ path: String, _ problems: MappingProblems) {
        self.object = object
        self.path = path
        self.problems = problems
    }

    /// Nil, and a problem, where the value is no object.
    static func of(
        _ value: JSONValue, _ path: String, _ problems: MappingProblems
    ) -> MappingFields? {
        guard let object = value.object else {
            problems.add(path, "an object is expected, and \(value.kindName) was found")
            return nil
        }
        return MappingFields(object, path, problems)
    }

    func at(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The value of a key; nil where it is not there, or null.
    func value(_ key: String) -> JSONValue? {
        known.insert(key)
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    func has(_ key: String) -> Bool { object[key].map { !$0.isNull } ?? false }

    func missing(_ key: String) {
        problems.add(path, "key \"\(key)\" is missing")
    }

    func text(_ key: String) -> String? {
        guard let text = optionalText(key) else {
            if !has(key) { missing(key) }
            return nil
        }
        return text
    }

    func optionalText(_ key: String) -> String? {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value, !text.isEmpty else {
            problems.add(at(key), "a text is expected, and \(value.kindName) was found")
            return nil
        }
        return text
    }

    func texts(_ key: String) -> [String] {
        guard let value = value(key) else { return [] }
        guard let array = value.array else {
            problems.add(at(key), "a list of texts is expected, and \(value.kindName) was found")
            return []
        }
        return array.enumerated().compactMap { index, item in
            if case .string(let text) = item { return text }
            problems.add(
                "\(at(key))[\(index)]", "a text is expected, and \(item.kindName) was found")
            return nil
        }
    }

    func integer(_ key: String) -> Int64? {
        guard let value = value(key) else { return nil }
        guard let number = value.int else {
            problems.add(at(key), "a whole number is expected, and \(value.kindName) was found")
            return nil
        }
        return number
    }

    func flag(_ key: String) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.bool else {
            problems.add(at(key), "true or false is expected, and \(value.kindName) was found")
            return nil
        }
        return flag
    }

    /// One of the words of an enumeration.
    func word<Word: RawRepresentable & CaseIterable>(
        _ key: String, _ type: Word.Type, isRequired: Bool = true
    ) -> Word? where Word.RawValue == String {
        guard let text = isRequired ? text(key) : optionalText(key) else { return nil }
        return Self.word(text, at(key), type, problems)
    }

    static func word<Word: RawRepresentable & CaseIterable>(
        _ text: String, _ path: String, _ type: Word.Type, _ problems: MappingProblems
    ) -> Word? where Word.RawValue == String {
        if let word = Word(rawValue: text) { return word }
        problems.add(
            path,
            "\"\(text)\" is none of "
                + Word.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))
        return nil
    }

    /// An SQL expression: one, without a semicolon.
    func sql(_ key: String, isRequired: Bool = true) -> String? {
        guard let text = isRequired ? text(key) : optionalText(key) else { return nil }
        return Self.checked(text, at(key), problems)
    }

    static func checked(_ text: String, _ path: String, _ problems: MappingProblems) -> String? {
        if SQLText.hasSemicolon(text) {
            problems.add(path, "an expression holds no semicolon; write one expression")
            return nil
        }
        return text
    }

    /// `{column: SQL}`, in the order of the file.
    func expressions(_ key: String) -> [(column: String, sql: String)] {
        guard let value = value(key), let fields = Self.of(value, at(key), problems) else {
            return []
        }
        return fields.object.keys.compactMap { column in
            fields.sql(column).map { (column, $0) }
        }
    }

    /// `{word: text}` with every value; for maps of words.
    func words(_ key: String) -> [(key: String, value: JSONValue)] {
        guard let value = value(key), let fields = Self.of(value, at(key), problems) else {
            return []
        }
        return fields.object.members.map { ($0.key, $0.value) }
    }

    func table(_ key: String) -> TableName? {
        text(key).flatMap { Self.table($0, at(key), problems) }
    }

    static func table(
        _ text: String, _ path: String, _ problems: MappingProblems
    ) -> TableName? {
        if let name = TableName(text) { return name }
        problems.add(path, "\"\(text)\" is no table with its schema; write it as public.\(text)")
        return nil
    }

    func object(_ key: String) -> MappingFields? {
        value(key).flatMap { Self.of($0, at(key), problems) }
    }

    func objects(_ key: String) -> [MappingFields] {
        guard let value = value(key) else { return [] }
        guard let array = value.array else {
            problems.add(at(key), "a list is expected, and \(value.kindName) was found")
            return []
        }
        return array.enumerated().compactMap { index, item in
            Self.of(item, "\(at(key))[\(index)]", problems)
        }
    }

    /// Names every key that nobody asked for; `readers` are for people.
    func finish(readers: Set<String> = []) {
        for key in object.keys where !known.contains(key) && !readers.contains(key) {
            let expected = known.subtracting(object.keys).sorted()
            problems.add(
                at(key),
                "there is no such key here"
                    + (expected.isEmpty
                        ? "" : "; known and not given: \(expected.joined(separator: ", "))"))
        }
    }
}

extension JSONValue {
    /// What it is, for a message; never what it holds.
    var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string(let text): text.isEmpty ? "an empty text" : "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
