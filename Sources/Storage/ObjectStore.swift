package import Core

/// Where permanent files live; nothing in it is ever overwritten.
package protocol ObjectStore: Sendable {
    /// Proves that files can be stored, by storing a small one and removing it.
    ///
    /// Throws `storage_unwritable` (78) with the place and the fix, `disk_full` (69), or
    /// `storage_unavailable` (69).
    func check() throws(Failure)

    /// Begins to store an object; nothing is visible under `key` before `publish()`.
    ///
    /// The id names the upload for `discard(uploadID:key:)` after a crash; it is used once.
    func begin(key: ObjectKey, uploadID: String) throws(Failure) -> any Upload

    /// Reads an object back, all of it; nil when there is none.
    func find(_ key: ObjectKey) throws(Failure) -> StoredObject?

    /// Bytes of an object; nil when there is none.
    func size(_ key: ObjectKey) throws(Failure) -> Int?

    /// Removes what a crashed upload left behind; nothing to remove is no error.
    func discard(uploadID: String, key: ObjectKey) throws(Failure)

    /// The address that customers see, or the store's own where no public base URL is given.
    func url(for key: ObjectKey, publicBaseURL: String?) -> String
}

/// An object on its way into the store; released without `publish()`, it leaves nothing behind.
package protocol Upload: AnyObject {
    /// Appends bytes. After an error only `cancel()` is of use.
    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure)

    /// Makes the bytes durable; nothing is visible yet.
    func finish() throws(Failure) -> Digest

    /// Makes the finished object visible and durable under `key`, unless one is there.
    ///
    /// After `.alreadyThere` the upload is as before, so that it can be published under
    /// `key.alternative(n)` without fetching the bytes again; no other key will do.
    func publish(as key: ObjectKey) throws(Failure) -> PublishResult

    /// The key that the upload was begun with.
    var key: ObjectKey { get }

    /// Removes what was written.
    func cancel()
}

extension Upload {
    /// Makes the finished object visible and durable under its own key, unless one is there.
    package func publish() throws(Failure) -> PublishResult { try publish(as: key) }
}

/// What became of an object that was to be published.
package enum PublishResult: Equatable, Sendable {
    case published
    /// Somebody was there first, with these bytes; they were not touched.
    case alreadyThere(Digest)
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

/// An object that is in the store, with the digest of what was read back.
package struct StoredObject: Equatable, Sendable {
    package var key: ObjectKey
    package var digest: Digest

    package init(key: ObjectKey, digest: Digest) {
        self.key = key
        self.digest = digest
    }
}
