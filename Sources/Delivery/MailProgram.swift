import Disk
import Glibc

/// The mail program of this host, which takes a message on standard input.
package struct MailProgram: Sendable {
    package static let usual = "/usr/sbin/sendmail"
    package static let variable = "HOLDFAST_SENDMAIL"

    private let path: String
    private let patience: Duration

    /// - Parameter patience: After this it is killed.
    package init(path: String?, patience: Duration = .seconds(10)) {
        self.path = path ?? Self.usual
        self.patience = patience
    }

    /// Hands a message over.
    ///
    /// The recipients are read from the message (`-t`), and a line with a dot does not end it (`-i`).
    /// - Returns: What went wrong, with the fix; nil when it was taken.
    package func send(_ message: [UInt8], folder: String) -> String? {
        guard path.hasPrefix("/"), access(path, X_OK) == 0 else {
            return "the summary was not mailed: \(path) is not a program; install one such as "
                + "msmtp-mta, or set \(Self.variable) to the path of one"
        }
        // A file and not a pipe: a program that reads nothing cannot hold us up, nor kill us.
        guard let input = scratch(folder), let output = scratch(folder),
            message.withUnsafeBytes({ input.write($0) }) == nil,
            lseek(input.number, 0, SEEK_SET) == 0
        else {
            return "the summary was not mailed: \(folder) cannot be written to; make room there"
        }
        switch start(input.number, output.number) {
        case .failure(let problem):
            return "the summary was not mailed: \(path) cannot be started: "
                + String(cString: strerror(problem.number))
        case .success(let pid):
            guard let status = wait(pid) else {
                return "the summary was not mailed: \(path) was killed after \(patience)"
            }
            guard status != 0 else { return nil }
            return "the summary was not mailed: \(path) ended with \(status)\(said(output))"
        }
    }

    /// An errno.
    private struct NotStarted: Error {
        var number: Int32
    }

    private func scratch(_ folder: String) -> Descriptor? {
        var name = Array("\(folder)/holdfast-mail-XXXXXX".utf8CString)
        let number = mkstemp(&name)
        guard number >= 0 else { return nil }
        unlink(name)
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        return Descriptor(number)
    }

    /// Starts it in a process group of its own, so that whatever it starts ends with it.
    private func start(_ input: Int32, _ output: Int32) -> Result<pid_t, NotStarted> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What this process ignores or has blocked would stay so.
        var (defaults, blocked) = (sigset_t(), sigset_t())
        sigemptyset(&defaults)
        sigemptyset(&blocked)
        for number in [SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGXFSZ] { sigaddset(&defaults, number) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        // Nothing of our environment, which holds the secrets of everything else.
        let words = Self.copies([path, "-i", "-t"])
        let variables = Self.copies(Self.environment)
        defer { for word in words + variables { free(word) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, path, &actions, &attributes, words, variables)
        return code == 0 ? .success(pid) : .failure(NotStarted(number: code))
    }

    private static var environment: [String] {
        var variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        for name in ["HOME", "USER", "LOGNAME"] {
            if let value = getenv(name) { variables.append("\(name)=\(String(cString: value))") }
        }
        return variables
    }

    /// The texts as C wants a list of them; the caller frees each.
    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        var copies: [UnsafeMutablePointer<CChar>?] = []
        for text in texts { copies.append(strdup(text)) }
        return copies + [nil]
    }

    /// Its exit status, 128 and more after a signal; nil when it had to be killed.
    private func wait(_ pid: pid_t) -> Int32? {
        let until = ContinuousClock.now + patience
        var status: Int32 = 0
        while true {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { break }
            if ended < 0, errno != EINTR { return 127 }
            guard ContinuousClock.now < until else {
                kill(-pid, SIGKILL)
                while waitpid(pid, &status, 0) < 0, errno == EINTR {}
                return nil
            }
            usleep(10_000)
        }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    /// The first line of what it said.
    private func said(_ output: borrowing Descriptor) -> String {
        guard lseek(output.number, 0, SEEK_SET) == 0,
            case .success(let bytes) = output.readAll(400)
        else { return "" }
        let line = bytes.prefix { $0 != 0x0a }.map { (0x20..<0x7f).contains($0) ? $0 : 0x3f }
        return line.isEmpty ? "" : ": " + String(decoding: line, as: UTF8.self)
    }
}
