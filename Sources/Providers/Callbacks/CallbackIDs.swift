import Core
import HTTP

/// The places outside a documented one where a callback's task id has been seen.
enum CallbackIDs {
    static let bodyKeys = ["taskId", "task_id", "recordId", "record_id"]
    /// Objects, lists and strings of JSON inside one another.
    static let depth = 16

    /// What holds our own input, and ids of other tasks with it.
    private static let inputs: Set<String> = [
        "param", "paramjson", "generateparam", "input", "request", "parentvideo",
    ]

    /// The distinct ids anywhere in a body, in the order of the text.
    static func deep(in document: JSONValue, keys: [String]) -> [String] {
        var ids: [String] = []
        let names = Set(keys.map(plain))
        collect(document, names, level: 0, into: &ids)
        return ids.distinct
    }

    private static func collect(
        _ value: JSONValue, _ names: Set<String>, level: Int, into ids: inout [String]
    ) {
        guard level < depth else { return }
        switch value.opened {
        case .object(let object):
            for member in object.members {
                let name = plain(member.key)
                if inputs.contains(name) { continue }
                if names.contains(name), case .text(let id) = GivenID(member.value) {
                    ids.append(id)
                }
                collect(member.value, names, level: level + 1, into: &ids)
            }
        case .array(let values):
            for value in values { collect(value, names, level: level + 1, into: &ids) }
        case .null, .bool, .number, .string: break
        }
    }

    /// The distinct ids in a query, without the question mark.
    static func inQuery(_ query: String, keys: [String] = bodyKeys) -> [String] {
        let names = Set(keys.map(plain))
        return parameters(query).filter { names.contains(plain($0.name)) }.compactMap { pair in
            if case .text(let id) = GivenID(.string(pair.value)) { id } else { nil }
        }.distinct
    }

    /// The distinct ids in headers such as `X-Task-Id`.
    static func inHeaders(_ headers: [Header]) -> [String] {
        headers.compactMap { header in
            let name = plain(header.name)
            guard name.hasSuffix("taskid") || name.hasSuffix("recordid"),
                case .text(let id) = GivenID(.string(header.value))
            else { return nil }
            return id
        }.distinct
    }

    /// The id of a callback whose body names none: from the query of its address, else a header.
    static func outsideBody(_ headers: [Header], _ endpoint: String?) -> GivenID {
        let inQuery = inQuery(endpoint.map(EndpointText.query) ?? "")
        let ids = inQuery.isEmpty ? inHeaders(headers) : inQuery
        guard let first = ids.first else { return .none }
        return ids.count == 1 ? .text(first) : .unreadable
    }

    /// Names and values of a query, percent-decoded, in order.
    static func parameters(_ query: String) -> [(name: String, value: String)] {
        let query = query.hasPrefix("?") ? query.dropFirst() : query[...]
        return query.split(separator: "&").map { pair in
            let name = pair.prefix { $0 != "=" }
            return (name.percentDecoded, pair.dropFirst(name.count + 1).percentDecoded)
        }
    }

    private static func plain(_ name: String) -> String {
        String(
            decoding: name.asciiLowercased.utf8.filter { !"_-".utf8.contains($0) }, as: UTF8.self)
    }
}

extension [String] {
    // Byte for byte, in order.
    fileprivate var distinct: [String] {
        var seen: Set<[UInt8]> = []
        return filter { seen.insert([UInt8]($0.utf8)).inserted }
    }
}
