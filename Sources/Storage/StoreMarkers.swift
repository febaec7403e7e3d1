package import Core
internal import Disk
internal import Glibc
package import HTTP

/// Small objects below `.holdfast/` of a store, by which installations and their runs tell each
/// other apart; they are no files of jobs, and no list of those has them.
package struct StoreMarkers: MarkerPlace {
    private let store: any ObjectStore
    private let session: Session
    package let words: String
    private let shouldStop: @Sendable () -> Bool

    /// How long one call may take, its tries included: a run of the minute makes three at most.
    static let timeLimit = Duration.seconds(5)

    /// - Parameters:
    ///   - words: Where the store is, as `StorageLocation.words` says it.
    ///   - shouldStop: The run was told to stop: nothing is asked any more, nor waited for.
    package init(
        _ store: any ObjectStore, at words: String, _ session: Session,
        shouldStop: @escaping @Sendable () -> Bool = { false }
    ) {
        self.store = store
        self.words = words
        self.session = session
        self.shouldStop = shouldStop
    }

    package func read(_ name: MarkerName) throws(Failure) -> Marker {
        try bounded("read \(name)") { store.readMarker(name, $0, then: $1) }
    }

    package func writeIfAbsent(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) -> Bool {
        try Self.check(bytes, name)
        return try bounded("write \(name)") {
            store.writeMarker(name, bytes, onlyIfAbsent: true, $0, then: $1)
        }
    }

    package func overwrite(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) {
        try Self.check(bytes, name)
        _ = try bounded("write \(name)") {
            store.writeMarker(name, bytes, onlyIfAbsent: false, $0, then: $1)
        }
    }

    private static func check(_ bytes: [UInt8], _ name: MarkerName) throws(Failure) {
        guard bytes.count <= Marker.limitBytes else {
            throw Failure(
                .defect, code: "marker_too_large",
                "\(name) would have \(bytes.count) bytes; the limit is \(Marker.limitBytes)")
        }
    }

    /// Waits for one answer, and gives up at the limit: nothing is sent or tried again after it.
    private func bounded<Value>(
        _ action: String,
        _ ask: (Session, @escaping (Result<Value, Failure>) -> Void) -> Void
    ) throws(Failure) -> Value {
        guard !shouldStop() else { throw stopped(action) }
        var answer: Result<Value, Failure>?
        let part = session.part()
        ask(part) { answer = $0 }
        let until = ContinuousClock.now + Self.timeLimit
        while answer == nil, .now < until, !shouldStop() {
            _ = session.step(wait: .milliseconds(500))
        }
        part.cancel()
        guard let answer else {
            guard !shouldStop() else { throw stopped(action) }
            throw Failure(
                .unavailable, code: "storage_unavailable",
                "cannot \(action) in \(words): no answer within \(DurationText.describe(Self.timeLimit))"
                    + "; the next run tries again")
        }
        return try answer.get()
    }

    private func stopped(_ action: String) -> Failure {
        Failure(
            .unavailable, code: "storage_unavailable",
            "did not \(action) in \(words): the run was told to stop")
    }
}

/// How a store keeps markers.
package protocol KeepsMarkers {
    func readMarker(
        _ name: MarkerName, _ session: Session, then: @escaping (Result<Marker, Failure>) -> Void)

    /// Hands over false when something is there and was left as it is.
    func writeMarker(
        _ name: MarkerName, _ bytes: [UInt8], onlyIfAbsent: Bool, _ session: Session,
        then: @escaping (Result<Bool, Failure>) -> Void)
}

extension StoreWire {
    /// Reads what is at a marker's name.
    ///
    /// - Parameter isSilence: Whether an answer of that word may mean that nothing is there.
    func marker(
        _ name: MarkerName, isSilence: @escaping (String) -> Bool = { _ in false },
        _ request: @escaping () -> Request, then: @escaping (Result<Marker, Failure>) -> Void
    ) {
        let sink = MarkerSink()
        download("read \(name)", into: sink, request) { answer in
            switch answer {
            case .success: then(.success(sink.marker))
            case .failure where sink.isTooLarge: then(.success(.tooLarge))
            case .failure(let problem) where problem.isMissing || isSilence(problem.code):
                then(.success(.absent))
            case .failure(let problem): then(.failure(problem.failure))
            }
        }
    }

    /// Whether a write was done; false when its key is taken.
    static func wrote(_ answer: Answer) -> Result<Bool, Failure> {
        switch answer {
        case .success: .success(true)
        case .failure(let problem) where problem.isTaken: .success(false)
        case .failure(let problem): .failure(problem.failure)
        }
    }
}

