import Core
import HTTP

/// A file that goes to Supabase Storage piece by piece, one after the other.
///
/// When a piece fails, the server is asked how much it has, and gets the rest. The last piece makes
/// the object visible.
///
/// Source: https://tus.io/protocols/resumable-upload (1.0.0, with the extensions creation,
/// creation-defer-length and termination).
final class ResumableUpload {
    private let site: SupabaseSite
    /// What is begun in vain is removed by this one, also when the upload was cancelled.
    private let tidying: SupabaseSite
    private let name: String
    private let type: MediaType
    /// Bytes of the whole file; nil when the last piece is to tell.
    private let length: Int64?
    /// For messages.
    private let action: String

    /// Where the server takes the pieces; nil before the first.
    private var address: String?
    /// How much of the file the server has; nil where a failure has left that open.
    private var offset: Int? = 0
    private var knowsLength: Bool
    /// The piece that makes the object visible was sent, and may have arrived.
    private var mayBeComplete = false

    /// Some bytes of the file.
    struct Piece {
        var body: RequestBody
        /// Where they begin.
        var start: Int
        /// Bytes of the whole file, said with its last piece.
        var total: Int?

        var end: Int { start + body.count }
    }

    init(
        _ name: String, _ type: MediaType, length: Int64?, _ action: String, _ site: SupabaseSite,
        tidying: SupabaseSite
    ) {
        self.tidying = tidying
        self.name = name
        self.type = type
        self.length = length
        self.action = action
        self.site = site
        knowsLength = length != nil
    }

    func send(_ piece: Piece, then: @escaping (StoreWire.Answer) -> Void) {
        site.wire.retry({ [self] end in attempt(piece, end) }, then: then)
    }

    /// Gives up what the server has; what is not removed goes by itself within a day.
    func remove() {
        // What is an object by now is no upload, whatever the server makes of its removal.
        guard let address, !mayBeComplete else { return }
        tidying.wire.send(action, { [self] in request("DELETE", address) }) { _ in }
    }

    /// Learns what is not known, and then sends what the server does not have.
    private func attempt(_ piece: Piece, _ end: @escaping (StoreWire.Answer) -> Void) {
        let goOn: (StoreWire.Answer) -> Void = { [self] answer in
            if case .failure = answer { end(answer) } else { attempt(piece, end) }
        }
        guard let address else { return create(then: goOn) }
        guard let offset else { return askOffset(address, then: goOn) }
        guard offset >= piece.start else { return end(.failure(unclear("less than it had"))) }
        guard offset < piece.end else {
            // The answer to an earlier attempt was lost.
            return end(
                piece.total == nil ? .success(Response(status: 204)) : .failure(endWithoutObject))
        }
        patch(piece, address, offset) { [self] answer in
            guard case .success = answer, let now = self.offset else { return end(answer) }
            guard now > offset else { return end(.failure(unclear("no progress"))) }
            now < piece.end ? attempt(piece, end) : end(answer)
        }
    }

    // MARK: Requests

    private func create(then: @escaping (StoreWire.Answer) -> Void) {
        let headers = [
            length.map { Header("Upload-Length", "\($0)") } ?? Header("Upload-Defer-Length", "1"),
            Header("Upload-Metadata", metadata), Header("x-upsert", "false"),
        ]
        let place = site.location.address("upload/resumable")
        let learn: (StoreWire.Answer) -> Void = { [self] answer in
            guard case .success(let response) = answer else { return }
            address = Self.id(response).map { "\(place)/\($0)" }
        }
        // Whoever asked may have given up meanwhile, and this must be undone then.
        site.wire.sendOnce(action, request("POST", place, headers), late: learn) {
            [self] answer in
            learn(answer)
            guard case .success = answer else { return then(answer) }
            then(address == nil ? .failure(unclear("no upload")) : answer)
        }
    }

    /// The upload's name of itself; the host in the same address might be anybody's.
    private static func id(_ response: Response) -> Substring? {
        let id = response.header("Location")?.split(separator: "/").last
        let isName = id?.utf8.allSatisfy { Hex.isAlphanumeric($0) || "-_".utf8.contains($0) }
        return isName == true ? id : nil
    }

    private func askOffset(_ address: String, then: @escaping (StoreWire.Answer) -> Void) {
        site.wire.sendOnce(action, request("HEAD", address)) { [self] answer in
            guard case .success(let response) = answer else { return then(answer) }
            offset = response.header("Upload-Offset").flatMap { Int($0) }
            knowsLength = response.header("Upload-Length") != nil
            then(offset == nil ? .failure(unclear("no offset")) : answer)
        }
    }

    private func patch(
        _ piece: Piece, _ address: String, _ offset: Int,
        then: @escaping (StoreWire.Answer) -> Void
    ) {
        piece.body.skipped = offset - piece.start
        var headers = [
            Header("Content-Type", "application/offset+octet-stream"),
            Header("Upload-Offset", "\(offset)"),
        ]
        // Said twice it is an error.
        if let total = piece.total, !knowsLength {
            headers.append(Header("Upload-Length", "\(total)"))
        }
        if piece.total != nil || length == Int64(piece.end) { mayBeComplete = true }
        site.wire.sendOnce(action, body: piece.body, request("PATCH", address, headers)) {
            [self] answer in
            if case .failure(let problem) = answer, problem.status != nil { mayBeComplete = false }
            switch answer {
            case .success(let response):
                self.offset =
                    response.header("Upload-Offset").flatMap { Int($0) } ?? piece.end
                then(answer)
            case .failure(let problem):
                self.offset = nil
                guard problem.status == 409 else { return then(answer) }
                explain(problem, address, offset, then: then)
            }
        }
    }

    /// Tells the two reasons for 409 apart: a key that is taken, and an offset that is another.
    private func explain(
        _ problem: StoreProblem, _ address: String, _ sent: Int,
        then: @escaping (StoreWire.Answer) -> Void
    ) {
        askOffset(address) { [self] answer in
            guard case .success = answer else { return then(answer) }
            var problem = problem
            if offset != sent { (problem.isTaken, problem.mayPass) = (false, true) }
            then(.failure(problem))
        }
    }

    private func request(_ method: String, _ address: String, _ headers: [Header] = []) -> Request {
        site.request(method, address, headers + [Header("Tus-Resumable", "1.0.0")])
    }

    private var metadata: String {
        [
            ("bucketName", site.location.bucket), ("objectName", name),
            ("contentType", type.contentType), ("cacheControl", "\(type.cacheSeconds)"),
        ]
        .map { "\($0) \(Base64.text(Array($1.utf8)))" }.joined(separator: ",")
    }

    // MARK: Words

    private func unclear(_ what: String) -> StoreProblem {
        StoreProblem(unclear: what, action, at: site.location.words)
    }

    /// The server has every byte: the object is there, or the server failed to make it visible.
    private var endWithoutObject: StoreProblem {
        var problem = unclear("the end of an upload without its object")
        problem.isMissing = true
        return problem
    }
}
