import Core
import HTTP

/// An object on its way into a store that takes large files in parts.
///
/// A file of one part is sent whole when it is published; of a larger one the parts go as they are
/// full.
final class PartUpload: Upload {
    private enum Stage { case writing, finishing, finished, publishing, over }

    let key: ObjectKey
    private let carrier: any PartCarrier
    /// All that is asked of the store for this upload, and nothing else.
    private let session: Session
    private let parts: PartGatherer
    private let whenChanged: () -> Void

    private var stage = Stage.writing
    private var partsUnderWay = 0
    /// What goes with `publish`.
    private var last: Part?
    private var digest: Digest?
    private var failure: Failure?
    private var whenFinished: ((Result<Digest, Failure>) -> Void)?

    init(
        _ carrier: any PartCarrier, _ object: NewObject, _ session: Session,
        whenChanged: @escaping () -> Void
    ) {
        self.carrier = carrier
        self.session = session
        self.whenChanged = whenChanged
        key = object.key
        parts = PartGatherer(
            session.bodies, partBytes: carrier.partBytes, expected: object.bytes, carrier.sums,
            whenRoom: whenChanged)
    }

    // MARK: Writing

    func write(_ piece: UnsafeRawBufferPointer) throws(Failure) -> WriteAnswer {
        if let failure { throw failure }
        guard stage == .writing else { throw misuse("write") }
        return try parts.write(piece, handOn: carry)
    }

    private func carry(_ part: Part) {
        partsUnderWay += 1
        carrier.carry(part) { [self] problem in
            guard stage != .over else { return }
            partsUnderWay -= 1
            if let problem { return fail(problem.failure) }
            finishIfComplete()
        }
    }

    // MARK: Finishing

    func finish(then: @escaping (Result<Digest, Failure>) -> Void) {
        if let failure { return then(.failure(failure)) }
        guard stage == .writing else { return then(.failure(misuse("finish"))) }
        stage = .finishing
        whenFinished = then
        let (last, digest) = parts.end()
        self.digest = digest
        if let last, isInParts, !carrier.holdsLastBack {
            carry(last)
        } else {
            self.last = last
        }
        finishIfComplete()
    }

    private var isInParts: Bool { parts.count > 1 }
    /// The part that is the whole file.
    private var only: Part? { isInParts ? nil : last }

    private func finishIfComplete() {
        guard stage == .finishing, partsUnderWay == 0, let digest else { return }
        stage = .finished
        whenFinished?(.success(digest))
        whenFinished = nil
    }

    // MARK: Publishing

    func publish(as wanted: ObjectKey, then: @escaping (Result<PublishResult, Failure>) -> Void) {
        guard stage == .finished, let digest, wanted.isAlternative(of: key) else {
            return then(.failure(misuse("publish")))
        }
        guard !isInParts || wanted == key else { return then(.success(.bytesAreGone)) }
        stage = .publishing
        let end: (Result<PublishResult, Failure>) -> Void = { [self] result in
            guard stage == .publishing else { return }
            let isPublished = result == .success(.published)
            if isPublished { last = nil }
            stage = isPublished ? .over : .finished
            then(result)
        }
        guard !carrier.isCreateOnly else { return send(wanted, digest, end) }
        // The server would overwrite; the lease keeps every other run of ours away meanwhile.
        find(wanted) { [self] there in
            if let there { return end(there) }
            send(wanted, digest, end)
        }
    }

    private func send(
        _ wanted: ObjectKey, _ digest: Digest,
        _ end: @escaping (Result<PublishResult, Failure>) -> Void
    ) {
        guard stage == .publishing else { return }
        guard hasBody(digest) else { return end(.failure(misuse("publish without the bytes"))) }
        carrier.publish(last, as: wanted, digest) { [self] answer in
            guard stage == .publishing else { return }
            switch answer {
            case .success(let response):
                // What the store has proved it need not be asked.
                guard !carrier.isProved(by: response, only) else {
                    return end(.success(.published))
                }
                confirm(wanted, digest, end)
            case .failure(let problem) where problem.isTaken || problem.isMissing:
                // Taken, or published by an attempt of ours whose answer was lost.
                find(wanted) { there in
                    // R2 forgets the upload when its last step is refused.
                    end(
                        there
                            ?? (problem.isTaken
                                ? .success(.bytesAreGone) : .failure(problem.failure)))
                }
            case .failure(let problem): end(.failure(problem.failure))
            }
        }
    }

    /// Whether the bytes that `publish` is to send are here: an object without any would be
    /// written over one that has them.
    private func hasBody(_ digest: Digest) -> Bool {
        if isInParts { return last != nil || !carrier.holdsLastBack }
        return last?.body.count ?? 0 == digest.bytes
    }

    /// Reads what is at a key; nil when nothing is.
    private func find(
        _ wanted: ObjectKey, then: @escaping (Result<PublishResult, Failure>?) -> Void
    ) {
        carrier.find(wanted) { [self] result in
            guard stage == .publishing else { return }
            switch result {
            case .failure(let failure): then(.failure(failure))
            case .success(let there): then(there.map { .success(.alreadyThere($0.digest)) })
            }
        }
    }

    /// Proves that the store has what was sent: its length, and its checksum where it tells one.
    private func confirm(
        _ wanted: ObjectKey, _ digest: Digest,
        _ end: @escaping (Result<PublishResult, Failure>) -> Void
    ) {
        carrier.look(at: wanted) { [self] answer in
            switch answer {
            case .failure(let problem): end(.failure(problem.failure))
            case .success(let head):
                guard head.header("Content-Length").flatMap({ Int($0) }) == digest.bytes,
                    only.map({ carrier.isContradicted(by: head, $0) }) != true
                else {
                    return end(
                        .failure(
                            Failure(
                                .unavailable, code: "stored_object_differs",
                                "\(wanted) in \(carrier.place) has another length or"
                                    + " checksum than was sent; look at it, and at what is between")
                        ))
                }
                end(.success(.published))
            }
        }
    }

    // MARK: Ending

    private func fail(_ failure: Failure) {
        guard self.failure == nil, stage != .over else { return }
        self.failure = failure
        parts.giveUp()
        last = nil
        whenFinished?(.failure(failure))
        whenFinished = nil
        whenChanged()
    }

    func cancel() {
        guard stage != .over else { return }
        stage = .over
        parts.giveUp()
        last = nil
        whenFinished = nil
        session.cancel { [carrier] in carrier.giveUp() }
    }

    private func misuse(_ step: String) -> Failure {
        Failure(.defect, code: "upload_out_of_order", "\(key): \(step) is out of order here")
    }
}
