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
/// It writes nothing, and remembers nothing of a file that it is done with.
package struct Verification {
    /// Objects read at once.
    package static let readsAtOnce = 8
    /// Tries at one object before the store counts as unavailable.
    static let attempts = 3

    private let store: any ObjectStore
    private let session: Session
    private let shouldStop: () -> Bool
    private let desk: VerificationDesk

    /// - Parameter watch: Gets the bytes read so far, as often as there is news.
    package init(
        _ store: any ObjectStore, _ session: Session, shouldStop: @escaping () -> Bool,
        watch: @escaping (Int64) -> Void = { _ in }
    ) {
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
                read(file)
            }
            guard atOnce > 0 else { return }
            if desk.isEmpty {
                if shouldStop() { return }
                _ = session.step(wait: .milliseconds(250))
            }
            for (file, result) in desk.takeAll() {
                let finding = try Self.finding(file, result)
                let present = finding == .ok ? file : try current(file)
                if let present, present != file {
                    read(present)
                    continue
                }
                atOnce -= 1
                if present != nil { try ended(VerifiedFile(file: file, finding: finding)) }
            }
            desk.watch(desk.bytes)
        }
    }

    private func read(_ file: StoredFile, attempt: Int = 1) {
        guard let key = ObjectKey(file.objectKey) else {
            let problem = "\(file.objectKey) is no key that this build writes"
            return desk.put(
                file, .failure(Failure(.needsPerson, code: "object_key_unknown", problem)))
        }
        let backoff = Backoff(base: .milliseconds(500), maximum: .seconds(5))
        store.find(key, session, progress: { [desk] in desk.add($0) }) { [self] result in
            guard case .failure(let failure) = result, failure.status == .unavailable,
                attempt < Self.attempts
            else { return desk.put(file, result.map { $0?.digest }) }
            var chance = SystemRandomNumberGenerator()
            session.after(backoff.wait(attempt: attempt, using: &chance)) {
                read(file, attempt: attempt + 1)
            }
        }
    }

    private static func finding(
        _ file: StoredFile, _ result: Result<Digest?, Failure>
    ) throws(Failure) -> ObjectFinding {
        switch result {
        case .success(nil): return .missing
        case .success(let digest?):
            let isSame = digest.sha256 == file.sha256 && Int64(digest.bytes) == file.bytes
            return isSame ? .ok : .differs(bytes: Int64(digest.bytes), sha256: digest.sha256)
        case .failure(let failure) where failure.status == .needsPerson:
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
