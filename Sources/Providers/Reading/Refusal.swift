import Core

/// What it means for a task that a request about it was refused.
struct Refusal: Equatable {
    var errorClass = ErrorClass.transient
    var taskIsUnknownHere = false
    var credentialsRefused = false

    /// Nothing final: ask again.
    static let transient = Refusal()
    /// Our key is wrong; the task is as it was.
    static let credentials = Refusal(credentialsRefused: true)
    /// Our own request is wrong, and the same again changes nothing.
    static let request = Refusal(errorClass: .final)

    /// What an HTTP status means where a provider's page says nothing else.
    static func status(_ status: Int) -> Refusal {
        switch status {
        case 400: .request
        case 404: Refusal(errorClass: .final, taskIsUnknownHere: true)
        case 401, 403: .credentials
        default: .transient
        }
    }
}

/// The words of an error body.
enum RefusalText {
    /// Objects and lists inside one another.
    private static let depth = 4
    /// Complaints of one answer that are told.
    private static let listLimit = 3

    /// What the body says, in whichever of the usual fields it says it.
    static func read(_ value: JSONValue, level: Int = 0) -> String? {
        guard level < depth else { return nil }
        switch value {
        case .string: return value.nonBlankText
        case .array(let values):
            let texts = values.lazy.compactMap { read($0, level: level + 1) }.prefix(listLimit)
            return texts.isEmpty ? nil : texts.joined(separator: "; ")
        case .object(let object):
            for key in ["detail", "message", "msg", "error", "raw_message", "title", "code"] {
                if let text = object[key].flatMap({ read($0, level: level + 1) }) { return text }
            }
            return nil
        case .null, .bool, .number: return nil
        }
    }
}
