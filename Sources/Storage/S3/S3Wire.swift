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
    /// A large body, with its SHA-256 in hexadecimal.
    var body: (bytes: RequestBody, sha256: String)?
    /// A merge of ten thousand parts takes a server minutes.
    var timeout = Duration.seconds(300)
}

/// Signs operations, sends them, and asks again while that can help.
///
/// Waits double from a fifth of a second, with full jitter, up to five attempts; what the store
/// asks for in `Retry-After` is kept to, up to 30 seconds.
final class S3Wire {
    let location: S3Location
    let session: Session
    private let signer: SigV4
    private let clock: @Sendable () -> Instant
    private var chance = SystemRandomNumberGenerator()

    static let attempts = 5
    private static let backoff = Backoff(base: .milliseconds(200), maximum: .seconds(5))

    init(
        _ location: S3Location, _ signer: SigV4, _ session: Session,
        clock: @escaping @Sendable () -> Instant
    ) {
        self.location = location
        self.signer = signer
        self.session = session
        self.clock = clock
    }

    typealias Answer = Result<Response, S3Problem>

    func send(
        _ operation: S3Operation, attempt: Int = 1, then: @escaping (Answer) -> Void
    ) {
        session.send(request(operation), body: operation.body?.bytes) { [self] result in
            let problem: S3Problem?
            switch result {
            case .success(let response):
                problem = S3Problem(response, operation.action, location, now: clock())
                if problem == nil { return then(.success(response)) }
            case .failure(let error): problem = S3Problem(error, operation.action, location)
            }
            guard let problem else { return }
            guard problem.mayPass, attempt < Self.attempts else { return then(.failure(problem)) }
            let wait = Self.backoff.wait(attempt: attempt, using: &chance)
            session.after(max(wait, problem.retryAfter ?? .zero)) { [self] in
                send(operation, attempt: attempt + 1, then: then)
            }
        }
    }

    /// A GET whose body goes to `sink`; asked once.
    func download(
        _ operation: S3Operation, sink: any DownloadSink, then: @escaping (Answer) -> Void
    ) {
        var request = request(operation)
        request.bodyLimitBytes = .max
        session.download(request, sink: sink) { [self] result in
            switch result {
            case .success(let response):
                let problem = S3Problem(response, operation.action, location, now: clock())
                then(problem.map { .failure($0) } ?? .success(response))
            case .failure(let error):
                then(.failure(S3Problem(error, operation.action, location)))
            }
        }
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
        let hash =
            operation.body?.sha256
            ?? bytes.map { Hex.text(SHA256.hash(data: $0)) } ?? SigV4.emptyHash
        let subject = SigV4.Subject(
            method: operation.method, host: location.host, path: path, query: operation.query,
            headers: operation.headers)
        let headers = signer.signedHeaders(subject, payloadHash: hash, now: clock())
        let query = SigV4.canonicalQuery(operation.query)
        return Request(
            method: operation.method,
            url: "\(location.scheme)://\(location.host)\(path)"
                + (query.isEmpty ? "" : "?\(query)"),
            headers: headers, body: bytes, timeout: operation.timeout,
            // What is written is the same bytes under the same key, or nothing.
            isRepeatable: true)
    }
}
