package import Core
package import HTTP
package import Jobs
package import Postgres
import Providers
package import Storage

/// Where files go, and which addresses they may come from.
package struct MirrorTarget: Sendable {
    package var store: any ObjectStore
    /// Prefix of the addresses that customers see.
    package var publicBaseURL: String?
    /// Private ranges that downloads may reach all the same.
    package var egressAllow: [CIDR]
    /// Takes what is refused; nil where there is none.
    package var quarantine: (any QuarantineStore)?

    package init(
        store: any ObjectStore, publicBaseURL: String?, egressAllow: [CIDR],
        quarantine: (any QuarantineStore)? = nil
    ) {
        self.quarantine = quarantine
        self.store = store
        self.publicBaseURL = publicBaseURL
        self.egressAllow = egressAllow
    }
}

/// The mirrorer's work: every result file into permanent storage, nearest expiry first, and every
/// job whose files are all there delivered, in the transaction that records the last of them.
package struct StorageMirror: ~Copyable {
    let wiring: Wiring
    let target: MirrorTarget
    let selection: Selection
    let files: Files
    /// What a person accepts, in a run for that alone.
    let acceptance: Acceptance?
    /// Whether the quarantine store can be used in this run; nil before it was needed.
    var isQuarantineUsable: Bool?
    let limits: ProviderLimits
    let session: Session
    let desk = Desk()
    let started = ContinuousClock.now
    var chance = SystemRandomNumberGenerator()
    /// Every file that was claimed and has not come to its end, by name.
    var landings: [String: Landing] = [:]
    /// Those that are being fetched, by the tag of the transfer.
    var transfers: [Int: Landing] = [:]
    /// What files have come to and is not written down yet.
    var due = DueSteps()
    /// Files whose source is asked for a fresh address.
    var rescues: [Int: Rescue] = [:]
    /// Those that wait for a token of their provider, with what they ask.
    var waitingRescues: [(rescue: Rescue, request: Request)] = []
    /// When they are looked at again.
    var nextRescue = ContinuousClock.now
    /// Named jobs all of whose files were claimed already.
    var taken: Set<String> = []
    /// Files that are leased to this run already, and wait for room.
    var waiting: [FileItem]
    var lastRenewal = ContinuousClock.now
    /// Files that the store did not take, until it is told whose trouble that is.
    var troubled: [(landing: Landing, failure: Failure)] = []
    var storeTrouble = StoreTrouble()
    var troubledSince: ContinuousClock.Instant?
    /// It was said in this run that nobody gets media.
    var saidRefusedEverywhere = false
    /// When a source is slow; nil until the first file is claimed.
    var paceLimit: PaceLimit?
    var lastPaceLook = ContinuousClock.now
    /// The run has given its place up, and only ends what it has begun.
    var hasLeftPlace = false
    var claims = FileClaims.first
    /// The server has planned what a delivery does, with nothing locked.
    private var isPrepared = false
    /// The only file under way is one that earlier runs did not survive.
    var holdsSuspect = false
    var tally = FileTally()
    var report = RunReport()

    /// - Parameters:
    ///   - refetching: Files of settled jobs that were begun for this run; then nothing else is claimed.
    ///   - acceptance: The same for a refused file that a person wants delivered.
    package init(
        _ wiring: Wiring, _ target: MirrorTarget, _ selection: Selection,
        refetching: [FileItem] = [], acceptance: Acceptance? = nil
    ) throws {
        self.wiring = wiring
        self.target = target
        self.selection = selection
        waiting = acceptance.map { [$0.item] } ?? refetching
        self.acceptance = acceptance
        files = Files(
            run: wiring.run,
            purpose: acceptance != nil
                ? .acceptance : refetching.isEmpty ? .delivery : .refetch)
        limits = ProviderLimits(run: wiring.run)
        session = try Session()
    }

    package consuming func run(_ connection: borrowing Connection) throws -> RunReport {
        do {
            while true {
                if wiring.shouldStop() {
                    try giveBack(connection)
                    return report
                }
                if claims != .over { try claimMore(connection) }
                if landings.isEmpty {
                    guard claims == .over else { continue }
                    try discardLeftovers(connection)
                    break
                }
                try feedFiles(connection)
                try collect(connection)
                try startWaiting(connection)
                try readNews(connection)
                try lookAtPaces(connection)
                try judgeTroubled(connection)
                try writeSteps(connection)
                try renewIfDue(connection)
                try leavePlaceIfSpent(connection)
                tellTotals()
            }
        } catch let failure as Failure
            where failure.status == .unavailable || failure.status == .configuration
        {
            // The store is full or gone: no file is lost by it, all leases go back.
            try giveBack(connection)
            report.add(.init(code: failure.code, message: failure.message), status: failure.status)
            return report
        }
        session.settle(within: Self.lastAnswers)
        return report
    }

    // MARK: Claiming

    private mutating func claimMore(_ connection: borrowing Connection) throws {
        guard files.purpose == .delivery else {
            let items = Array(waiting.prefix(max(selection.concurrency - landings.count, 0)))
            waiting.removeFirst(items.count)
            begin(items)
            if waiting.isEmpty { claims = .over }
            return
        }
        if !landings.isEmpty, claims == .last || holdsSuspect { return }
        // Files of named jobs are due whatever their backoff says, but once in a run.
        let named = selection.jobIDs.filter { !taken.contains($0) }
        let left = selection.limit.map { $0 - report.examined } ?? .max
        guard left > 0, isWithinBudget,
            selection.jobIDs.isEmpty || !named.isEmpty
        else { return claims = .over }
        // Those that are in the store hold nothing up any more.
        let slow = landings.values.count { $0.isSlow }
        let room = min(selection.concurrency - landings.count + slow + due.stored.count, left)
        let isWorthIt = landings.isEmpty || room >= max(selection.concurrency / 4, 1)
        guard room > 0, isWorthIt, !storeTrouble.isHolding else { return }
        let claim = try files.claim(
            connection, most: room, mostSlow: min(slowPlaces - slow, left - room),
            alone: claims.isAlone, jobIDs: named, providers: selection.providers)
        if claim.ordinaryItems < room { taken.formUnion(named) }
        report(setAside: claim.setAside)
        begin(claim.items)
        // While the first bytes are on their way: deliveries are moves.
        if !claim.items.isEmpty, !isPrepared {
            try Moves(run: wiring.run).prepare(connection)
            isPrepared = true
        }
        holdsSuspect = claim.isSuspect
        claims = claims.next(after: claim, room: room)
    }

    var isWithinBudget: Bool { ContinuousClock.now - started < selection.timeBudget }

    private mutating func report(setAside jobIDs: [String]) {
        for jobID in jobIDs {
            report.count("set_aside")
            report.add(
                .init(
                    jobID: jobID, code: "crashed",
                    message: "set aside: the claims of its files keep ending without a result; "
                        + "see holdfast job show \(jobID)"),
                status: .needsPerson)
        }
    }

    private mutating func begin(_ items: [FileItem]) {
        report.examined += items.count
        tally.claimed(items)
        for item in items {
            let landing = Landing(item, limitBytes: wiring.run.maxFileBytes, session.part()) {
                [session] in session.interrupt()
            }
            if files.purpose == .refetch {
                // It goes to the key that the asset has, or to one behind it.
                landing.conflicts = item.objectKey.flatMap(ObjectKey.init)?.alternativeNumber ?? 0
            }
            landings[item.name] = landing
            settleEarlierAttempt(landing)
        }
    }

    /// Removes what a crash left behind, and takes an object that an earlier attempt had completed.
    private mutating func settleEarlierAttempt(_ landing: Landing) {
        let item = landing.item
        guard let key = item.objectKey.flatMap(ObjectKey.init) else { return fetch(landing) }
        let isComplete = item.sha256 != nil && item.bytes != nil
        target.store.discard(uploadID: item.uploadID, key: key, landing.steps) {
            [desk, store = target.store] result in
            guard case .success = result, isComplete else {
                return desk.put(landing, .settled(result.map { nil }))
            }
            store.find(key, landing.steps) { desk.put(landing, .settled($0)) }
        }
    }

    // MARK: Leftovers

    private static let leftoversEvery = Duration.seconds(6 * 3600)
    /// No upload of ours is that old and alive: a transfer has `transfer_limit`, and its lease.
    private var leftoverAge: Duration { max(.seconds(86_400), wiring.run.transferLimit * 2) }

    /// Now and then: removes uploads of files that nobody will claim again, such as those of a job
    /// that was dismissed while a run was killed.
    private mutating func discardLeftovers(_ connection: borrowing Connection) throws {
        guard selection.jobIDs.isEmpty,
            try files.takeTurn(connection, "leftovers", every: Self.leftoversEvery)
        else { return }
        try emptyQuarantine(connection)
        var result: Result<Int, Failure>?
        let age = wiring.run.clockOffset - leftoverAge
        let removal = session.part()
        defer { removal.cancel() }
        target.store.discardAll(begunBefore: wiring.wallClock() + age, removal) { result = $0 }
        session.run { result != nil || wiring.shouldStop() }
        let count = try result?.get() ?? 0
        if count > 0 { wiring.tell("\(count) uploads that were never completed were given up") }
    }

    // MARK: Leases

    private mutating func renewIfDue(_ connection: borrowing Connection) throws {
        guard ContinuousClock.now - lastRenewal >= wiring.run.lease / 4 else { return }
        lastRenewal = .now
        try files.renew(connection, landings.values.map(\.item) + waiting)
    }

    /// What is under way when a run ends gets so long for its answers.
    private static let lastAnswers = Duration.seconds(10)

    /// Ends everything, and gives the leases back: each once the last request for its file has ended,
    /// because the store may yet do what it was asked.
    ///
    /// Of a file whose request does not end in time the lease is kept, and ends by itself.
    private mutating func giveBack(_ connection: borrowing Connection) throws {
        for landing in landings.values { landing.stop() }
        for tag in transfers.keys { session.cancel(tag: tag) }
        for tag in rescues.keys { session.cancel(tag: tag) }
        transfers = [:]
        rescues = [:]
        waitingRescues = []
        try recordStored(connection)
        try releaseEnded(connection)
        guard !landings.isEmpty else { return }
        try files.renew(connection, landings.values.map(\.item))
        session.settle(within: Self.lastAnswers)
        try releaseEnded(connection)
        for name in landings.keys.sorted() {
            wiring.tell("file \(name): the store has not answered; its lease ends by itself")
        }
    }

    /// Gives back the leases of files for which nothing is under way at the store.
    private mutating func releaseEnded(_ connection: borrowing Connection) throws {
        let ended = landings.values.filter(\.session.isIdle)
        for landing in ended { landings[landing.item.name] = nil }
        try files.release(connection, ended.map(\.item) + waiting)
        waiting = []
    }
}