/// Takes no more of an object than a marker may have.
private final class MarkerSink: ObjectSink {
    private var bytes: [UInt8] = []
    private(set) var words: [UInt8] = []
    private(set) var isTooLarge = false
    private var isObject = false

    private static let wordsLimitBytes = 16 << 10

    var marker: Marker { isTooLarge ? .tooLarge : .bytes(bytes) }

    func began(status: Int, headers: [Header]) -> Bool {
        (bytes, words, isTooLarge, isObject) = ([], [], false, status == 200)
        let length = headers.first { $0.name.lowercased() == "content-length" }
        isTooLarge = isObject && (length.flatMap { Int($0.value) } ?? 0) > Marker.limitBytes
        return !isTooLarge
    }

    func receive(_ piece: UnsafeRawBufferPointer) -> SinkAnswer {
        guard isObject else {
            words += piece.prefix(Self.wordsLimitBytes - words.count)
            return .taken
        }
        isTooLarge = bytes.count + piece.count > Marker.limitBytes
        guard !isTooLarge else { return .stop }
        bytes += piece
        return .taken
    }
}

extension FileStore: KeepsMarkers {
    package func readMarker(
        _ name: MarkerName, _ session: Session, then: @escaping (Result<Marker, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                do throws(Descriptor.Problem) {
                    switch try file(name).read(limitBytes: Marker.limitBytes) {
                    case .absent: return .absent
                    case .bytes(let bytes): return .bytes(bytes)
                    case .tooLarge: return .tooLarge
                    }
                } catch {
                    throw failure(error.number, "read \(name) in", root)
                }
            })
    }

    package func writeMarker(
        _ name: MarkerName, _ bytes: [UInt8], onlyIfAbsent: Bool, _ session: Session,
        then: @escaping (Result<Bool, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                do throws(Descriptor.Problem) {
                    return try file(name).write(bytes, replacing: !onlyIfAbsent)
                } catch {
                    throw failure(error.number, "write \(name) in", root)
                }
            })
    }

    private func file(_ name: MarkerName) -> SmallFile {
        SmallFile(root: root, folder: MarkerName.folder, name: name.fileName)
    }
}

extension S3Store: KeepsMarkers {
    package func readMarker(
        _ name: MarkerName, _ session: Session, then: @escaping (Result<Marker, Failure>) -> Void
    ) {
        // A key that may not list is not told that nothing is there. Where the store refuses a key
        // that is taken, the write tells; elsewhere nothing may be taken for granted.
        let mayBeSilence = location.isCreateOnly
        wire(session).readMarker(
            name, isSilence: { mayBeSilence && $0 == "AccessDenied" }, then: then)
    }

    package func writeMarker(
        _ name: MarkerName, _ bytes: [UInt8], onlyIfAbsent: Bool, _ session: Session,
        then: @escaping (Result<Bool, Failure>) -> Void
    ) {
        var operation = S3Operation(
            action: "write \(name)", method: "PUT", name: location.name(name.path),
            text: String(decoding: bytes, as: UTF8.self))
        operation.timeout = StoreMarkers.timeLimit
        operation.headers = [Header("Content-Type", "text/plain")]
        if onlyIfAbsent, location.isCreateOnly {
            operation.headers.append(Header("If-None-Match", "*"))
        }
        let wire = wire(session)
        let write = { [operation] in wire.send(operation) { then(StoreWire.wrote($0)) } }
        guard onlyIfAbsent, !location.isCreateOnly else { return write() }
        readMarker(name, session) { found in
            switch found {
            case .success(.absent): write()
            case .success: then(.success(false))
            case .failure(let failure): then(.failure(failure))
            }
        }
    }
}

extension SupabaseStore: KeepsMarkers {
    package func readMarker(
        _ name: MarkerName, _ session: Session, then: @escaping (Result<Marker, Failure>) -> Void
    ) {
        let site = site(session)
        let address = location.object(location.name(name.path), "authenticated/")
        site.wire.marker(name, { site.request("GET", address) }, then: then)
    }

    package func writeMarker(
        _ name: MarkerName, _ bytes: [UInt8], onlyIfAbsent: Bool, _ session: Session,
        then: @escaping (Result<Bool, Failure>) -> Void
    ) {
        let site = site(session)
        let address = location.object(location.name(name.path))
        let headers = [
            Header("Content-Type", "text/plain"),
            Header("x-upsert", onlyIfAbsent ? "false" : "true"),
        ]
        let text = String(decoding: bytes, as: UTF8.self)
        site.wire.send(
            "write \(name)", { site.request("POST", address, headers, text: text) }
        ) { then(StoreWire.wrote($0)) }
    }
}
