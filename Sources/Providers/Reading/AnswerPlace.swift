import Core

/// Where an answer came from, as far as the provider's pages go.
///
/// The same word means different things on different paths of one provider: KIE's 2 is "failed" for
/// a video and "generating" for the cover of a song. So a word ends a task only where a page of the
/// provider says that it does; anywhere else it is unknown, and the job stays as it is.
enum AnswerPlace {
    case described, undescribed

    init(isDescribed: Bool) { self = isDescribed ? .described : .undescribed }

    /// The place of a task below `tasksPath`, of the list there, or of neither.
    ///
    /// - Parameter endpoint: As people and fact pages write it, or a short name; nil where nobody
    ///   named one, for a provider that has no other path.
    static func ofTask(below tasksPath: String, _ endpoint: String?, rests: [String] = []) -> Self {
        guard let path = endpoint.filled.map(EndpointText.path), path != PlainEndpoint.name else {
            return .described
        }
        var parts = path.asciiLowercased.split(separator: "/")
        for part in tasksPath.split(separator: "/") {
            guard parts.first.map({ $0.isSameText(as: part) }) == true else { return .undescribed }
            parts.removeFirst()
        }
        let rest = parts.dropFirst().joined(separator: "/")
        return .init(isDescribed: rest.isEmpty || rests.contains(rest))
    }
}

/// The endpoint of a provider that has one family.
enum PlainEndpoint {
    static let name = "tasks"
}
