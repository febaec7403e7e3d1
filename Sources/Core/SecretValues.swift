/// The values of a secret that is being exchanged: the new one, then the one before it.
///
/// They stand in one variable, with a comma between them, which no key, hex or base64 text has.
package enum SecretValues {
    /// The new one and the old one.
    package static let limit = 2

    /// The values in `text`, the new one first.
    ///
    /// - Throws: `too_many_secrets` (78), with the variable's name and no value.
    package static func split(_ text: String, variable: String) throws(Failure) -> [String] {
        let values = parts(of: text)
        guard values.count <= limit else {
            throw Failure(
                .configuration, code: "too_many_secrets",
                "\(variable) holds \(values.count) values, and \(limit) are the most: keep the new "
                    + "one, a comma, and the one before it")
        }
        return values
    }

    /// What stands between commas, without the blanks beside them; a single value is as it stands.
    package static func parts(of text: String) -> [String] {
        guard text.contains(",") else { return [text] }
        return text.split(separator: ",").map { part in
            let begun = part.drop(while: \.isWhitespace)
            return String(begun.reversed().drop(while: \.isWhitespace).reversed())
        }
        .filter { !$0.isEmpty }
    }
}
