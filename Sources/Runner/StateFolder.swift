package import Core
import Glibc

/// The folder in which a host remembers what no database could: which trouble has been said.
///
/// One small file for each condition, changed under one lock, so that programs that start in the same
/// second say it once together. Whatever cannot be read or written is no reason to fail: then the
/// caller says everything.
package struct StateFolder: Sendable {
    package static let variable = "HOLDFAST_STATE_DIR"
    /// Taken without being named where it belongs to us.
    private static let usual = "/var/lib/holdfast"
    private static let fileLimitBytes = 16_384

    /// The folder that was named, or the usual one.
    package let root: String
    /// Where the files are, below that.
    private let path: String
    /// Tells installations apart that share the folder.
    private let installation: String

    /// The folder that the settings name, or the usual one where it is ours; nil where there is none.
    ///
    /// - Parameter settings: Nil where the settings file could not be read.
    package init?(_ settings: Settings?) {
        let environment = Settings.processEnvironment
        let named = (try? settings?.value(Self.variable)) ?? environment(Self.variable)
        let isNamed = named?.isEmpty == false
        let root = isNamed ? named ?? Self.usual : Self.usual
        if isNamed { mkdir(root, 0o700) }
        var status = stat()
        guard stat(root, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
            isNamed || status.st_uid == geteuid(), access(root, W_OK | X_OK) == 0
        else { return nil }
        self.root = root
        path = root + "/conditions"
        mkdir(path, 0o700)
        installation = Self.digest(
            (environment("HOLDFAST_ENV_FILE") ?? "") + "\n"
                + (environment("HOLDFAST_DATABASE_URL") ?? environment("DATABASE_URL") ?? ""))
    }

    /// Notes that a condition was met.
    ///
    /// - Returns: what is to be said of it; nil when nothing could be remembered.
    package func note(_ name: String, _ message: String, at now: Instant) -> Saying? {
        locked {
            let file = path + "/\(name)-\(installation)"
            var memory = read(file) ?? ConditionMemory(name: name, message: message, at: now)
            let saying = memory.meet(message, at: now)
            return write(memory, to: file) ? saying : nil
        }
    }

    /// Conditions that have not been met for long enough; each is returned once.
    package func ended(at now: Instant) -> [ConditionMemory] {
        guard let names = names(), !names.isEmpty else { return [] }
        return locked {
            names.compactMap { name -> ConditionMemory? in
                let file = path + "/" + name
                guard let memory = read(file), memory.isOver(at: now), unlink(file) == 0
                else { return nil }
                return memory
            }
        } ?? []
    }

    // MARK: Files

    private func names() -> [String]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix("-" + installation) { names.append(name) }
        }
        return names
    }

    private func locked<R>(_ work: () -> R?) -> R? {
        let lock = open(path + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { return nil }
        defer { close(lock) }
        // Nobody holds it for longer than a small file takes.
        while flock(lock, LOCK_EX) != 0 { guard errno == EINTR else { return nil } }
        return work()
    }

    private func read(_ file: String) -> ConditionMemory? {
        guard let text = try? TextFile.read(file, limitBytes: Self.fileLimitBytes) else {
            return nil
        }
        return ConditionMemory(json: text)
    }

    /// Written whole under another name, so that a full disk leaves what was there.
    private func write(_ memory: ConditionMemory, to file: String) -> Bool {
        let draft = path + "/.draft"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        let problem = Output.write(Array(memory.json.utf8), to: descriptor)
        return close(descriptor) == 0 && problem == 0 && rename(draft, file) == 0
    }

    /// FNV-1a: tells apart, and hides nothing.
    private static func digest(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
