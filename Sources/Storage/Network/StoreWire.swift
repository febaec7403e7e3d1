import Core
import Crypto
import HTTP

/// Sends requests to a store, and asks again while that can help.
///
/// All of it belongs to the session, or to the part of one, that the wire was made with: when that
/// is cancelled, nothing is sent and nothing tried again.
///
/// Waits double from a fifth of a second, with full jitter, up to five attempts; what the store
/// asks for in `Retry-After` is kept to, up to 30 seconds.
final class StoreWire {
    typealias Answer = Result<Response, StoreProblem>

    let session: Session
    /// The store, for messages.
    let place: String
    private let problem: (Response, _ action: String) -> StoreProblem?
    private var chance = SystemRandomNumberGenerator()

    private static let attempts = 5
    private static let backoff = Backoff(base: .milliseconds(200), maximum: .seconds(5))

    /// - Parameter problem: Reads an answer; nil when it says that the thing was done.
    init(
        _ session: Session, place: String,
        problem: @escaping (Response, _ action: String) -> StoreProblem?
    ) {
        self.session = session
        self.place = place
        self.problem = problem
    }

    /// Sends a request; it is made anew for each attempt, because a signature ages.
    ///
    /// - Parameter action: For messages, such as `store a1/video/j1_0.mp4`.
    func send(
        _ action: String, body: RequestBody? = nil, _ request: @escaping () -> Request,
        then: @escaping (Answer) -> Void
    ) {
        retry({ [self] end in sendOnce(action, body: body, request(), then: end) }, then: then)
    }

    /// - Parameter late: As in `Session.send`.
    func sendOnce(
        _ action: String, body: RequestBody? = nil, _ request: Request,
        late: ((Answer) -> Void)? = nil, then: @escaping (Answer) -> Void
    ) {
        session.send(
            request, body: body, late: late.map { late in { [self] in late(answer($0, action)) } }
        ) { [self] in then(answer($0, action)) }
    }

    /// Reads what is at an address into a sink.
    func download(
        _ action: String, into sink: some ObjectSink, _ request: @escaping () -> Request,
        then: @escaping (Answer) -> Void
    ) {
        retry(
            { [self] end in
                var request = request()
                request.bodyLimitBytes = .max
                request.timeout = Self.readTimeout
                session.download(request, sink: sink) { [self] result in
                    // The words of an error went to the sink like every body.
                    end(
                        answer(
                            result.map { response in
                                var response = response
                                response.body = sink.words
                                return response
                            }, action))
                }
            }, then: then)
    }

    /// An object of any size is read back, unless it stalls.
    private static let readTimeout = Duration.seconds(3600)

    /// Does something until it is done, or until trying again cannot help.
    func retry(
        _ act: @escaping (_ end: @escaping (Answer) -> Void) -> Void, attempt: Int = 1,
        then: @escaping (Answer) -> Void
    ) {
        act { [self] answer in
            guard case .failure(let problem) = answer, problem.mayPass, attempt < Self.attempts
            else { return then(answer) }
            let wait = Self.backoff.wait(attempt: attempt, using: &chance)
            session.after(max(wait, problem.retryAfter ?? .zero)) { [self] in
                retry(act, attempt: attempt + 1, then: then)
            }
        }
    }

    private func answer(_ result: Result<Response, HTTPError>, _ action: String) -> Answer {
        switch result {
        case .success(let response):
            problem(response, action).map { .failure($0) } ?? .success(response)
        case .failure(let error): .failure(StoreProblem(error, action, at: place))
        }
    }
}

/// Takes an object, and keeps the words of an error.
protocol ObjectSink: DownloadSink {
    /// What came with another status than 200, as much of it as is of use.
    var words: [UInt8] { get }
}

/// Hashes an object that passes, and keeps the words of an error.
final class DigestSink: ObjectSink {
    private var hash = SHA256()
    private var bytes = 0
    private var isObject = false
    private(set) var words: [UInt8] = []
    private let progress: (Int) -> Void

    private static let wordsLimitBytes = 16 << 10

    /// - Parameter progress: Gets the number of bytes of each piece.
    init(_ progress: @escaping (Int) -> Void) { self.progress = progress }

    var digest: Digest { Digest(bytes: bytes, sha256: Hex.text(hash.finalize())) }

    /// What is at a key, by how the download ended; nil when nothing is.
    func object(
        _ key: ObjectKey, _ answer: StoreWire.Answer
    ) -> Result<StoredObject?, Failure> {
        switch answer {
        case .success: .success(StoredObject(key: key, digest: digest))
        case .failure(let problem) where problem.isMissing: .success(nil)
        case .failure(let problem): .failure(problem.failure)
        }
    }

    func began(status: Int, headers: [Header]) -> Bool {
        (hash, bytes, words) = (SHA256(), 0, [])
        isObject = status == 200
        return true
    }

    func receive(_ piece: UnsafeRawBufferPointer) -> SinkAnswer {
        guard isObject else {
            words += piece.prefix(Self.wordsLimitBytes - words.count)
            return .taken
        }
        hash.update(bufferPointer: piece)
        bytes += piece.count
        progress(piece.count)
        return .taken
    }
}

/// The steps by which a store proves that it takes files.
struct Probe {
    typealias Step = (_ then: @escaping (StoreWire.Answer) -> Void) -> Void

    let session: Session
    let store: Step
    let read: Step
    let remove: Step
    /// Whether the store may answer this to whoever reads what is not there.
    let isSilence: (StoreProblem) -> Bool

    /// A name that nobody else uses.
    static func name() -> String {
        var random = SystemRandomNumberGenerator()
        return "probe-" + String(random.next(), radix: 36)
    }

    /// Stores, reads and removes a small object; less thoroughly, only reads one that is not there.
    func run(isThorough: Bool) throws(Failure) {
        guard isThorough else {
            if let problem = wait(read), !problem.isMissing, !isSilence(problem) {
                throw problem.failure
            }
            return
        }
        for step in [store, read, remove] {
            if let problem = wait(step) { throw problem.failure }
        }
    }

    /// Asks and waits; nil when it was done.
    private func wait(_ step: Step) -> StoreProblem? {
        var answer: StoreWire.Answer?
        step { answer = $0 }
        session.run { answer != nil }
        if case .failure(let problem) = answer { return problem }
        return nil
    }
}
