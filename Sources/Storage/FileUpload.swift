internal import Core
internal import Crypto
internal import Disk
internal import Glibc

/// An object on its way into a `FileStore`: a hidden file beside its final name.
final class FileUpload: Upload {
    private enum Stage { case writing, finished, over }

    let key: ObjectKey
    private let store: FileStore
    private let folder: Descriptor
    private let file: Descriptor
    private let temporaryName: String
    private var stage = Stage.writing
    private var hash = SHA256()
    private var digest: Digest?
    private var bytes = 0
    private var bytesOnTheirWay = 0

    /// How much may wait in memory for the disk, so that `finish()` does not take minutes.
    private static let writeBehindBytes = 16 << 20

    init(
        store: FileStore, key: ObjectKey, folder: consuming Descriptor, file: consuming Descriptor,
        temporaryName: String
    ) {
        self.store = store
        self.key = key
        self.folder = folder
        self.file = file
        self.temporaryName = temporaryName
    }

    deinit { cancel() }

    func write(_ piece: UnsafeRawBufferPointer) throws(Failure) -> WriteAnswer {
        guard stage == .writing else { throw misuse("write") }
        if let problem = file.write(piece) {
            throw store.failure(problem, "write \(key) to", store.root)
        }
        hash.update(bufferPointer: piece)
        bytes += piece.count
        guard bytes - bytesOnTheirWay >= Self.writeBehindBytes else { return .taken }
        // Starts to write these pages and gives up caching them: nobody reads them soon.
        posix_fadvise(
            file.number, off_t(bytesOnTheirWay), off_t(bytes - bytesOnTheirWay),
            POSIX_FADV_DONTNEED)
        bytesOnTheirWay = bytes
        return .taken
    }

    func finish(then: @escaping (Result<Digest, Failure>) -> Void) {
        then(Result { () throws(Failure) in try finish() })
    }

    private func finish() throws(Failure) -> Digest {
        guard stage == .writing else { throw misuse("finish") }
        guard fchmod(file.number, 0o644) == 0 else {
            throw store.failure(errno, "set the mode of \(key) in", store.root)
        }
        if let problem = file.sync() {
            throw store.failure(problem, "write \(key) to", store.root)
        }
        guard file.size == bytes else {
            throw Failure(
                .unavailable, code: "storage_unavailable",
                "\(store.root): \(key) does not have the \(bytes) bytes that were written")
        }
        stage = .finished
        let digest = Digest(bytes: bytes, sha256: Hex.text(hash.finalize()))
        self.digest = digest
        return digest
    }

    func publish(as key: ObjectKey, then: @escaping (Result<PublishResult, Failure>) -> Void) {
        then(Result { () throws(Failure) in try publish(as: key) })
    }

    private func publish(as key: ObjectKey) throws(Failure) -> PublishResult {
        guard stage == .finished, key.isAlternative(of: self.key) else { throw misuse("publish") }
        switch moveIntoPlace(key.fileName) {
        case nil: stage = .over
        case EEXIST:
            guard let there = try store.digest(of: key, in: folder) else {
                throw store.failure(ESTALE, "read \(key) in", store.root)
            }
            return .alreadyThere(there)
        case let problem?:
            throw store.failure(problem, "publish \(key) in", store.root)
        }
        if let problem = folder.sync() {
            throw store.failure(problem, "publish \(key) in", store.root)
        }
        guard try store.digest(of: key, in: folder) == digest else {
            throw Failure(
                .unavailable, code: "stored_object_differs",
                "object \(key) reads back with another size or checksum than was written; "
                    + "check the disk under \(store.root)")
        }
        return .published
    }

    func cancel() {
        guard stage != .over else { return }
        stage = .over
        unlinkat(folder.number, temporaryName, 0)
    }

    /// Gives the file its final name unless that is taken; the errno when it failed.
    ///
    /// A hard link is never made over an existing name, on NFS neither; a rename would be. After a
    /// crash between the two steps the hidden name is one more for the same bytes.
    private func moveIntoPlace(_ name: String) -> Int32? {
        guard linkat(folder.number, temporaryName, folder.number, name, 0) == 0 else {
            return errno
        }
        unlinkat(folder.number, temporaryName, 0)
        return nil
    }

    private func misuse(_ step: String) -> Failure {
        Failure(.defect, code: "upload_out_of_order", "\(key): \(step) is out of order here")
    }
}
