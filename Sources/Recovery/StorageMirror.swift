package import Core
package import HTTP
import Jobs
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

    package init(store: any ObjectStore, publicBaseURL: String?, egressAllow: [CIDR]) {
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
    let limits: ProviderLimits
    let started = ContinuousClock.now
    var chance = SystemRandomNumberGenerator()
    var client: Client?
    var landings: [Int: Landing] = [:]
    /// Files whose source is asked for a fresh address.
    var rescues: [Int: Rescue] = [:]
    /// Everything claimed whose end is not recorded yet, by name: what a run that ends early owes.
    var held: [String: FileItem] = [:]
    var nextTag = 0
    /// Named jobs all of whose files were claimed already.
    var taken: Set<String> = []
    var lastRenewal = ContinuousClock.now
    var report = RunReport()

    package init(_ wiring: Wiring, _ target: MirrorTarget, _ selection: Selection) {
        self.wiring = wiring
        self.target = target
        self.selection = selection
        files = Files(run: wiring.run)
        limits = ProviderLimits(run: wiring.run)
    }

    package consuming func run(_ connection: borrowing Connection) throws -> RunReport {
        var mayClaim = true
        do {
            while true {
                if wiring.shouldStop() {
                    try giveBack(connection)
                    break
                }
                if mayClaim { mayClaim = try claimMore(connection) }
                if landings.isEmpty, rescues.isEmpty {
                    guard mayClaim else { break }
                    continue
                }
                try collect(connection)
                try openReady(connection)
                try renewIfDue(connection)
            }
        } catch let failure as Failure
            where failure.status == .unavailable || failure.status == .configuration
        {
            // The store is full or gone: no file is lost by it, all leases go back.
            try giveBack(connection)
            report.add(.init(code: failure.code, message: failure.message), status: failure.status)
        }
        return report
    }

    // MARK: Claiming

    private mutating func claimMore(_ connection: borrowing Connection) throws -> Bool {
        guard ContinuousClock.now - started < selection.timeBudget else { return false }
        let underWay = landings.count + rescues.count
        var room = selection.concurrency - underWay
        if let limit = selection.limit { room = min(room, limit - report.examined) }
        guard room > 0 else { return selection.limit.map { report.examined < $0 } ?? true }
        guard underWay == 0 || room >= max(selection.concurrency / 4, 1) else { return true }
        // Files of named jobs are due whatever their backoff says, but once in a run.
        let named = selection.jobIDs.filter { !taken.contains($0) }
        guard selection.jobIDs.isEmpty || !named.isEmpty else { return false }
        let claim = try files.claim(
            connection, most: room, jobIDs: named, providers: selection.providers)
        if claim.items.count < room { taken.formUnion(named) }
        for jobID in claim.setAside {
            report.count("set_aside")
            report.add(
                .init(
                    jobID: jobID, code: "crashed",
                    message: "set aside: the claims of its files keep ending without a result; "
                        + "see holdfast job show \(jobID)"),
                status: .needsPerson)
        }
        report.examined += claim.items.count
        for item in claim.items { held[item.name] = item }
        for item in claim.items {
            let landing = Landing(item, limitBytes: wiring.run.maxFileBytes)
            if try !finishEarlierAttempt(landing, connection) { fetch(landing) }
        }
        return claim.items.count >= room
    }

    /// After a crash: removes what it left behind, and takes an object that it had already completed.
    private mutating func finishEarlierAttempt(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws -> Bool {
        let item = landing.item
        guard let text = item.objectKey, let key = ObjectKey(text) else { return false }
        if let uploadID = item.uploadID { try target.store.discard(uploadID: uploadID, key: key) }
        guard let sha256 = item.sha256, let bytes = item.bytes,
            let there = try target.store.find(key), there.digest.sha256 == sha256,
            there.digest.bytes == bytes
        else { return false }
        try record(connection, [stored(landing, key, there.digest)], "already_stored")
        return true
    }

    // MARK: Fetching

    mutating func fetch(_ landing: Landing) {
        do {
            if client == nil { client = try Client() }
        } catch {
            return
        }
        let item = landing.item
        // A file behind the provider's key; without the key it is asked for bare, and refused.
        let headers =
            (try? wiring.providers.provider(item.provider)?.downloadHeaders(for: item.sourceURL))
            ?? []
        landing.showsKey = !headers.isEmpty
        nextTag += 1
        landings[nextTag] = landing
        client?.download(
            Request(
                url: item.sourceURL, headers: headers, timeout: wiring.run.transferLimit,
                egress: .publicOnly(allowing: target.egressAllow)),
            tag: nextTag, sink: landing)
    }

    private mutating func collect(_ connection: borrowing Connection) throws {
        guard let completions = client?.step(wait: .milliseconds(200)) else { return }
        var complete: [Landing] = []
        for completion in completions {
            if let rescue = rescues.removeValue(forKey: completion.tag) {
                try take(rescue, completion.result, connection)
                continue
            }
            guard let landing = landings.removeValue(forKey: completion.tag) else { continue }
            switch completion.result {
            case .failure(let error):
                if let failure = landing.storeFailure { throw failure }
                try putOff(
                    landing,
                    landing.exceedsLimit
                        ? "larger than max_file_bytes (\(landing.limitBytes))" : error.message,
                    connection)
                if error.code == .blockedAddress || landing.exceedsLimit {
                    report.add(
                        .init(
                            jobID: landing.item.jobID,
                            code: landing.exceedsLimit ? "too_large" : error.code.rawValue,
                            message: landing.exceedsLimit
                                ? "file \(landing.item.name) is larger than max_file_bytes "
                                    + "(\(landing.limitBytes) bytes); raise it with "
                                    + "holdfast policy set max_file_bytes"
                                : error.message),
                        status: .needsPerson)
                }
            case .success(let response) where response.status == 200:
                landing.hasEnded = true
                if landing.phase == .streaming {
                    complete.append(landing)
                } else {
                    nextTag += 1
                    landings[nextTag] = landing
                    landing.phase = .ready
                }
            case .success(let response) where [401, 403, 404, 410].contains(response.status):
                try rescue(
                    landing, "the source answered HTTP \(response.status)",
                    isGone: landing.isGone(by: response.status), connection)
            case .success(let response):
                try putOff(landing, "the source answered HTTP \(response.status)", connection)
            }
        }
        try publish(complete, connection)
    }

    // MARK: Storing

    /// Commits key and upload of every file whose type is known now, then opens the uploads.
    private mutating func openReady(_ connection: borrowing Connection) throws {
        var steps: [FileStep] = []
        var opening: [(tag: Int, landing: Landing, key: ObjectKey, uploadID: String)] = []
        for (tag, landing) in landings where landing.phase == .ready && landing.upload == nil {
            switch MediaType.detect(first: landing.head, declared: landing.declaredType) {
            case .refused(let reason):
                landings[tag] = nil
                client?.cancel(tag: tag)
                try rescue(
                    landing, "the source sent no media: \(reason)", isGone: false, connection)
            case .media(let type):
                landing.check = TruncationCheck(type)
                let item = landing.item
                let key = ObjectKey(
                    account: item.accountID, kind: item.kind, jobID: item.jobID,
                    ordinal: item.ordinal, fileExtension: type.fileExtension)
                let uploadID = "\(wiring.run.runID)-\(item.token)-\(tag)"
                steps.append(
                    FileStep(
                        item,
                        .begun(
                            key: key.description, uploadID: uploadID, contentType: type.contentType)
                    ))
                opening.append((tag, landing, key, uploadID))
            }
        }
        guard !steps.isEmpty else { return }
        let lost = Set(
            try files.record(connection, steps).filter { $0.outcome == "lease_lost" }
                .map { "\($0.jobID)/\($0.ordinal ?? -1)" })
        var complete: [Landing] = []
        for (tag, landing, key, uploadID) in opening {
            if lost.contains(landing.item.name) {
                landings[tag] = nil
                client?.cancel(tag: tag)
                report.count("lease_lost")
                continue
            }
            try landing.open(target.store, key: key, uploadID: uploadID)
            if landing.hasEnded {
                landings[tag] = nil
                complete.append(landing)
            } else {
                client?.resume(tag: tag)
            }
        }
        try publish(complete, connection)
    }

    /// Commits the digests, makes the objects visible, reads them back, and records them as stored;
    /// but for files that broke off, which are cancelled.
    private mutating func publish(
        _ landed: [Landing], _ connection: borrowing Connection
    ) throws {
        var complete: [Landing] = []
        for landing in landed {
            guard let finding = landing.check?.truncation() else {
                complete.append(landing)
                continue
            }
            try rescue(landing, "the source sent no media: \(finding)", isGone: false, connection)
        }
        guard !complete.isEmpty else { return }
        var digests: [Digest] = []
        for landing in complete {
            guard let upload = landing.upload else { continue }
            digests.append(try upload.finish())
        }
        let steps = zip(complete, digests).map { landing, digest in
            FileStep(
                landing.item,
                .complete(
                    key: landing.key?.description ?? "", sha256: digest.sha256,
                    bytes: Int64(digest.bytes)))
        }
        let lost = Set(
            try files.record(connection, steps).filter { $0.outcome == "lease_lost" }
                .map { "\($0.jobID)/\($0.ordinal ?? -1)" })
        var stored: [FileStep] = []
        var wereThere: [FileStep] = []
        for (landing, digest) in zip(complete, digests) {
            guard !lost.contains(landing.item.name) else {
                landing.upload?.cancel()
                report.count("lease_lost")
                continue
            }
            let (key, wasThere) = try makeVisible(landing, digest, connection)
            guard let there = try target.store.find(key), there.digest == digest else {
                throw Failure(
                    .unavailable, code: "stored_object_differs",
                    "object \(key) reads back with another size or checksum than was written; "
                        + "check the disk under HOLDFAST_STORAGE_URL")
            }
            let step = self.stored(landing, key, digest)
            if wasThere { wereThere.append(step) } else { stored.append(step) }
        }
        try record(connection, stored, "stored")
        try record(connection, wereThere, "already_stored")
    }

    /// Publishes under the file's key, or under the next free one when another object is there.
    private mutating func makeVisible(
        _ landing: Landing, _ digest: Digest, _ connection: borrowing Connection
    ) throws -> (key: ObjectKey, wasThere: Bool) {
        guard let upload = landing.upload, let first = landing.key else {
            throw Failure(.defect, code: "no_upload", "file \(landing.item.name) has no upload")
        }
        var key = first
        for n in 1...100 {
            switch try upload.publish(as: key) {
            case .published:
                return (key, false)
            case .alreadyThere(let other) where other == digest:
                upload.cancel()
                return (key, true)
            case .alreadyThere:
                report.add(
                    .init(
                        jobID: landing.item.jobID, code: "object_conflict",
                        message: "another object is at \(key); it was not touched, the file goes "
                            + "to \(first.alternative(n))"),
                    status: .needsPerson)
                key = first.alternative(n)
                _ = try files.record(
                    connection,
                    [
                        FileStep(
                            landing.item,
                            .complete(
                                key: key.description, sha256: digest.sha256,
                                bytes: Int64(digest.bytes)))
                    ])
            }
        }
        throw Failure(
            .unavailable, code: "object_conflict", "a hundred other objects are at \(first)")
    }

    private func stored(_ landing: Landing, _ key: ObjectKey, _ digest: Digest) -> FileStep {
        FileStep(
            landing.item,
            .stored(
                key: key.description, sha256: digest.sha256, bytes: Int64(digest.bytes),
                publicURL: target.store.url(for: key, publicBaseURL: target.publicBaseURL)))
    }

    // MARK: Recording

    mutating func record(
        _ connection: borrowing Connection, _ steps: [FileStep], _ word: String
    ) throws {
        let results = try files.record(connection, steps)
        for step in steps {
            switch step.kind {
            case .stored, .retry, .lost: held[step.item.name] = nil
            case .begun, .complete, .refreshed: break
            }
        }
        for result in results {
            switch result.outcome {
            case "stored", "lost", "retry", "refreshed":
                report.count(word)
                wiring.tell("file \(result.jobID)/\(result.ordinal ?? 0): \(word)")
            case "braked":
                report.count("braked")
                report.add(
                    .init(
                        jobID: result.jobID, code: "braked",
                        message:
                            "would \(result.action ?? "settle") \(result.amount ?? 0) credits; "
                            + "\(result.detail ?? "a brake"); look first, then holdfast policy release-brake"
                    ),
                    status: .needsPerson)
            default:
                if result.action == nil || result.action != "void" || result.outcome != "delivered"
                {
                    report.count(result.outcome)
                }
                if let action = result.action, let word = RunReport.creditWords[action] {
                    report.add(credits: result.amount ?? 0, as: word)
                }
            }
        }
    }

    /// Puts a file off after a failure that may pass.
    mutating func putOff(
        _ landing: Landing, _ message: String, _ connection: borrowing Connection
    ) throws {
        landing.upload?.cancel()
        let wait = Backoff(base: Rules.backoffBase, maximum: .seconds(600))
            .wait(attempt: landing.item.attempts + 1, using: &chance)
        try record(
            connection, [FileStep(landing.item, .retry(wait: wait, message: message))],
            "retry_later")
    }

    private mutating func renewIfDue(_ connection: borrowing Connection) throws {
        guard ContinuousClock.now - lastRenewal >= wiring.run.lease / 4 else { return }
        lastRenewal = .now
        try files.renew(
            connection, landings.values.map(\.item) + rescues.values.map(\.landing.item))
    }

    private mutating func giveBack(_ connection: borrowing Connection) throws {
        for landing in landings.values { landing.upload?.cancel() }
        for tag in landings.keys { client?.cancel(tag: tag) }
        for tag in rescues.keys { client?.cancel(tag: tag) }
        landings = [:]
        rescues = [:]
        // Also those that were on their way to the store when it failed.
        try files.release(connection, Array(held.values))
        held = [:]
    }
}
