package import Core
internal import Crypto
internal import Disk
internal import Glibc
package import HTTP

/// Objects as files of one folder tree.
///
/// Every step below the root refuses symbolic links, so nothing in the tree can lead out of it;
/// the root itself may be one.
package struct FileStore: ObjectStore {
    package let root: String

    private static let readBytes = 1 << 20

    /// The folder `root` must be absolute.
    package init(root: String) {
        self.root = root
        // A file-size limit of the process is to be an error like a full disk, not a silent death.
        signal(SIGXFSZ, SIG_IGN)
    }

    package func check(_ session: Session, isThorough: Bool) throws(Failure) {
        try createRoot()
        let folder = try openRoot()
        var random = SystemRandomNumberGenerator()
        let name = ".probe-" + String(random.next(), radix: 36)
        let probe = Descriptor(
            openat(folder.number, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
        )
        guard probe.isOpen else { throw failure(errno, "create a file in", root) }
        // A page, because an empty file can be made on a full disk.
        let page = [UInt8](repeating: 0x2e, count: 4096)
        let problem = page.withUnsafeBytes { probe.write($0) ?? probe.sync() }
        let twin = name + "-link"
        let linked = linkat(folder.number, name, folder.number, twin, 0) == 0 ? nil : errno
        unlinkat(folder.number, twin, 0)
        let removed = unlinkat(folder.number, name, 0) == 0 ? nil : errno
        if let problem = problem ?? removed { throw failure(problem, "store a file in", root) }
        if let linked { throw failure(linked, "make a hard link in", root) }
    }

    package func keepsInMemory(_ object: NewObject) -> Bool { false }

    package func begin(
        _ object: NewObject, _ session: Session, whenChanged: @escaping () -> Void
    ) throws(Failure) -> any Upload {
        let key = object.key
        let folder = try openFolder(of: key, creating: true)
        guard let folder else { throw failure(ENOENT, "open", root) }
        let name = Self.temporaryName(object.uploadID)
        let file = Descriptor(
            openat(folder.number, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o640)
        )
        guard file.isOpen else {
            let number = errno
            if number == EEXIST {
                throw Failure(
                    .unavailable, code: "upload_exists",
                    "\(root): an earlier upload with the same id left \(name) for \(key);"
                        + " it is removed with discard before another begins")
            }
            throw failure(number, "create a file in", root)
        }
        return FileUpload(
            store: self, key: key, folder: folder, file: file, temporaryName: name)
    }

    package func find(
        _ key: ObjectKey, _ session: Session, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                guard let folder = try openFolder(of: key, creating: false) else { return nil }
                return try digest(of: key, in: folder, progress)
                    .map { StoredObject(key: key, digest: $0) }
            })
    }

    package func glance(
        at key: ObjectKey, _ session: Session,
        then: @escaping (Result<ObjectGlance?, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                guard let folder = try openFolder(of: key, creating: false),
                    let object = try openObject(key, in: folder)
                else { return nil }
                guard let bytes = object.size else {
                    throw failure(errno, "look at \(key) in", root)
                }
                return ObjectGlance(bytes: bytes)
            })
    }

    package func discard(
        uploadID: String?, key: ObjectKey, _ session: Session,
        then: @escaping (Result<Void, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                guard let uploadID, let folder = try openFolder(of: key, creating: false),
                    unlinkat(folder.number, Self.temporaryName(uploadID), 0) != 0
                else { return }
                let number = errno
                if number != ENOENT { throw failure(number, "remove a file in", root) }
            })
    }

    /// Removes what was left of documents; of a job's files the next claim knows the names itself.
    package func discardAll(
        begunBefore instant: Instant, _ session: Session,
        then: @escaping (Result<Int, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                let folder = try openRoot()
                var count = 0
                for name in Self.names(in: root) where Self.isTemporary(name) {
                    var status = stat()
                    guard fstatat(folder.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                        status.st_mode & S_IFMT == S_IFREG,
                        Int64(status.st_mtim.tv_sec) < instant.unixSeconds
                    else { continue }
                    if unlinkat(folder.number, name, 0) == 0 { count += 1 }
                }
                return count
            })
    }

    private static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }

    private static func isTemporary(_ name: String) -> Bool {
        name.hasPrefix(".report") && name.hasSuffix(".part")
    }

    package func url(for key: ObjectKey, publicBaseURL: String?) -> String {
        var base = publicBaseURL ?? "file://" + PercentEscape.encode(path: root)
        while base.hasSuffix("/") { base.removeLast() }
        return "\(base)/\(key)"
    }

    static func temporaryName(_ uploadID: String) -> String {
        "." + ObjectKey.escape(uploadID) + ".part"
    }

    // MARK: Reading

    /// Bytes and checksum of what is at `key`; nil when nothing is.
    func digest(
        of key: ObjectKey, in folder: borrowing Descriptor, _ progress: (Int) -> Void = { _ in }
    ) throws(Failure) -> Digest? {
        guard let object = try openObject(key, in: folder) else { return nil }
        var hash = SHA256()
        var bytes = 0
        var buffer = [UInt8](repeating: 0, count: Self.readBytes)
        while true {
            let count = buffer.withUnsafeMutableBytes { object.read(into: $0) }
            guard count >= 0 else { throw failure(errno, "read \(key) in", root) }
            if count == 0 { break }
            buffer.withUnsafeBytes { hash.update(bufferPointer: .init(rebasing: $0[..<count])) }
            bytes += count
            progress(count)
        }
        return Digest(bytes: bytes, sha256: Hex.text(hash.finalize()))
    }

    func openObject(_ key: ObjectKey, in folder: borrowing Descriptor) throws(Failure)
        -> Descriptor?
    {
        // Without O_NONBLOCK a named pipe in place of the file would hold up the run.
        let file = Descriptor(
            openat(
                folder.number, key.fileName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0))
        guard file.isOpen else {
            let number = errno
            if number == ENOENT { return nil }
            throw failure(number, "open \(key) in", root)
        }
        guard file.isRegularFile else {
            throw Failure(
                .configuration, code: "storage_unwritable",
                "\(root)/\(key) is not a regular file; move it away")
        }
        return file
    }

    // MARK: Folders

    func openRoot() throws(Failure) -> Descriptor {
        let folder = Descriptor(Glibc.open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard folder.isOpen else { throw failure(errno, "open", root) }
        return folder
    }

    /// The folder that `key` lies in; nil when it is not there and not to be created.
    ///
    /// The root is never created here: an absent one may be a volume that is not mounted.
    func openFolder(of key: ObjectKey, creating: Bool) throws(Failure) -> Descriptor? {
        var folder = try openRoot()
        var path = root
        for name in key.folders {
            path += "/" + name
            if creating, mkdirat(folder.number, name, 0o755) == 0 {
                try settle(name, in: folder, path)
            } else if creating, errno != EEXIST {
                throw failure(errno, "create the folder", path)
            }
            let next = Descriptor(
                openat(folder.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0))
            guard next.isOpen else {
                let number = errno
                if number == ENOENT && !creating { return nil }
                throw failure(number, "open the folder", path)
            }
            folder = next
        }
        return folder
    }

    private func createRoot() throws(Failure) {
        var path = ""
        for name in root.split(separator: "/") {
            let parent = path
            path += "/" + name
            // Folders on the way need not be readable, so they are walked by path, not opened.
            if mkdir(path, 0o755) == 0 {
                guard chmod(path, 0o755) == 0 else {
                    throw failure(errno, "set the mode of the folder", path)
                }
                let folder = Descriptor(
                    Glibc.open(parent + "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
                if folder.isOpen, let problem = folder.sync() {
                    throw failure(problem, "create the folder", path)
                }
            } else if errno != EEXIST {
                throw failure(errno, "create the folder", path)
            }
        }
    }

    /// Gives a new folder its mode whatever the umask is, and makes its entry durable.
    private func settle(_ name: String, in parent: borrowing Descriptor, _ path: String)
        throws(Failure)
    {
        guard fchmodat(parent.number, name, 0o755, 0) == 0 else {
            throw failure(errno, "set the mode of the folder", path)
        }
        if let problem = parent.sync() { throw failure(problem, "create the folder", path) }
    }
}
