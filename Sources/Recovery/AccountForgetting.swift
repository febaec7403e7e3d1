import Core
import HTTP
package import Jobs
package import Postgres
package import Storage

/// Forgets an account: what is personal in the database, and then its objects in the stores.
///
/// A step that died is done again: rows name their objects until these are gone.
package struct AccountForgetting {
    private let forgetting: Forgetting
    private let store: any ObjectStore
    private let quarantine: (any ObjectStore)?
    private let session: Session
    private let shouldStop: () -> Bool

    package init(
        account: String, _ store: any ObjectStore, quarantine: (any ObjectStore)?,
        shouldStop: @escaping () -> Bool
    ) throws {
        forgetting = Forgetting(account: account)
        self.store = store
        self.quarantine = quarantine
        self.shouldStop = shouldStop
        session = try Session()
    }

    /// - Returns: What it came to; nil when there was nothing to forget, or somebody wanted it to stop.
    /// - Throws: `other_store` (78) when the store has none of the files; what the stores and the
    ///   database throw.
    package func run(
        _ connection: borrowing Connection, person: String
    ) throws -> PersonalCounts? {
        try checkStore(connection)
        try forgetting.begin(connection, person: person)
        while !shouldStop() {
            if try forgetting.forgetJobs(connection, person: person) == 0 { break }
        }
        while !shouldStop() {
            let page = try forgetting.objects(connection)
            if page.isEmpty { break }
            for object in page where !shouldStop() {
                if let key = ObjectKey(object.objectKey) {
                    try remove(key, uploadID: object.uploadID, from: store)
                }
                try forgetting.forgot(connection, object: object.objectKey)
            }
        }
        while !shouldStop() {
            let names = try forgetting.quarantined(connection)
            if names.isEmpty { break }
            guard let quarantine else {
                throw Failure(
                    .configuration, code: "quarantine_unset",
                    "refused files of this account are where \(StorageLocation.quarantineVariable) "
                        + "once led; set it again, and run this again: everything else is done")
            }
            for name in names where !shouldStop() {
                try remove(ObjectKey(quarantined: name), uploadID: name, from: quarantine)
                try forgetting.forgot(connection, quarantined: name)
            }
        }
        return shouldStop() ? nil : try forgetting.finish(connection)
    }

    /// A store that has none of the files is another one, where removing them proves nothing.
    private func checkStore(_ connection: borrowing Connection) throws {
        let keys = try forgetting.sample(connection).compactMap { ObjectKey($0) }
        guard !keys.isEmpty else { return }
        for key in keys {
            var result: Result<ObjectGlance?, Failure>?
            store.glance(at: key, session) { result = $0 }
            session.run { result != nil || shouldStop() }
            guard let result else { return }
            if try result.get() != nil { return }
        }
        throw Failure(
            .configuration, code: "other_store",
            "the store has none of the last \(keys.count) files of this account; see that "
                + "HOLDFAST_STORAGE_URL names the store that they are in; nothing was changed. Where "
                + "they are gone for good: holdfast asset verify --job says which")
    }

    private func remove(
        _ key: ObjectKey, uploadID: String?, from store: any ObjectStore
    ) throws {
        let part = session.part()
        defer { part.cancel() }
        var result: Result<Void, Failure>?
        store.discard(uploadID: uploadID, key: key, part) { discarded in
            guard case .success = discarded else { return result = discarded }
            store.remove(key, part) { result = $0 }
        }
        session.run { result != nil }
        try result?.get()
    }
}
