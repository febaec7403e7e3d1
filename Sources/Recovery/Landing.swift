import Core
import HTTP
import Jobs
import Storage

/// One result file between the provider and the store.
///
/// The first bytes are held back until its type is known and its key is committed; from then on
/// they stream.
final class Landing: DownloadSink {
    enum Phase {
        /// What an earlier attempt left in the store is being removed or taken.
        case settling
        /// Waiting for enough bytes to tell the type.
        case head
        /// The type can be told; the transfer is paused until the upload is open.
        case ready
        /// The upload is to be opened once its key is committed.
        case opening
        case streaming
        /// Every byte is with the store, which makes them durable and then visible.
        case storing
        /// The store did not take it; whose trouble that is will be told.
        case troubled
        /// What is no media is being kept as evidence.
        case keeping
    }

    var item: FileItem
    var phase = Phase.settling
    /// The transfer under way; nil while there is none.
    var tag: Int?
    var head: [UInt8] = []
    /// The source has sent all of it.
    var hasEnded = false
    var declaredType: String?
    /// What it is to become; known from the moment that its type is.
    var object: NewObject?
    var upload: (any Upload)?
    var digest: Digest?
    /// Follows the file from its first byte, once its type is known.
    var check: TruncationCheck?
    var received: Int64 = 0
    let limitBytes: Int64
    /// Why writing stopped, when it was the store that failed.
    var storeFailure: Failure?
    var exceedsLimit = false
    /// The source was shown our key, so that a refusal may be about the key.
    var showsKey = false
    /// The store was looked through for an object that bears the file's name.
    var wasSought = false
    /// The source was refreshed in this run; another refusal of it is final.
    var wasRefreshed = false
    /// What the source said when it refused the file, and whether that can mean that it is gone.
    var refusal = (reason: "", isGone: false)
    /// What the source sent instead of media.
    var refusedAs: String?
    /// Takes what is kept of it; and why the file is put off then.
    var kept: Keeping?
    /// It comes from the quarantine store, and not from its source.
    var isFromQuarantine = false
    /// The quarantine store has not what is wanted.
    var isQuarantineOver = false
    /// The file that it comes from, where the quarantine store is a folder, and what of that waits.
    var feed: (reader: FileReader, rest: [UInt8])?
    var resumption = Resumption()
    /// Its source sends too little to keep a place among the others.
    var isSlow: Bool
    var pace = Pace()
    /// The source waits for us: the store has no room.
    private(set) var isPaused = false
    /// Other objects that were found at the file's keys.
    var conflicts = 0

    private var wasFetchedAgain = false
    /// When it was first fetched in this run; its time limit counts from here.
    var firstFetch: ContinuousClock.Instant?

    /// All that is asked of the store for this file.
    let session: Session
    /// The part of it that is not the upload's: what an earlier attempt left, and waits.
    let steps: Session
    private let whenReady: () -> Void

    /// - Parameters:
    ///   - session: A part of the run's, of this file's own.
    ///   - whenReady: Called by the sink when the type can be told.
    init(
        _ item: FileItem, limitBytes: Int64, _ session: Session, whenReady: @escaping () -> Void
    ) {
        self.session = session
        steps = session.part()
        self.item = item
        isSlow = item.isSlow
        self.limitBytes = limitBytes
        self.whenReady = whenReady
    }

    /// Whether the source's refusal can mean that the file is gone.
    ///
    /// A refused key says nothing about the file, as long as the file should still be there.
    func isGone(by status: Int) -> Bool {
        guard showsKey, status == 401 || status == 403 else { return true }
        return item.sourceExpiresAt.map { $0 < item.now } ?? false
    }

    /// Back to the start, for a fresh transfer of the same file.
    func reset() {
        upload?.cancel()
        upload = nil
        phase = .head
        head = []
        hasEnded = false
        declaredType = nil
        digest = nil
        check = nil
        received = 0
        resumption.forget()
    }

    /// Ends all that is asked of the store; what was begun there in vain is removed.
    func stop() {
        steps.cancel()
        upload?.cancel()
        kept?.sink.giveUp()
        feed = nil
    }

    /// Whether a broken transfer is worth another try in this run: more than one only where it
    /// goes on from where it ended.
    func mayTryAgain() -> Bool {
        if canResume { return true }
        defer { wasFetchedAgain = true }
        return received > 0 && !wasFetchedAgain
    }

    /// Whether a broken transfer can go on where it ended.
    var canResume: Bool { phase == .streaming && upload != nil && resumption.isPossible }

    var key: ObjectKey? { object?.key }

    // MARK: Receiving

    func began(status: Int, headers: [Header]) -> Bool {
        switch status {
        case 206 where resumption.isUnderWay:
            return resumption.accepts(headers, at: received)
        case 200:
            // Whatever there was is of another answer.
            if received > 0 { reset() }
            declaredType = headers.first(named: "Content-Type")
            resumption.remember(headers)
            return true
        default: return false
        }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer {
        let answer = take(bytes)
        isPaused = if case .pause = answer { true } else { false }
        return answer
    }

    private func take(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer {
        switch phase {
        case .settling, .storing, .troubled, .keeping: return .stop
        case .ready, .opening: return .pause
        case .head:
            head.append(contentsOf: bytes)
            received += Int64(bytes.count)
            resumption.keep(bytes)
            if head.count >= MediaType.sampleBytes {
                phase = .ready
                whenReady()
            }
            return .taken
        case .streaming: return stream(bytes)
        }
    }

    private func stream(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer {
        // What was held back goes first.
        guard head.isEmpty else { return .pause }
        guard let overlap = resumption.overlap(bytes) else { return .stop }
        let fresh = UnsafeRawBufferPointer(rebasing: bytes[overlap...])
        guard received + Int64(fresh.count) <= limitBytes else {
            exceedsLimit = true
            return .stop
        }
        do {
            if !fresh.isEmpty, case .full = try upload?.write(fresh) { return .pause }
        } catch {
            storeFailure = error
            return .stop
        }
        check?.take(fresh)
        received += Int64(fresh.count)
        resumption.matched(overlap)
        resumption.keep(fresh)
        return .taken
    }

    // MARK: Storing

    /// Opens the upload; `whenChanged` as in `ObjectStore.begin`.
    func open(
        _ store: any ObjectStore, whenChanged: @escaping () -> Void
    ) throws(Failure) {
        guard let object else { return }
        upload = try store.begin(object, session, whenChanged: whenChanged)
        check = TruncationCheck(object.type)
        head.withUnsafeBytes { check?.take($0) }
        phase = .streaming
    }

    /// Writes what was held back; false while the store has no room for it.
    func writeHead() throws(Failure) -> Bool {
        guard !head.isEmpty, let upload else { return true }
        var answer = Result<WriteAnswer, Failure>.success(.taken)
        head.withUnsafeBytes { bytes in
            answer = Result { () throws(Failure) in try upload.write(bytes) }
        }
        guard case .taken = try answer.get() else { return false }
        head = []
        return true
    }
}
