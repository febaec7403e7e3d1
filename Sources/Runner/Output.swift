import Glibc
import Synchronization

/// The two places where a process speaks; nothing else writes to them.
package enum Output {
    private static let spoken = Atomic<Bool>(false)
    private static let lost = Atomic<Int32>(0)
    private static let unheard = Atomic<Int32>(0)
    /// What stands on the last line of the terminal and is about to change.
    private static let passing = Mutex("")

    /// Something has been written to standard output.
    package static var hasSpoken: Bool { spoken.load(ordering: .relaxed) }

    /// Why standard output could not be written, as an `errno`; nil while it could.
    ///
    /// A reader that closed its end (`… | head`) is no reason to complain and does not count.
    package static var standardProblem: Int32? {
        let problem = lost.load(ordering: .relaxed)
        return problem == 0 ? nil : problem
    }

    /// Why standard error could not be written, as an `errno`; nil while it could.
    package static var errorProblem: Int32? {
        let problem = unheard.load(ordering: .relaxed)
        return problem == 0 ? nil : problem
    }

    /// Writes `text` to standard output, with a line end if it has none.
    package static func standard(_ text: String) {
        spoken.store(true, ordering: .relaxed)
        passing(nil)
        let problem = write(line(text), to: STDOUT_FILENO)
        if problem != 0 && problem != EPIPE { lost.store(problem, ordering: .relaxed) }
    }

    /// Writes `text` to standard error without any known secret, in one call.
    package static func error(_ text: String) {
        passing.withLock { passing in
            let bytes =
                passing.isEmpty
                ? line(Redaction.apply(text))
                : Array(wipe.utf8) + line(Redaction.apply(text)) + Array(passing.utf8)
            // There is nobody left to tell when this fails; but the next run can.
            let problem = write(bytes, to: STDERR_FILENO)
            if problem != 0 { unheard.store(problem, ordering: .relaxed) }
        }
    }

    /// Shows `text` on the last line of the terminal in place of what stands there; nil takes it away.
    ///
    /// Lines of other kinds go above it. To be called only where `canShowPassing` holds.
    package static func passing(_ text: String?) {
        passing.withLock { passing in
            let text = text.map(Redaction.apply) ?? ""
            guard text != passing else { return }
            passing = text
            _ = write(Array((wipe + text).utf8), to: STDERR_FILENO)
        }
    }

    /// To the start of the line, and nothing behind it (ECMA-48: CR, EL).
    private static let wipe = "\r\u{1b}[K"

    private static func line(_ text: String) -> [UInt8] {
        Array((text.utf8.last == UInt8(ascii: "\n") ? text : text + "\n").utf8)
    }

    /// Writes everything, through interruptions and full pipes.
    /// - Returns: 0, or the `errno` that ended it.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN || errno == EWOULDBLOCK {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                // A reader that takes nothing for this long is as good as gone.
                if poll(&entry, 1, 30_000) == 0 { return EAGAIN }
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }
}

extension Output {
    /// Somebody is looking: standard output is a terminal.
    package static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Somebody is looking at standard error.
    package static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Standard error is a terminal that can take a line back.
    package static var canShowPassing: Bool {
        guard isErrorTerminal, let kind = getenv("TERM") else { return false }
        return !["", "dumb"].contains(String(cString: kind))
    }

    /// Characters on a line of the terminal; 80 where it does not say.
    package static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
