import Foundation

/// A control request that cannot be followed, with the field at fault.
struct ControlError: Error, CustomStringConvertible {
    var field: String
    var reason: String

    var description: String { field.isEmpty ? reason : "\(field): \(reason)" }
}

/// Reads one JSON object and refuses fields that nobody reads, so that a typo in a test is seen.
struct StrictObject {
    private let container: KeyedDecodingContainer<Name>
    private let place: String

    struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// - Throws: `ControlError` naming the first field that is not among `allowed`.
    init(_ decoder: any Decoder, allowed: Set<String>) throws {
        container = try decoder.container(keyedBy: Name.self)
        place = Self.place(decoder.codingPath)
        for name in container.allKeys.map(\.stringValue).sorted() where !allowed.contains(name) {
            throw ControlError(
                field: place + name,
                reason: "unknown field; known are \(allowed.sorted().joined(separator: ", "))")
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
            + (path.isEmpty ? "" : ".")
    }

    func value<Value: Decodable>(_ name: String, _ type: Value.Type = Value.self) throws -> Value? {
        do {
            return try container.decodeIfPresent(Value.self, forKey: Name(stringValue: name))
        } catch is DecodingError {
            throw ControlError(field: place + name, reason: "must be \(Self.noun(Value.self))")
        }
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Choice.Type = Choice.self
    ) throws -> Choice? where Choice.RawValue == String {
        guard let text: String = try value(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw ControlError(field: place + name, reason: "\"\(text)\" is none of \(known)")
        }
        return choice
    }

    func integer(_ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let number: Int = try value(name) else { return nil }
        guard range.contains(number) else {
            throw ControlError(
                field: place + name, reason: "must be \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func rate(_ name: String) throws -> Double {
        guard let number: Double = try value(name) else { return 0 }
        guard (0...1).contains(number) else {
            throw ControlError(field: place + name, reason: "must be 0 to 1")
        }
        return number
    }

    private static func noun<Value>(_ type: Value.Type) -> String {
        switch type {
        case is Int.Type: "a whole number"
        case is Double.Type: "a number"
        case is Bool.Type: "true or false"
        case is String.Type: "a text"
        default: "an object, or an array of them"
        }
    }
}

/// One object, or an array of them.
struct OneOrMany<Element: Decodable>: Decodable {
    var elements: [Element]

    init(from decoder: any Decoder) throws {
        if var array = try? decoder.unkeyedContainer() {
            var elements: [Element] = []
            while !array.isAtEnd { elements.append(try array.decode(Element.self)) }
            self.elements = elements
        } else {
            self.elements = [try Element(from: decoder)]
        }
    }
}
