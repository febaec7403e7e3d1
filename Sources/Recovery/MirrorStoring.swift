import Core
import HTTP
import Jobs
import Postgres
import Storage

/// Files on their way into the store.
extension StorageMirror {
    // MARK: News

    /// Acts on what handlers have put on the desk.
    mutating func readNews(_ connection: borrowing Connection) throws {
        for (landing, news) in desk.takeAll() where landings[landing.item.name] === landing {
            switch news {
            case .settled(let result): try settled(landing, result, connection)
            case .mayResume: fetch(landing)
            case .changed: try goOn(landing, connection)
            case .keepingChanged: if let tag = landing.tag { session.resume(tag: tag) }
            case .kept(let result): try wasKept(landing, result, connection)
            case .sought(let result): try sought(landing, result, connection)
            case .adopted(let key, let result): try adopt(landing, key, result, connection)
            case .finished(.failure(let failure)): try storeFailed(landing, failure, connection)
            case .finished(.success(let digest))
            where acceptance.map { $0.sha256 != digest.sha256 } ?? false:
                try otherBytes(landing, digest, connection)
            case .finished(.success(let digest)):
                landing.digest = digest
                due.finished.append(landing)
            case .published(_, .failure(let failure)):
                try storeFailed(landing, failure, connection)
            case .published(let key, .success(let result)):
                switch result {
                case .published:
                    storeTrouble.succeeded()
                    due.stored.append((landing, key))
                case .alreadyThere(let other) where other == landing.digest:
                    landing.upload?.cancel()
                    try recordThere(landing, key, connection)
                case .alreadyThere: try conflict(landing, key, connection)
                case .bytesAreGone: fetchAnew(landing)
                }
            }
        }
    }

    private mutating func settled(
        _ landing: Landing, _ result: Result<StoredObject?, Failure>,
        _ connection: borrowing Connection
    ) throws {
        switch result {
        case .failure(let failure): try storeFailed(landing, failure, connection)
        case .success(let there?)
        where there.digest.sha256 == landing.item.sha256
            && Int64(there.digest.bytes) == landing.item.bytes
            && acceptance.map { $0.sha256 == there.digest.sha256 } ?? true:
            landing.digest = there.digest
            try recordThere(landing, there.key, connection)
        case .success: fetch(landing)
        }
    }

    // MARK: Steps

    /// Commits the steps that files have come to, in one transaction, and does what each permits.
    ///
    /// Key and upload are committed before anything is written, and the digest before the object
    /// becomes visible.
    mutating func writeSteps(_ connection: borrowing Connection) throws {
        try openReady(connection)
        guard isTimeToWrite() else { return }
        let opening = landings.values.filter { $0.phase == .opening }
        let written = due
        due = DueSteps()
        let steps =
            opening.compactMap { begun($0) }
            + written.finished.compactMap { completion($0, $0.key) }
            + written.stored.map { storedStep($0.landing, $0.key) }
        guard !steps.isEmpty else { return }
        let results = try files.record(connection, steps)
        forgetLost(results)
        note(results.filter { $0.outcome != "lease_lost" }, of: steps, "stored")
        for landing in written.finished where isOurs(landing) {
            if let key = landing.key { publish(landing, as: key) }
        }
        for landing in opening where isOurs(landing) { try open(landing, connection) }
    }

    private func isOurs(_ landing: Landing) -> Bool { landings[landing.item.name] === landing }

    /// A transaction costs the database as much as several steps, so that the first waits for
    /// others a little, unless half of the files wait already.
    private mutating func isTimeToWrite() -> Bool {
        let landings = landings
        due.finished.removeAll { landings[$0.item.name] !== $0 }
        due.stored.removeAll { landings[$0.landing.item.name] !== $0.landing }
        let opening = landings.values.count { $0.phase == .opening }
        let count = opening + due.finished.count + due.stored.count
        guard count > 0 else {
            due.since = nil
            return false
        }
        let since = due.since ?? .now
        due.since = since
        return count * 2 >= landings.count || ContinuousClock.now - since >= DueSteps.patience
    }

