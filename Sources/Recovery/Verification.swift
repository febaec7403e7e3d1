import Core
package import HTTP
package import Jobs
package import Storage

/// What a look at an object in the store found.
package enum ObjectFinding: Equatable, Sendable {
    /// It is there, with the size and the digest that the database has.
    case ok
    case missing
    /// Something else is at the key.
    case differs(bytes: Int64, sha256: String)
    /// The store does not let this one be read; why, in its words.
    case unreadable(String)

    package var word: String {
        switch self {
        case .ok: "ok"
        case .missing: "missing"
        case .differs: "differs"
        case .unreadable: "unreadable"
        }
    }
}

/// A stored file, and what was found at its key.
package struct VerifiedFile: Equatable, Sendable {
    package var file: StoredFile
    package var finding: ObjectFinding

    package init(file: StoredFile, finding: ObjectFinding) {
        self.file = file
        self.finding = finding
    }
}

/// Reads objects back, several at a time, and compares each with what the database says of it.
///
/// It writes nothing, and remembers nothing of a file that it is done with. Where it is not to read
/// everything, it first asks the store what it has, and reads only where that proves nothing.
package struct Verification {
    /// Objects read at once.
    package static let readsAtOnce = 8
    /// Tries at one object before the store counts as unavailable.
    static let attempts = 3

    private let store: any ObjectStore
    private let session: Session
    private let shouldStop: () -> Bool
    private let desk: VerificationDesk
    private let mayRead: ((StoredFile) -> Bool)?

    /// - Parameters:
    ///   - mayRead: Asked before an object is read of which the store tells length and no checksum;
    ///     nil to read all. Then what the store does not show is `unreadable`, whatever its failure.
    ///   - watch: Gets the bytes read so far, as often as there is news.
    package init(
        _ store: any ObjectStore, _ session: Session, shouldStop: @escaping () -> Bool,
        mayRead: ((StoredFile) -> Bool)? = nil, watch: @escaping (Int64) -> Void = { _ in }
    ) {
        self.mayRead = mayRead
        self.store = store
        self.session = session
        self.shouldStop = shouldStop
        desk = VerificationDesk(watch)
    }

    /// Bytes read so far.
    package var bytes: Int64 { desk.bytes }

    /// Verifies until `next` has no more or somebody wants it to stop.
    ///
    /// - Parameters:
    ///   - next: The next file, or nil at the end.
    ///   - current: What the database says of a file now. A file that was stored anew while it was
    ///     read is read once more, and one that is not stored any more is left out.
    ///   - ended: Gets every file with what was found.
    /// - Throws: A failure of the store that concerns more than one object: 69 or 78. What `ended`
    ///   got before stays true.
    package func run(
        next: () throws -> StoredFile?, current: (StoredFile) throws -> StoredFile?,
        ended: (VerifiedFile) throws -> Void
    ) throws {
        var atOnce = 0
        var hasMore = true
        while true {
            while hasMore, atOnce < Self.readsAtOnce {
                guard !shouldStop(), let file = try next() else {
                    hasMore = false
                    break
                }
                atOnce += 1
                look(at: file)
            }
            guard atOnce > 0 else { return }
            if desk.isEmpty {
                if shouldStop() { return }
                _ = session.step(wait: .milliseconds(250))
            }
            for (file, result) in desk.takeAll() {
                let finding = try finding(file, result)
                let present = finding == .ok ? file : try current(file)
                if let present, present != file {
                    look(at: present)
                    continue
                }
                atOnce -= 1
                if present != nil { try ended(VerifiedFile(file: file, finding: finding)) }
            }
            desk.watch(desk.bytes)
        }
    }

    private func look(at file: StoredFile) {
        guard let key = ObjectKey(file.objectKey) else {
            let problem = "\(file.objectKey) is no key that this build writes"
            return desk.put(
                file, .failure(Failure(.needsPerson, code: "object_key_unknown", problem)))
        }
        guard let mayRead else { return read(file, key) }
        ask(file, { [self] in store.glance(at: key, session, then: $0) }) { [self] glance in
            // An answer without words may mean that something else is missing than the object.
            guard let glance else { return read(file, key) }
            if Int64(glance.bytes) != file.bytes {
                desk.put(file, .success(Digest(bytes: glance.bytes, sha256: "")))
            } else if let told = glance.sha256 {
                desk.put(file, .success(Digest(bytes: glance.bytes, sha256: told)))
            } else if mayRead(file) {
                read(file, key)
            } else {
                desk.put(file, .success(Digest(bytes: glance.bytes, sha256: file.sha256)))
            }
        }
    }

    private func read(_ file: StoredFile, _ key: ObjectKey) {
        ask(
            file,
            { [self] in store.find(key, session, progress: { [desk] in desk.add($0) }, then: $0) }
        ) { [desk] in desk.put(file, .success($0?.digest)) }
    }

    /// Asks again while the store is unavailable; what it fails with at last is on the desk.
    private func ask<Value>(
        _ file: StoredFile,
        _ question: @escaping (_ then: @escaping (Result<Value, Failure>) -> Void) -> Void,
        attempt: Int = 1, then: @escaping (Value) -> Void
    ) {
        let backoff = Backoff(base: .milliseconds(500), maximum: .seconds(5))
        question { [self] result in
            switch result {
            case .success(let value): then(value)
            case .failure(let failure):
                guard failure.status == .unavailable, attempt < Self.attempts else {
                    return desk.put(file, .failure(failure))
                }
                var chance = SystemRandomNumberGenerator()
                session.after(backoff.wait(attempt: attempt, using: &chance)) { [self] in
                    ask(file, question, attempt: attempt + 1, then: then)
                }
            }
        }
    }

    private func finding(
        _ file: StoredFile, _ result: Result<Digest?, Failure>
    ) throws(Failure) -> ObjectFinding {
        switch result {
        case .success(nil): return .missing
        case .success(let digest?):
            let isSame = digest.sha256 == file.sha256 && Int64(digest.bytes) == file.bytes
            return isSame ? .ok : .differs(bytes: Int64(digest.bytes), sha256: digest.sha256)
        case .failure(let failure) where failure.status == .needsPerson || mayRead != nil:
            return .unreadable(failure.message)
        case .failure(let failure): throw failure
        }
    }
}

/// What was read since the last look.
private final class VerificationDesk {
    private var results: [(StoredFile, Result<Digest?, Failure>)] = []
    private(set) var bytes: Int64 = 0
    let watch: (Int64) -> Void

    init(_ watch: @escaping (Int64) -> Void) { self.watch = watch }

    var isEmpty: Bool { results.isEmpty }

    func add(_ count: Int) {
        bytes += Int64(count)
        watch(bytes)
    }

    func put(_ file: StoredFile, _ result: Result<Digest?, Failure>) {
        results.append((file, result))
    }

    func takeAll() -> [(StoredFile, Result<Digest?, Failure>)] {
        defer { results = [] }
        return results
    }
}
