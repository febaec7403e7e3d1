package import Core
import Disk
import Glibc

/// The folder where callbacks wait while the database is away, one file each.
///
/// A file gets its name when it is complete and on the disk. Names sort in the order of arrival.
package struct Spool: Sendable {
    package static let variable = "HOLDFAST_SPOOL_DIR"
    /// A receiver lives for seconds: what it left unfinished for this long nobody will finish.
    package static let leftoverAge = Duration.seconds(3600)

    static let ending = ".callback"
    static let asideEnding = ".aside"
    private static let unfinishedEnding = ".tmp"

    package let folder: String

    package init(folder: String) {
        self.folder = folder
        // A file-size limit of the process is to be an error like a full disk, not a silent death.
        signal(SIGXFSZ, SIG_IGN)
    }

    // MARK: Writing

    /// Keeps a callback: when this returns, it is on the disk.
    @discardableResult
    package func put(_ received: ReceivedCallback) throws(Failure) -> String {
        let name = Self.name(received.receivedAt, pid: getpid())
        let bytes = SpoolFile.bytes(SpooledCallback(received, spoolID: name))
        let place = try open()
        let hidden = "." + name + Self.unfinishedEnding
        let file = Descriptor(
            openat(
                place.number, hidden, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600))
        guard file.isOpen else { throw failure(errno, "create a file in") }
        do throws(Failure) {
            // The sweeper may be another user of the folder's group.
            _ = fchmod(file.number, 0o660)
            if let problem = bytes.withUnsafeBytes({ file.write($0) }) ?? file.sync() {
                throw failure(problem, "write a file in")
            }
            guard renameat(place.number, hidden, place.number, name + Self.ending) == 0 else {
                throw failure(errno, "rename a file in")
            }
        } catch {
            unlinkat(place.number, hidden, 0)
            throw error
        }
        if let problem = place.sync() { throw failure(problem, "write to") }
        return name
    }

    /// Time, process and chance; the times of one host sort in the order of arrival.
    static func name(_ at: Instant, pid: Int32) -> String {
        let chance = String(UInt32.random(in: 0 ... .max), radix: 16)
        return [(String(max(at.microseconds, 0)), 18), (String(pid), 7), (chance, 8)].map {
            String(repeating: "0", count: max(0, $0.1 - $0.0.utf8.count)) + $0.0
        }.joined(separator: "-")
    }

    /// Proves that a callback could be kept.
    package func check() throws(Failure) {
        let place = try open()
        let name = ".probe-\(getpid())" + Self.unfinishedEnding
        let file = Descriptor(
            openat(place.number, name, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
        )
        guard file.isOpen else { throw failure(errno, "create a file in") }
        let page = [UInt8](repeating: 0x2e, count: 4096)
        let problem = page.withUnsafeBytes { file.write($0) } ?? file.sync()
        let removed = unlinkat(place.number, name, 0) == 0 ? nil : errno
        if let problem = problem ?? removed { throw failure(problem, "write a file in") }
    }

    // MARK: Reading

    /// What one file turned out to be.
    package enum Found {
        case callback(SpooledCallback)
        /// Another run was faster.
        case gone
        case damaged
        case newer
    }

    /// What is in the folder; all empty when the host has none.
    package struct Listing: Equatable, Sendable {
        /// Complete callbacks, in the order of arrival.
        package var names: [String] = []
        /// Begun and not ended.
        package var unfinished: [String] = []
        /// Files that could not be read, kept for a person.
        package var aside: [String] = []
    }

    /// Whether a run has something to do here: one reading of the folder.
    ///
    /// A folder that cannot be read counts, so that the run gets to say so.
    package var hasFiles: Bool {
        guard let listing = try? list() else { return true }
        return !listing.names.isEmpty || !listing.unfinished.isEmpty
    }

    /// Reads the folder once.
    package func list() throws(Failure) -> Listing {
        guard let stream = opendir(folder) else {
            let number = errno
            if number == ENOENT { return Listing() }
            throw failure(number, "read")
        }
        defer { closedir(stream) }
        var listing = Listing()
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(Self.ending) {
                listing.names.append(String(name.dropLast(Self.ending.count)))
            } else if name.hasSuffix(Self.unfinishedEnding) {
                listing.unfinished.append(name)
            } else if name.hasSuffix(Self.asideEnding) {
                listing.aside.append(name)
            }
        }
        listing.names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return listing
    }

    /// Reads one callback.
    package func read(_ name: String) throws(Failure) -> Found {
        let place = try open()
        let file = Descriptor(
            openat(
                place.number, name + Self.ending, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
        )
        guard file.isOpen else {
            let number = errno
            if number == ENOENT { return .gone }
            if number == ELOOP { return .damaged }
            throw failure(number, "open \(name) in")
        }
        guard file.isRegularFile, let size = file.size,
            size <= SpoolFile.headLimitBytes + ReceivedCallback.bodyLimitBytes
        else { return .damaged }
        switch file.readAll(size) {
        case .failure(let problem): throw failure(problem.number, "read \(name) in")
        case .success(let bytes):
            switch SpoolFile.read(bytes, spoolID: name) {
            case .callback(let callback): return .callback(callback)
            case .damaged: return .damaged
            case .newer: return .newer
            }
        }
    }

    /// Forgets a callback that is in the inbox; gone already is as good.
    package func remove(_ name: String) throws(Failure) {
        try unlink(name + Self.ending)
    }

    /// Puts a file that cannot be read out of the way, for a person to look at.
    package func setAside(_ name: String) throws(Failure) {
        let place = try open()
        let name = name + Self.ending
        guard renameat(place.number, name, place.number, name + Self.asideEnding) != 0 else {
            return
        }
        let number = errno
        if number != ENOENT { throw failure(number, "rename \(name) in") }
    }

    /// Removes what killed receivers left unfinished: nobody was told that these were kept.
    package func removeLeftovers(_ unfinished: [String], now: Instant) throws(Failure) {
        guard !unfinished.isEmpty else { return }
        let place = try open()
        for name in unfinished {
            var status = stat()
            guard fstatat(place.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            let changed = Instant(unixSeconds: Int64(status.st_mtim.tv_sec))
            if now - changed > Self.leftoverAge { try unlink(name) }
        }
    }

    private func unlink(_ name: String) throws(Failure) {
        let place = try open()
        guard unlinkat(place.number, name, 0) != 0 else { return }
        let number = errno
        if number != ENOENT { throw failure(number, "remove \(name) from") }
    }

    private func open() throws(Failure) -> Descriptor {
        let place = Descriptor(Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard place.isOpen else { throw failure(errno, "open") }
        return place
    }

    private func failure(_ number: Int32, _ step: String) -> Failure {
        let isFull = [ENOSPC, EDQUOT, EFBIG].contains(number)
        let fix =
            isFull
            ? "make room on its disk"
            : "make it a folder that the web server's user and the crontab's user may both write to"
        return Failure(
            isFull || number == EIO ? .unavailable : .configuration,
            code: isFull ? "spool_full" : "spool_unusable",
            "cannot \(step) \(folder) (\(Self.variable)): \(String(cString: strerror(number))); \(fix)"
        )
    }
}
