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

    /// The file with whatever goes wrong with it.
    ///
    /// - Parameter query: The signed query of the request; nil for a file that is got with a key.
    func faulty(_ task: SimulatedTask, _ ordinal: Int, query: String?) -> Response {
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
        case .avi:
            response.body = .bytes(
                Array("RIFF".utf8) + [0, 0x10, 0, 0] + Array("AVI LIST".utf8)
                    + Array(repeating: 0, count: 100_000))
        case .redirect:
            return moved(task, ordinal, to: world.base, query: query)
        case .redirectElsewhere:
            return moved(task, ordinal, to: world.elsewhere, query: query)
        case .redirectPrivate:
            return Self.redirect("http://169.254.169.254/latest/meta-data/")
        }
        return response
    }

    /// A redirect to where the file is whole.
    func moved(
        _ task: SimulatedTask, _ ordinal: Int, to base: String, query: String?
    ) -> Response {
        let signed = ResultURL(task: task, ordinal: ordinal).text(world, at: base, folder: "moved")
        guard let query else { return Self.redirect(signed) }
        return Self.redirect(signed.prefix { $0 != "?" } + "?" + query)
    }

    private static func whole(_ task: SimulatedTask, _ ordinal: Int) -> Response {
        Response(
            status: 200, headers: [("Content-Type", task.fileKind.mediaType)],
            body: .file(FileContent(task, ordinal: ordinal)))
    }

    private static func redirect(_ location: some StringProtocol) -> Response {
        Response(status: 302, headers: [("Location", String(location))], body: .bytes([]))
    }

    private static func error(_ status: Int, _ code: String, _ message: String = "") -> Response {
        .text(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                + "<Error><Code>\(code)</Code><Message>\(message)</Message></Error>",
            type: "application/xml", status: status)
    }
}
