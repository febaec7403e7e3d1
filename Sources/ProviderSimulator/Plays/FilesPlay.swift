import Foundation

/// The store where results lie: signed URLs, real bytes, and everything that goes wrong with both.
struct FilesPlay: Sendable {
    let world: World

    /// The task and the ordinal that a path names, if there is such a file.
    func file(_ request: Request) -> (task: SimulatedTask, ordinal: Int)? {
        guard let (id, name) = Self.names(request), let task = world.read({ $0.tasks[id] }),
            let ordinal = Int(name.prefix { $0 != "." }), (0..<task.outputs).contains(ordinal),
            name == "\(ordinal).\(task.fileKind.rawValue)"
        else { return nil }
        return (task, ordinal)
    }

    /// The task id that a path names, whether or not there is such a task.
    static func taskID(_ request: Request) -> String? { names(request)?.id }

    private static func names(_ request: Request) -> (id: String, name: String)? {
        guard request.segments.count == 3 else { return nil }
        return (request.segments[1], request.segments[2])
    }

    func answer(_ request: Request, trouble: Trouble?) -> Response {
        guard let (id, name) = Self.names(request) else { return Self.error(404, "NoSuchKey") }
        let isMoved = request.segments[0] == "moved"
        if !isMoved {
            let key = "\(id)/\(name.prefix { $0 != "." })"
            world.change { $0.counts.files[key, default: 0] += 1 }
        }
        switch trouble {
        case .refuse: return .refused
        case .unauthorized: return Self.error(403, "AccessDenied")
        case .rateLimited: return Self.error(429, "SlowDown")
        case .serverError(let variety): return Self.error(variety == 0 ? 500 : 503, "InternalError")
        case .hang, .cut, nil: break
        }
        guard let (task, ordinal) = file(request) else { return Self.error(404, "NoSuchKey") }
        let now = Clock.milliseconds()
        switch ResultURL.check(request, task: task, ordinal: ordinal, world: world, now: now) {
        case .forged: return Self.error(403, "SignatureDoesNotMatch")
        case .expired: return Self.error(403, "AccessDenied", "Request has expired")
        case .valid: break
        }
        return isMoved
            ? Self.whole(task, ordinal) : faulty(task, ordinal, query: request.rawQuery)
    }

    private func faulty(_ task: SimulatedTask, _ ordinal: Int, query: String) -> Response {
        var response = Self.whole(task, ordinal)
        switch task.fileFault {
        case .none:
            break
        case .expired:
            return Self.error(403, "AccessDenied", "Request has expired")
        case .gone:
            return Self.error(404, "NoSuchKey")
        case .serverError:
            return Self.error(500, "InternalError")
        case .slow:
            response.manner = .slow(milliseconds: task.fileWaitMilliseconds ?? 2000)
        case .cut:
            response.manner = .cut
        case .hang:
            response.manner = .stall(milliseconds: task.fileWaitMilliseconds ?? 60_000)
        case .html:
            return .text(
                "<!DOCTYPE html><html><body><h1>Sign in to continue</h1></body></html>",
                type: "text/html", status: 200)
        case .empty:
            response.body = .bytes([])
        case .redirect:
            let path = "/moved/\(escaped(task.id))/\(ordinal).\(task.fileKind.rawValue)"
            return Self.redirect("\(world.base)\(path)?\(query)")
        case .redirectPrivate:
            return Self.redirect("http://169.254.169.254/latest/meta-data/")
        }
        return response
    }

    private func escaped(_ id: String) -> String {
        id.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? id
    }

    private static func whole(_ task: SimulatedTask, _ ordinal: Int) -> Response {
        Response(
            status: 200, headers: [("Content-Type", task.fileKind.mediaType)],
            body: .file(FileContent(task, ordinal: ordinal)))
    }

    private static func redirect(_ location: String) -> Response {
        Response(status: 302, headers: [("Location", location)], body: .bytes([]))
    }

    private static func error(_ status: Int, _ code: String, _ message: String = "") -> Response {
        .text(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                + "<Error><Code>\(code)</Code><Message>\(message)</Message></Error>",
            type: "application/xml", status: status)
    }
}
