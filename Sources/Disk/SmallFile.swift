internal import Glibc

/// A small file in a folder that is below another one, read and written whole.
///
/// Neither the folder nor the file may be a symbolic link, so that nothing leads out of the root.
package struct SmallFile {
    private let root: String
    private let folder: String
    private let name: String

    package init(root: String, folder: String, name: String) {
        self.root = root
        self.folder = folder
        self.name = name
    }

    /// What is in it.
    package enum Content: Equatable {
        case absent
        case bytes([UInt8])
        case tooLarge
    }

    /// Reads it, unless it has more bytes than the limit.
    ///
    /// - Throws: an errno; `EINVAL` when it is no regular file.
    package func read(limitBytes: Int) throws(Descriptor.Problem) -> Content {
        guard let folder = try open(creating: false) else { return .absent }
        // Without O_NONBLOCK a named pipe in its place would hold up the run.
        let file = Descriptor(
            openat(folder.number, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0))
        guard file.isOpen else {
            if errno == ENOENT { return .absent }
            throw Descriptor.Problem(number: errno)
        }
        guard file.isRegularFile else { throw Descriptor.Problem(number: EINVAL) }
        let bytes = try file.readAll(limitBytes + 1).get()
        return bytes.count > limitBytes ? .tooLarge : .bytes(bytes)
    }

    /// Writes it durably; with `replacing` whatever is there, else only when nothing is.
    ///
    /// - Returns: false when something is there and was left as it is.
    /// - Throws: an errno.
    package func write(
        _ bytes: [UInt8], replacing: Bool
    ) throws(Descriptor.Problem) -> Bool {
        guard let folder = try open(creating: true) else {
            throw Descriptor.Problem(number: ENOENT)
        }
        var random = SystemRandomNumberGenerator()
        let draft = ".\(name)-" + String(random.next(), radix: 36)
        let file = Descriptor(
            openat(
                folder.number, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644))
        guard file.isOpen else { throw Descriptor.Problem(number: errno) }
        defer { unlinkat(folder.number, draft, 0) }
        let problem = bytes.withUnsafeBytes { file.write($0) } ?? file.sync()
        if let problem { throw Descriptor.Problem(number: problem) }
        // Read by every login that runs a program, whatever the umask is.
        fchmod(file.number, 0o644)
        giveToOwner(file.number)
        guard
            replacing
                ? renameat(folder.number, draft, folder.number, name) == 0
                : try place(draft, in: folder.number)
        else {
            if !replacing { return false }
            throw Descriptor.Problem(number: errno)
        }
        if let problem = folder.sync() { throw Descriptor.Problem(number: problem) }
        return true
    }

    /// Gives the draft its name unless that is taken; false when it is.
    private func place(_ draft: String, in folder: Int32) throws(Descriptor.Problem) -> Bool {
        if linkat(folder, draft, folder, name, 0) == 0 { return true }
        if errno == EEXIST { return false }
        guard errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK else {
            throw Descriptor.Problem(number: errno)
        }
        // A file system without hard links: the name is taken by an empty file, and then filled.
        let taken = Descriptor(
            openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644))
        if !taken.isOpen, errno == EEXIST { return false }
        guard taken.isOpen, renameat(folder, draft, folder, name) == 0 else {
            throw Descriptor.Problem(number: errno)
        }
        return true
    }

    private func open(creating: Bool) throws(Descriptor.Problem) -> Descriptor? {
        // The root is never created here: an absent one may be a volume that is not mounted.
        let above = Descriptor(Glibc.open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard above.isOpen else { throw Descriptor.Problem(number: errno) }
        let isNew = creating && mkdirat(above.number, folder, 0o755) == 0
        if creating, !isNew, errno != EEXIST { throw Descriptor.Problem(number: errno) }
        let opened = Descriptor(
            openat(above.number, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0))
        guard opened.isOpen else {
            if errno == ENOENT, !creating { return nil }
            throw Descriptor.Problem(number: errno)
        }
        if isNew {
            fchmod(opened.number, 0o755)
            giveToOwner(opened.number)
            if let problem = above.sync() { throw Descriptor.Problem(number: problem) }
        }
        return opened
    }

    /// What root makes belongs to whoever the root folder belongs to, or nobody else could go on.
    private func giveToOwner(_ descriptor: Int32) {
        var status = stat()
        guard geteuid() == 0, stat(root, &status) == 0, status.st_uid != 0 else { return }
        _ = fchown(descriptor, status.st_uid, status.st_gid)
    }
}
