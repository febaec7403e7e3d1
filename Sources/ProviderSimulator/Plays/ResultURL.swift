import Crypto
import Foundation

/// The address of one result file, with a signature over the query as it is written.
struct ResultURL: Sendable {
    var taskID: String
    var ordinal: Int
    var kind: FileKind
    var expiresAtSeconds: Int64
    /// How often the address has been refreshed.
    var generation: Int

    /// The address that the provider's answer gives; it stays the same from poll to poll.
    init(task: SimulatedTask, ordinal: Int) {
        let seconds = task.registeredAt / 1000
        self.taskID = task.id
        self.ordinal = ordinal
        self.kind = task.fileKind
        self.expiresAtSeconds = seconds + (task.filesExpired ? -3600 : task.urlLifeSeconds)
        self.generation = 0
    }

    private func query(_ world: World) -> String {
        let text = "\(world.seed)|\(taskID)|\(ordinal)|\(expiresAtSeconds)|\(generation)"
        let signature = hex(Array(SHA256.hash(data: Data(text.utf8))).prefix(12))
        // The escapes are part of what is checked: a client that decodes and writes the query
        // again is refused, as the real stores refuse it.
        return "token=sim%2F\(generation)%2F\(signature)%3D&expires=\(expiresAtSeconds)"
    }

    func text(_ world: World, at base: String? = nil, folder: String = "files") -> String {
        let name = taskID.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? taskID
        return "\(base ?? world.base)/\(folder)/\(name)/\(ordinal).\(kind.rawValue)?\(query(world))"
    }

    enum Check {
        case valid, expired, forged
    }

    /// Judges the query of a request for this file at `now`.
    static func check(
        _ request: Request, task: SimulatedTask, ordinal: Int, world: World, now: Int64
    ) -> Check {
        guard let expires = request.query("expires").flatMap({ Int64($0) }),
            let parts = request.query("token")?.split(separator: "/"), parts.count == 3,
            let generation = Int(parts[1])
        else { return .forged }
        var url = ResultURL(task: task, ordinal: ordinal)
        url.expiresAtSeconds = expires
        url.generation = generation
        guard url.query(world) == request.rawQuery else { return .forged }
        return now / 1000 >= expires ? .expired : .valid
    }
}

extension FileContent {
    init(_ task: SimulatedTask, ordinal: Int) {
        self.init(
            taskID: task.id, ordinal: ordinal, count: task.fileBytes, kind: task.fileKind)
    }
}

extension World {
    /// The address of a result file as the provider's answer gives it.
    func url(of task: SimulatedTask, ordinal: Int, now: Int64) -> String {
        switch task.provider {
        case .googleVeo:
            let name = Names.fileID(task, ordinal: ordinal) ?? ""
            return "\(place(.googleVeo))/v1beta/files/\(name):download?alt=media"
        case .openAIVideos:
            return "\(place(.openAIVideos))/v1/videos/\(task.id)/content"
        default:
            var url = ResultURL(task: task, ordinal: ordinal)
            if task.provider.signsAnew, !task.filesExpired {
                url.expiresAtSeconds = now / 1000 + task.urlLifeSeconds
            }
            return url.text(self)
        }
    }
}
