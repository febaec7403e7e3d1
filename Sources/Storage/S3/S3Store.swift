package import Core
internal import Crypto
package import HTTP

/// Objects in a bucket of an S3-compatible server.
package struct S3Store: ObjectStore {
    let location: S3Location
    private let signer: SigV4
    private let clock: @Sendable () -> Instant

    /// - Parameter clock: The machine's, never shifted: servers refuse signatures of another time.
    package init(
        _ location: S3Location, _ signer: SigV4, clock: @escaping @Sendable () -> Instant
    ) {
        self.location = location
        self.signer = signer
        self.clock = clock
    }

    func wire(_ session: Session) -> S3Wire {
        S3Wire(location, signer, session, clock: clock)
    }

    package func begin(
        _ object: NewObject, _ session: Session, whenChanged: @escaping () -> Void
    ) throws(Failure) -> any Upload {
        S3Upload(self, object, wire(session), whenChanged: whenChanged)
    }

    package func find(
        _ key: ObjectKey, _ session: Session, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        let sink = DigestSink(progress)
        wire(session).download(
            S3Operation(action: "read \(key)", method: "GET", name: location.name(key)),
            sink: sink
        ) { answer in
            switch answer {
            case .success:
                then(.success(StoredObject(key: key, digest: sink.digest)))
            case .failure(let problem) where problem.status != nil: explain(key, session, then)
            case .failure(let problem): then(.failure(problem.failure))
            }
        }
    }

    /// Asks once more why an object cannot be read: a download drops the words of an error, and
    /// without them a bucket that is gone looks like one object that is.
    private func explain(
        _ key: ObjectKey, _ session: Session,
        _ then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        let operation = S3Operation(
            action: "read \(key)", method: "GET", name: location.name(key),
            headers: [Header("Range", "bytes=0-0")])
        wire(session).send(operation) { [location] answer in
            switch answer {
            case .failure(let problem) where problem.isMissing: then(.success(nil))
            case .failure(let problem): then(.failure(problem.failure))
            case .success:
                then(
                    .failure(
                        Failure(
                            .unavailable, code: "storage_unavailable",
                            "cannot read \(key) in \(location.words): it refused at first and then "
                                + "did not; try again")))
            }
        }
    }

    package func url(for key: ObjectKey, publicBaseURL: String?) -> String {
        guard var base = publicBaseURL else {
            return "\(location.scheme)://\(location.host)\(location.path(location.name(key)))"
        }
        while base.hasSuffix("/") { base.removeLast() }
        return "\(base)/\(PercentEscape.encode(path: location.name(key)))"
    }

    /// A link to a private object that anybody may read it by, for at most seven days.
    package func link(to key: ObjectKey, expires: Duration, _ session: Session) -> String? {
        wire(session).link(location.name(key), expires: expires)
    }

    // MARK: Checking

    package func check(_ session: Session, isThorough: Bool) throws(Failure) {
        let wire = wire(session)
        var random = SystemRandomNumberGenerator()
        let name =
            (location.prefix.isEmpty ? "" : location.prefix + "/") + "probe-"
            + String(random.next(), radix: 36)
        if isThorough {
            var put = S3Operation(
                action: "store a probe object", method: "PUT", name: name, text: "probe")
            put.headers = [Header("Content-Type", "text/plain")]
            if let problem = Self.problem(wire, put) { throw problem.failure }
        }
        var get = S3Operation(action: "read a probe object", method: "GET", name: name)
        get.timeout = .seconds(20)
        let problem = Self.problem(wire, get)
        guard isThorough else {
            // Nothing is there, as was to be expected; a key that may not list is not told even that.
            if let problem, !problem.isMissing, problem.code != "AccessDenied" {
                throw problem.failure
            }
            return
        }
        if let problem { throw problem.failure }
        let delete = S3Operation(action: "remove a probe object", method: "DELETE", name: name)
        if let problem = Self.problem(wire, delete) { throw problem.failure }
    }

    /// Asks and waits; nil when it was done.
    private static func problem(_ wire: S3Wire, _ operation: S3Operation) -> S3Problem? {
        var answer: S3Wire.Answer?
        wire.send(operation) { answer = $0 }
        wire.session.run { answer != nil }
        if case .failure(let problem) = answer { return problem }
        return nil
    }
}

/// Hashes what passes.
final class DigestSink: DownloadSink {
    private var hash = SHA256()
    private var bytes = 0
    private let progress: (Int) -> Void

    init(_ progress: @escaping (Int) -> Void) { self.progress = progress }

    var digest: Digest { Digest(bytes: bytes, sha256: Hex.text(hash.finalize())) }

    // An error's words come as a body too; only an object's bytes are counted.
    func began(status: Int, headers: [Header]) -> Bool { status == 200 }

    func receive(_ piece: UnsafeRawBufferPointer) -> SinkAnswer {
        hash.update(bufferPointer: piece)
        bytes += piece.count
        progress(piece.count)
        return .taken
    }
}