/// Which claims of files are still to be made.
enum FileClaims: Equatable {
    /// The first, which may bring a suspect.
    case first
    case many(suspectsLeft: Bool)
    /// For the suspects that are left, one after the other, when nothing is under way any more.
    case last
    case over

    /// Whether the run holds nothing when it makes this claim, so that a suspect may come.
    var isAlone: Bool { self == .first || self == .last }

    func next(after claim: FileClaim, room: Int) -> FileClaims {
        switch self {
        case .first where claim.isSuspect || !claim.setAside.isEmpty: .many(suspectsLeft: true)
        case .first: claim.ordinaryItems >= room ? .many(suspectsLeft: false) : .over
        case .many(let suspectsLeft) where claim.ordinaryItems < room: suspectsLeft ? .last : .over
        case .last where claim.isEmpty: .over
        case .many, .last, .over: self
        }
    }
}

/// Steps of files that wait for others to be written with them.
struct DueSteps {
    /// How long the first of them waits.
    static let patience = Duration.milliseconds(5)

    /// When the first of them came, the files that are `opening` included.
    var since: ContinuousClock.Instant?
    /// Every byte is with the store; the digest is to be committed.
    var finished: [Landing] = []
    var stored: [(landing: Landing, key: ObjectKey)] = []
}

/// What has come to be known of files since the last look, by handlers that may not act themselves.
final class Desk {
    enum News {
        /// Nothing of an earlier attempt is left but, perhaps, a complete object.
        case settled(Result<StoredObject?, Failure>)
        /// The upload has room again, or has failed.
        case changed
        case finished(Result<Digest, Failure>)
        case published(ObjectKey, Result<PublishResult, Failure>)
        /// The wait before another try of a broken transfer is over.
        case mayResume
        /// The quarantine store has room again, or has taken all or nothing of a refused file.
        case keepingChanged
        case kept(Result<Void, Failure>)
        /// Objects in the store that bear the name of a file whose source is gone.
        case sought(Result<[ObjectKey], Failure>)
        case adopted(ObjectKey, Result<StoredObject?, Failure>)
    }

    private var news: [(landing: Landing, news: News)] = []

    var isEmpty: Bool { news.isEmpty }

    func put(_ landing: Landing, _ item: News) { news.append((landing, item)) }

    func takeAll() -> [(landing: Landing, news: News)] {
        defer { news = [] }
        return news
    }
}
