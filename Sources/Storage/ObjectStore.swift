package import Core
package import HTTP

/// Where permanent files live; nothing in it is ever overwritten.
///
/// What takes time goes through a session, and says by a handler when it is done: at once where the
/// store is a folder, and within `Session.step(wait:)` where it is behind a network.
package protocol ObjectStore: KeepsMarkers, ListsObjects, Sendable {
    /// Proves that files can be stored.
    ///
    /// A thorough check stores a small object, reads it and removes it. The other one writes
    /// nothing where that would cost money. Throws `storage_unwritable` (78) and the like with the
    /// place and the fix, `disk_full` (69), or `storage_unavailable` (69).
    func check(_ session: Session, isThorough: Bool) throws(Failure)

    /// Tries what the server does with a write to a key that is taken; nil where that is known.
    ///
    /// It stores, reads and removes small objects. Throws what the store says.
    func tryTakenKey(_ session: Session) throws(Failure) -> TakenKey?

    /// Whether all of the object stays in this process's memory until `publish`.
    ///
    /// Then there is nothing that a crash could leave behind before that.
    func keepsInMemory(_ object: NewObject) -> Bool

    /// Begins to store an object; nothing is visible under its key before `publish`.
    ///
    /// `whenChanged` is called when there is room again after `.full`, and when the upload failed.
    func begin(
        _ object: NewObject, _ session: Session, whenChanged: @escaping () -> Void
    ) throws(Failure) -> any Upload

    /// Reads an object back, all of it; nil when there is none.
    ///
    /// `progress` gets the number of bytes of each piece read.
    func find(
        _ key: ObjectKey, _ session: Session, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void)

    /// What the store says of an object, without reading it; nil when it says that there is none.
    func glance(
        at key: ObjectKey, _ session: Session,
        then: @escaping (Result<ObjectGlance?, Failure>) -> Void)

    /// Removes an object; that there is none is no error.
    func remove(
        _ key: ObjectKey, _ session: Session, then: @escaping (Result<Void, Failure>) -> Void)

    /// Removes what crashed uploads of this key left behind; nothing to remove is no error.
    func discard(
        uploadID: String?, key: ObjectKey, _ session: Session,
        then: @escaping (Result<Void, Failure>) -> Void)

    /// Removes uploads that began before `instant`; says how many there were.
    func discardAll(
        begunBefore instant: Instant, _ session: Session,
        then: @escaping (Result<Int, Failure>) -> Void)

    /// The address that customers see, or the store's own where no public base URL is given.
    func url(for key: ObjectKey, publicBaseURL: String?) -> String

    /// A link that anybody may read the object by until it expires; nil where the store has none.
    func link(to key: ObjectKey, expires: Duration, _ session: Session) -> String?
}

/// What a server does with a write to a key that is taken, on the condition that it is not.
package enum TakenKey: Equatable, Sendable {
    case isRefused
    /// The condition is not looked at.
    case isOverwritten
    /// The same at the end of an object in parts alone.
    case isOverwrittenInParts
    /// Writes with a condition are refused; the server's answer.
    case conditionIsRefused(String)
}

extension ObjectStore {
    package func tryTakenKey(_ session: Session) throws(Failure) -> TakenKey? { nil }

    package func link(to key: ObjectKey, expires: Duration, _ session: Session) -> String? { nil }

    package func find(
        _ key: ObjectKey, _ session: Session,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        find(key, session, progress: { _ in }, then: then)
    }
}

/// What is known of an object before its first byte.
package struct NewObject: Equatable, Sendable {
    package var key: ObjectKey
    /// Names the upload for `discard` after a crash; it is used once.
    package var uploadID: String
    package var type: MediaType
    /// Nil where the source does not tell.
    package var bytes: Int64?

    package init(key: ObjectKey, uploadID: String, type: MediaType, bytes: Int64? = nil) {
        self.key = key
        self.uploadID = uploadID
        self.type = type
        self.bytes = bytes
    }
}

/// What became of bytes that were offered to an upload.
package enum WriteAnswer: Sendable {
    case taken
    /// None was taken; the upload says when there is room again.
    case full
}

/// An object on its way into the store; released without `publish`, it leaves nothing behind.
package protocol Upload: AnyObject {
    /// The key that the upload was begun with.
    var key: ObjectKey { get }

    /// Appends all of the bytes or none. After an error only `cancel()` is of use.
    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> WriteAnswer

    /// No bytes follow: makes them durable; nothing is visible yet.
    func finish(then: @escaping (Result<Digest, Failure>) -> Void)

    /// Makes the finished object visible and durable under `key`, unless one is there, and proves
    /// that the store has the bytes that were written.
    ///
    /// After `.alreadyThere` the upload is as before, so that it can be published under
    /// `key.alternative(n)`, unless it answers `.bytesAreGone`; no other key will do.
    func publish(as key: ObjectKey, then: @escaping (Result<PublishResult, Failure>) -> Void)

    /// Removes what was written, if need be after this call.
    func cancel()
}

/// Codes of failures that concern one upload and not the store.
package enum UploadFailure {
    /// The store has forgotten the upload; the file is to be begun anew, and nobody need look.
    package static let gone = "upload_gone"
}

/// What became of an object that was to be published.
package enum PublishResult: Equatable, Sendable {
    case published
    /// Somebody was there first, with these bytes; they were not touched.
    case alreadyThere(Digest)
    /// The bytes cannot be had again from this upload; they must be fetched for another one.
    case bytesAreGone
}

/// Length and checksum of an object's bytes.
package struct Digest: Equatable, Sendable {
    package var bytes: Int
    /// 64 lower-case hexadecimal digits.
    package var sha256: String

    package init(bytes: Int, sha256: String) {
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// What a store says of an object that it has.
package struct ObjectGlance: Equatable, Sendable {
    package var bytes: Int
    /// Nil where the store does not tell it of the whole object.
    package var sha256: String?

    package init(bytes: Int, sha256: String? = nil) {
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// An object that is in the store, with the digest of what was read back.
package struct StoredObject: Equatable, Sendable {
    package var key: ObjectKey
    package var digest: Digest

    package init(key: ObjectKey, digest: Digest) {
        self.key = key
        self.digest = digest
    }
}
