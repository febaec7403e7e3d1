import Core
import Crypto
import HTTP

/// An object on its way into a bucket.
///
/// The bytes are gathered in parts of one size. A file of one part is sent whole when it is
/// published; of a larger one the parts go as they are full, and publishing joins them.
final class S3Upload: Upload {
    enum Stage { case writing, finishing, finished, publishing, over }

    let key: ObjectKey
    let store: S3Store
    let wire: S3Wire
    let object: NewObject
    let partBytes: Int
    private let whenChanged: () -> Void

    var stage = Stage.writing
    private var hash = SHA256()
    private var bytes = 0
    private var filling: S3Part?
    /// The part to follow, reserved while the one before it is full.
    private var next: RequestBody?
    private var waitsForRoom = false
    /// Full, and held back until the store has given the upload its id.
    var held: [S3Part] = []
    var partCount = 0
    /// The store's name for the upload in parts; nil while there is none.
    var multipartID: String?
    var isCreating = false
    var partsUnderWay = 0
    var etags: [Int: PartReceipt] = [:]
    private var failure: Failure?
    private var whenFinished: ((Result<Digest, Failure>) -> Void)?
    private(set) var digest: Digest?

    init(
        _ store: S3Store, _ object: NewObject, _ wire: S3Wire, whenChanged: @escaping () -> Void
    ) {
        self.store = store
        self.object = object
        self.wire = wire
        self.whenChanged = whenChanged
        key = object.key
        partBytes = S3Part.size(for: object.bytes)
    }

    // MARK: Writing

    func write(_ piece: UnsafeRawBufferPointer) throws(Failure) -> WriteAnswer {
        if let failure { throw failure }
        guard stage == .writing else { throw misuse("write") }
        guard !waitsForRoom, reserve(for: piece.count) else { return .full }
        hash.update(bufferPointer: piece)
        bytes += piece.count
        var rest = piece
        while !rest.isEmpty {
            guard let part = filling ?? begin() else { throw misuse("write without room") }
            let taken = part.append(rest)
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
            if part.isFull { seal(part) }
        }
        return .taken
    }

    /// Makes sure that there is room for so many bytes, which is at most one part and the next.
    private func reserve(for count: Int) -> Bool {
        let room = (filling?.body.room ?? 0) + (next?.room ?? 0)
        guard room < count else { return true }
        // What is left of a file whose length is known needs no more room than that.
        let left = object.bytes.map { Int($0) - bytes - (filling?.body.room ?? 0) } ?? partBytes
        let wanted = left > 0 ? max(min(left, partBytes), min(count, partBytes)) : partBytes
        if let body = wire.session.bodies.take(wanted) {
            next = body
            return true
        }
        waitsForRoom = true
        wire.session.bodies.whenRoom(wanted) { [weak self] body in
            guard let self, stage == .writing else { return }
            next = body
            waitsForRoom = false
            whenChanged()
        }
        return false
    }

    private func begin() -> S3Part? {
        guard let body = next else { return nil }
        next = nil
        partCount += 1
        filling = S3Part(number: partCount, body: body, wire.location.profile.checksum)
        // A second part proves that the first is not the whole file.
        if partCount == 2 { create() }
        return filling
    }

    private func seal(_ part: S3Part) {
        filling = nil
        part.seal()
        held.append(part)
        sendHeld()
    }

    // MARK: Finishing

    func finish(then: @escaping (Result<Digest, Failure>) -> Void) {
        if let failure { return then(.failure(failure)) }
        guard stage == .writing else { return then(.failure(misuse("finish"))) }
        stage = .finishing
        whenFinished = then
        next = nil
        if let part = filling { seal(part) }
        digest = Digest(bytes: bytes, sha256: Hex.text(hash.finalize()))
        finishIfComplete()
    }

    func finishIfComplete() {
        guard stage == .finishing, let digest else { return }
        guard partCount < 2 || (held.isEmpty && partsUnderWay == 0 && multipartID != nil) else {
            return
        }
        stage = .finished
        whenFinished?(.success(digest))
        whenFinished = nil
    }

    // MARK: Ending

    func fail(_ problem: S3Problem) {
        guard failure == nil, stage != .over else { return }
        failure = problem.failure
        held = []
        filling = nil
        next = nil
        whenFinished?(.failure(problem.failure))
        whenFinished = nil
        whenChanged()
    }

    func cancel() {
        guard stage != .over else { return }
        stage = .over
        held = []
        filling = nil
        next = nil
        abort()
    }

    func misuse(_ step: String) -> Failure {
        Failure(.defect, code: "upload_out_of_order", "\(key): \(step) is out of order here")
    }
}
