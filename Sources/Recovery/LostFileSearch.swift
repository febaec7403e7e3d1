import Core
import HTTP
import Jobs
import Postgres
import Storage

/// Files whose source is gone, and whose object may be in the store although no row knows it: a
/// database that lost commits has forgotten what was stored since.
extension StorageMirror {
    /// Looks through the store for objects that bear the file's name.
    func seek(_ landing: Landing) {
        landing.wasSought = true
        landing.reset()
        landing.phase = .settling
        let name = ObjectKey(
            account: landing.item.accountID, kind: landing.item.kind, jobID: landing.item.jobID,
            ordinal: landing.item.ordinal, fileExtension: "bin")
        target.store.list(below: name.filePrefix, after: nil, landing.steps) { [desk] result in
            desk.put(
                landing,
                .sought(
                    result.map { page in
                        page.objects.compactMap { ObjectKey($0.name) }
                            .filter { $0.isOfSameFile(as: name) }
                    }))
        }
    }

    /// Takes the one object that there is; where there are several, a person has to choose.
    mutating func sought(
        _ landing: Landing, _ result: Result<[ObjectKey], Failure>,
        _ connection: borrowing Connection
    ) throws {
        switch result {
        case .failure(let failure) where failure.status == .unavailable:
            try storeFailed(landing, failure, connection)
        case .failure(let failure):
            // A login that may not list has never been able to tell.
            wiring.tell("file \(landing.item.name): \(failure.message)")
            try giveUp(landing, connection)
        case .success(let keys) where keys.count == 1:
            target.store.find(keys[0], landing.steps) { [desk] found in
                desk.put(landing, .adopted(keys[0], found))
            }
        case .success(let keys):
            if keys.count > 1 {
                landing.refusal.reason +=
                    "; \(keys.count) objects in the store bear its name, such as \(keys[0]): see "
                    + "holdfast asset verify --orphans"
            }
            try giveUp(landing, connection)
        }
    }

    /// Records the object as the file's, with the digest of what was read back.
    mutating func adopt(
        _ landing: Landing, _ key: ObjectKey, _ result: Result<StoredObject?, Failure>,
        _ connection: borrowing Connection
    ) throws {
        switch result {
        case .failure(let failure): try storeFailed(landing, failure, connection)
        case .success(nil): try giveUp(landing, connection)
        case .success(let there?) where there.digest.bytes == 0: try giveUp(landing, connection)
        case .success(let there?)
        where try !Marks(run: wiring.run).mayAdopt(
            connection, landing.item, key: key.description, sha256: there.digest.sha256):
            try giveUp(landing, connection)
        case .success(let there?):
            landing.digest = there.digest
            let step = FileStep(
                landing.item,
                .complete(
                    key: key.description, uploadID: "\(wiring.run.runID)-found",
                    contentType: MediaType(ofKey: key).contentType, sha256: there.digest.sha256,
                    bytes: Int64(there.digest.bytes)))
            let results = try files.record(connection, [step])
            guard !results.contains(where: { $0.outcome == "lease_lost" }) else {
                return forgetLost(results)
            }
            wiring.tell("file \(landing.item.name): \(key) was in the store, and is taken")
            try recordThere(landing, key, connection)
        }
    }
}
