import Core

/// Places in a record, written as the keys that lead to them; `*` stands for each element of a list,
/// and `*Url` for each key that ends so, but for the input's.
///
/// Strings of JSON on the way are opened, and a single object counts as a list of one.
extension JSONObject {
    /// The value at a path without `*`; null where there is none.
    func value(at path: [String]) -> JSONValue {
        var value = JSONValue.object(self)
        for key in path { value = value.opened[key] ?? .null }
        return value
    }

    /// The first text of these places that is not blank.
    func text(at paths: [[String]]) -> String? {
        for path in paths {
            if let text = value(at: path).nonBlankText { return text }
        }
        return nil
    }

    /// The usable URLs at the first of these places that has any.
    func files(at paths: [[String]]) -> [String] {
        for path in paths {
            let urls = Self.urls(at: path[...], in: .object(self))
            if !urls.isEmpty { return urls }
        }
        return []
    }

    private static func urls(at path: ArraySlice<String>, in value: JSONValue) -> [String] {
        guard let step = path.first else { return UsableURL.list(value) }
        let value = value.opened
        if step == "*" {
            return (value.array ?? [value]).flatMap { urls(at: path.dropFirst(), in: $0) }
        }
        if step.utf8.count > 1, step.utf8.first == UInt8(ascii: "*") {
            // Keys alike, one for each file; the input is among them.
            return (value.object?.members ?? []).filter { member in
                member.key.hasSuffix(step.dropFirst())
                    && !member.key.asciiLowercased.hasPrefix("origin")
            }.flatMap { urls(at: path.dropFirst(), in: $0.value) }
        }
        return value[step].map { urls(at: path.dropFirst(), in: $0) } ?? []
    }
}
