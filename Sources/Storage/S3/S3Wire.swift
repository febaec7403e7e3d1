internal import Core
internal import Crypto
internal import HTTP

/// What is asked of an S3 server once.
struct S3Operation {
    /// For messages, such as `store a1/video/j1_0.mp4`.
    var action: String
    var method: String
    /// The name in the bucket; nil for the bucket itself.
    var name: String?
    var query: [(name: String, value: String)] = []
    var headers: [Header] = []
    /// A small body.
    var text: String?
    /// A large one.
    var part: Part?
    /// A merge of ten thousand parts takes a server minutes.
    var timeout = Duration.seconds(300)
}

/// Signs operations and sends them.
struct S3Wire {
    typealias Answer = StoreWire.Answer

    let location: S3Location
    let wire: StoreWire
    private let signer: SigV4
    private let clock: @Sendable () -> Instant

    init(
        _ location: S3Location, _ signer: SigV4, _ session: Session,
        clock: @escaping @Sendable () -> Instant
    ) {
        self.location = location
        self.signer = signer
        self.clock = clock
        wire = StoreWire(session, place: location.words) { response, action in
            StoreProblem(s3: response, action, location, now: clock())
        }
    }

    /// - Parameter late: As in `Session.send`.
    func send(
        _ operation: S3Operation, late: ((Answer) -> Void)? = nil,
        then: @escaping (Answer) -> Void
    ) {
        wire.retry(
            { end in
                wire.sendOnce(
                    operation.action, body: operation.part?.body, request(operation), late: late
                ) { answer in end(checked(answer, operation)) }
            }, then: then)
    }

    /// Bytes that were changed on the way are sent again.
    private func checked(_ answer: Answer, _ operation: S3Operation) -> Answer {
        guard case .success(let response) = answer, let part = operation.part,
            part.isConfirmed(by: response, location.profile.checksum) == false
        else { return answer }
        var problem = StoreProblem(
            unclear: "another checksum than that of what was sent; look at what is between",
            operation.action, at: location.words)
        problem.mayPass = true
        return .failure(problem)
    }

    /// Reads an object back, all of it; nil when there is none.
    func find(
        _ key: ObjectKey, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        let sink = DigestSink(progress)
        let operation = S3Operation(
            action: "read \(key)", method: "GET", name: location.name(key))
        wire.download(operation.action, into: sink, { request(operation) }) {
            then(sink.object(key, $0))
        }
    }

    /// Reads what is at a marker's name.
    func readMarker(
        _ name: MarkerName, isSilence: @escaping (String) -> Bool,
        then: @escaping (Result<Marker, Failure>) -> Void
    ) {
        let operation = S3Operation(
            action: "read \(name)", method: "GET", name: location.name(name.path))
        wire.marker(name, isSilence: isSilence, { request(operation) }, then: then)
    }

    /// A link that anybody may read the object by until it expires.
    func link(_ name: String, expires: Duration) -> String {
        let path = location.path(name)
        let query = signer.signedQuery(
            .init(method: "GET", host: location.host, path: path), expires: expires, now: clock())
        return "\(location.scheme)://\(location.host)\(path)?\(query)"
    }

    private func request(_ operation: S3Operation) -> Request {
        let path = location.path(operation.name)
        let bytes = operation.text.map { Array($0.utf8) }
        let subject = SigV4.Subject(
            method: operation.method, host: location.host, path: path, query: operation.query,
            headers: operation.headers)
        let headers = signer.signedHeaders(
            subject, payloadHash: Self.payloadHash(operation.part, bytes), now: clock())
        let query = SigV4.canonicalQuery(operation.query)
        var request = Request(
            method: operation.method,
            url: "\(location.scheme)://\(location.host)\(path)"
                + (query.isEmpty ? "" : "?\(query)"),
            headers: headers, body: bytes, timeout: operation.timeout,
            // What is written is the same bytes under the same key, or nothing.
            isRepeatable: true)
        // A store that has all of a part and is still at work on it has not stalled. One that is
        // asked once more meanwhile may lose count of what it has.
        if operation.part != nil { request.stallTimeout = operation.timeout }
        return request
    }

    /// The body's own hash is signed, except of parts that are hashed by another sum: that one stands
    /// in a header, which is signed.
    private static func payloadHash(_ part: Part?, _ bytes: [UInt8]?) -> String {
        guard let part else {
            return bytes.map { Hex.text(SHA256.hash(data: $0)) } ?? SigV4.emptyHash
        }
        return part.sha256.map(Hex.text) ?? SigV4.unsignedPayload
    }
}