    /// Opens the uploads of files whose type is known now: at once, where nothing is written yet.
    private mutating func openReady(_ connection: borrowing Connection) throws {
        for landing in landings.values where landing.phase == .ready {
            let finding =
                acceptance == nil
                ? MediaType.detect(first: landing.head, declared: landing.declaredType)
                : MediaType.accepted(first: landing.head)
            switch finding {
            case .refused(let reason) where acceptance != nil:
                try refuse(
                    landing, "type_refused",
                    "it is \(reason), which a browser may run, and is not delivered to anybody",
                    connection)
            case .refused(let reason):
                drop(landing)
                landing.refusedAs = reason + Landing.beginning(landing.head)
                try rescue(
                    landing, "the source sent no media: \(reason)", isGone: false, connection)
            case .media(let type):
                let object = newObject(landing, type)
                landing.object = object
                landing.phase = .opening
                if target.store.keepsInMemory(object) { try open(landing, connection) }
            }
        }
    }

    private mutating func open(_ landing: Landing, _ connection: borrowing Connection) throws {
        do {
            try landing.open(target.store) { [desk] in desk.put(landing, .changed) }
        } catch {
            return try storeFailed(landing, error, connection)
        }
        try goOn(landing, connection)
    }

    private func begun(_ landing: Landing) -> FileStep? {
        landing.object.map { object in
            FileStep(
                landing.item,
                .begun(
                    key: object.key.description, uploadID: object.uploadID,
                    contentType: object.type.contentType))
        }
    }

    private func newObject(_ landing: Landing, _ type: MediaType) -> NewObject {
        let item = landing.item
        var key = ObjectKey(
            account: item.accountID, kind: item.kind, jobID: item.jobID, ordinal: item.ordinal,
            fileExtension: type.fileExtension)
        if landing.conflicts > 0 { key = key.alternative(landing.conflicts) }
        var random = SystemRandomNumberGenerator()
        let uploadID =
            "\(wiring.run.runID)-\(item.token)-" + String(random.next() as UInt32, radix: 36)
        return NewObject(
            key: key, uploadID: uploadID, type: type,
            bytes: landing.hasEnded ? landing.received : landing.resumption.totalBytes)
    }

    /// Forgets the files whose leases are lost.
    mutating func forgetLost(_ results: [FileResult]) {
        for result in results where ["lease_lost", "unwritable"].contains(result.outcome) {
            let name = "\(result.jobID)/\(result.ordinal ?? -1)"
            guard let landing = landings.removeValue(forKey: name) else { continue }
            drop(landing)
            landing.stop()
            landing.upload = nil
            if result.outcome == "lease_lost" { report.count("lease_lost") }
        }
    }

    /// Writes on after the upload was opened or has room again.
    private mutating func goOn(_ landing: Landing, _ connection: borrowing Connection) throws {
        guard landing.phase == .streaming else { return }
        do {
            guard try landing.writeHead() else { return }
        } catch {
            return try storeFailed(landing, error, connection)
        }
        if let tag = landing.tag { session.resume(tag: tag) }
        try finishIfEnded(landing, connection)
    }

    // MARK: Finishing

