package import Core

/// A statement whose interpolated values travel beside it as parameters, never inside its text.
///
///     "SELECT * FROM holdfast.job WHERE job_id = \(id) AND created_at < \(cutOff)::bigint"
///
/// Values go over as text without a type, so each place that does not tell the type by itself has
/// a cast. Text that is part of the statement is put in with `\(raw: …)`, another statement with its
/// values with `\(sql: …)`.
package struct SQL: Sendable {
    enum Piece: Sendable {
        case text(String)
        case value(String?)
    }

    var pieces: [Piece] = []

    /// A statement without values.
    package init(raw text: String) { pieces = [.text(text)] }

    /// The text with `$1`, `$2`, … and the values in that order.
    var rendered: (text: String, values: [String?]) {
        var text = ""
        var values: [String?] = []
        for piece in pieces {
            switch piece {
            case .text(let part):
                text += part
            case .value(let value):
                values.append(value)
                text += "$\(values.count)"
            }
        }
        return (text, values)
    }

    /// What an error says about the statement: its first words up to the first value.
    var summary: String {
        guard case .text(let text)? = pieces.first else { return "statement" }
        let words = text.split(separator: "\n").filter { line in
            !line.drop { $0 == " " }.hasPrefix("--")
        }.joined(separator: " ").split(separator: " ").joined(separator: " ")
        return words.count > 80 ? words.prefix(79) + "…" : words
    }
}

extension SQL: ExpressibleByStringInterpolation {
    package init(stringLiteral text: String) { self.init(raw: text) }
    package init(stringInterpolation: Interpolation) { pieces = stringInterpolation.pieces }

    package struct Interpolation: StringInterpolationProtocol {
        var pieces: [Piece] = []

        package init(literalCapacity: Int, interpolationCount: Int) {
            pieces.reserveCapacity(2 * interpolationCount + 1)
        }

        package mutating func appendLiteral(_ literal: String) {
            if !literal.isEmpty { pieces.append(.text(literal)) }
        }

        package mutating func appendInterpolation(_ value: some Bindable) {
            pieces.append(.value(value.bindText))
        }

        package mutating func appendInterpolation(_ value: (some Bindable)?) {
            pieces.append(.value(value?.bindText))
        }

        package mutating func appendInterpolation(_ values: [some Bindable]) {
            pieces.append(.value(ArrayText.write(values.map(\.bindText))))
        }

        package mutating func appendInterpolation(_ values: [some Bindable]?) {
            pieces.append(.value(values.map { ArrayText.write($0.map(\.bindText)) }))
        }

        package mutating func appendInterpolation<T: Bindable>(_ values: [T?]) {
            pieces.append(.value(ArrayText.write(values.map { $0?.bindText })))
        }

        /// Bytes as PostgreSQL's hex form, for a `::bytea`.
        package mutating func appendInterpolation(_ bytes: [UInt8]) {
            pieces.append(.value(Hex.write(bytes)))
        }

        package mutating func appendInterpolation(_ bytes: [UInt8]?) {
            pieces.append(.value(bytes.map(Hex.write)))
        }

        /// Text of the statement itself; never anything that came from outside.
        package mutating func appendInterpolation(raw text: String) {
            pieces.append(.text(text))
        }

        /// Another statement or a part of one, with its values.
        package mutating func appendInterpolation(sql part: SQL) {
            pieces += part.pieces
        }
    }
}

/// A value that can be a parameter of a statement, in PostgreSQL's text form.
package protocol Bindable: Sendable {
    var bindText: String { get }
}

extension String: Bindable {
    package var bindText: String { self }
}

extension Substring: Bindable {
    package var bindText: String { String(self) }
}

extension Int: Bindable {
    package var bindText: String { String(self) }
}

extension Int32: Bindable {
    package var bindText: String { String(self) }
}

extension Int64: Bindable {
    package var bindText: String { String(self) }
}

extension Double: Bindable {
    package var bindText: String { String(self) }
}

extension Bool: Bindable {
    package var bindText: String { self ? "true" : "false" }
}

extension Instant: Bindable {
    /// Microseconds since 1970, for a `::bigint`.
    package var bindText: String { String(microseconds) }
}

extension Duration: Bindable {
    /// For an `::interval`.
    package var bindText: String { "\(microseconds) microseconds" }
}
