/// Google Veo by the Gemini interface: operations that are done or not, and files behind the key.
struct GoogleVeoPlay: RecordPlay {
    static let provider = Provider.googleVeo
    static let keyHeader = (name: "x-goog-api-key", prefix: "")
    let world: World

    func intent(_ request: Request) -> Intent {
        let parts = Array(request.segments.dropFirst())
        guard request.method == "GET", parts.count > 2, parts[0] == "v1beta" else {
            return .unknown
        }
        if parts[1] == "files" {
            let name = parts[2].prefix { $0 != ":" }
            guard parts.count == 3, parts[2] == name + ":download",
                let file = world.read({ $0.files[String(name)] })
            else { return .unknown }
            return .content(id: file.taskID, ordinal: file.ordinal)
        }
        return .poll(endpoint: Endpoint.tasks, id: parts.dropFirst().joined(separator: "/"))
    }

    func refused(_ status: Int, _ message: String) -> Response {
        let names = [
            400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND",
            429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
        ]
        let error: [(String, JSONText)] = [
            ("code", .int(status)), ("message", .text(message)),
            ("status", .text(names[status] ?? "UNKNOWN")),
        ]
        return .json(.object([("error", .object(error))]), status: status)
    }

    func record(_ poll: Poll) -> JSONText {
        // Without name, done and error it is no operation at all.
        if poll.shape == .unknownState {
            return .object([("metadata", .object([("state", .text(Words.unheardOf))]))])
        }
        var members: [(String, JSONText)] = [("name", .text(poll.task.id))]
        if poll.state.isFinal { members.append(("done", .bool(true))) }
        if poll.shape == .duplicateKeys { members.append(("done", .bool(!poll.state.isFinal))) }
        switch poll.state {
        case .succeeded: members.append(("response", Self.response(poll)))
        case .failed, .cancelled, .expired:
            let error: [(String, JSONText)] = [
                ("code", .int(3)), ("message", .text(poll.task.message)),
                ("status", .text("INVALID_ARGUMENT")),
            ]
            members.append(("error", .object(error)))
        case .pending, .running: break
        }
        return .object(members)
    }

    private static func response(_ poll: Poll) -> JSONText {
        let samples = poll.urls.map { url in
            JSONText.object([("video", .object([("uri", .text(url))]))])
        }
        let type =
            "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
        return .object([
            ("@type", .text(type)),
            ("generateVideoResponse", .object([("generatedSamples", .array(samples))])),
        ])
    }

    /// Whoever shows the key is sent on to a store that must not see it.
    func content(_ task: SimulatedTask, ordinal: Int) -> Response {
        let files = FilesPlay(world: world)
        guard task.fileFault == .none else { return files.faulty(task, ordinal, query: nil) }
        return files.moved(task, ordinal, to: world.elsewhere, query: nil)
    }

    func callback(_ poll: Poll) -> JSONText? { nil }
}