    mutating func finishIfEnded(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws {
        guard landing.hasEnded, landing.phase == .streaming, landing.head.isEmpty else { return }
        if acceptance == nil, let reason = landing.check?.truncation() {
            landing.reset()
            landing.refusedAs = reason
            return try rescue(
                landing, "the source sent no media: \(reason)", isGone: false, connection)
        }
        landing.phase = .storing
        landing.upload?.finish { [desk] in desk.put(landing, .finished($0)) }
    }

    private func publish(_ landing: Landing, as key: ObjectKey) {
        landing.upload?.publish(as: key) { [desk] in desk.put(landing, .published(key, $0)) }
    }

    private func completion(_ landing: Landing, _ key: ObjectKey?) -> FileStep? {
        guard let key, let object = landing.object, let digest = landing.digest else { return nil }
        return FileStep(
            landing.item,
            .complete(
                key: key.description, uploadID: object.uploadID,
                contentType: object.type.contentType, sha256: digest.sha256,
                bytes: Int64(digest.bytes)))
    }

    /// Another object is at the key: the file goes to the next free one.
    private mutating func conflict(
        _ landing: Landing, _ key: ObjectKey, _ connection: borrowing Connection
    ) throws {
        landing.conflicts += 1
        guard landing.conflicts <= 100, let first = landing.key else {
            return try storeFailed(
                landing,
                Failure(
                    .needsPerson, code: "object_conflict",
                    "a hundred other objects are at \(key) and the keys behind it; none was "
                        + "touched; look who puts them there"), connection)
        }
        let next = first.alternative(landing.conflicts)
        report.add(
            .init(
                jobID: landing.item.jobID, code: "object_conflict",
                message: "another object is at \(key); it was not touched, the file goes to \(next)"
            ),
            // Whoever has a file fetched once more knows of the other object.
            status: files.purpose == .refetch ? .done : .needsPerson)
        guard let step = completion(landing, next) else { return fetchAnew(landing) }
        forgetLost(try files.record(connection, [step]))
        if isOurs(landing) { publish(landing, as: next) }
    }

    /// The upload cannot be published under its other key; the file is fetched for a new one.
    private mutating func fetchAnew(_ landing: Landing) {
        landing.reset()
        fetch(landing)
    }

    // MARK: Recording

    /// Writes down what is stored, at the end of a run that is stopped.
    mutating func recordStored(_ connection: borrowing Connection) throws {
        let steps = due.stored.map { storedStep($0.landing, $0.key) }
        due = DueSteps()
        if !steps.isEmpty { try record(connection, steps, "stored") }
    }

    /// The object was there already, by an earlier attempt or another hand.
    mutating func recordThere(
        _ landing: Landing, _ key: ObjectKey, _ connection: borrowing Connection
    ) throws {
        try record(connection, [storedStep(landing, key)], "already_stored")
    }

    private func storedStep(_ landing: Landing, _ key: ObjectKey) -> FileStep {
        FileStep(
            landing.item,
            .stored(
                key: key.description, sha256: landing.digest?.sha256 ?? "",
                bytes: Int64(landing.digest?.bytes ?? 0),
                publicURL: target.store.url(for: key, publicBaseURL: target.publicBaseURL)))
    }

    mutating func record(
        _ connection: borrowing Connection, _ steps: [FileStep], _ word: String
    ) throws {
        let results = try files.record(connection, steps)
        note(results, of: steps, word)
    }

    /// Counts and tells what became of steps.
    private mutating func note(_ results: [FileResult], of steps: [FileStep], _ word: String) {
        let kept = Set(
            results
                .filter {
                    $0.ordinal != nil && !["lease_lost", "unwritable"].contains($0.outcome)
                }
                .map { "\($0.jobID)/\($0.ordinal ?? 0)" })
        for step in steps {
            switch step.kind {
            case .stored, .retry, .refused, .lost:
                guard let landing = landings.removeValue(forKey: step.item.name) else { continue }
                // The upload's handlers hold the landing, and the landing the upload.
                landing.upload = nil
                if kept.contains(step.item.name) { tellEnd(landing, step, word) }
            case .begun, .complete, .refreshed, .slow: break
            }
        }
        for result in results {
            switch result.outcome {
            case "begun", "complete", "slow", "unwritable": break
            case "refreshed":
                report.count(word)
                wiring.tell("file \(result.jobID)/\(result.ordinal ?? 0): \(word)")
            case "stored", "lost", "retry": report.count(word)
            // A file that is no media; without an ordinal it is a delivery that the database refused.
            case "refused" where result.ordinal != nil: report.count(word)
            case "set_aside", "refused_everywhere": tell(refused: result)
            default:
                report.take(delivery: result)
            }
        }
    }
}
