package import Foundation
import Glibc

/// How a program ended and what it said.
package struct Finished: Sendable {
    /// The exit status, or 128 and the signal that killed it, as a shell would say.
    package var status: Int32
    /// The signal that killed it, if one did.
    package var signal: Int32?
    package var stdoutBytes: [UInt8]
    package var stderrBytes: [UInt8]
    /// It was killed because it took longer than the test allows.
    package var isOverdue: Bool

    package var stdout: String { String(decoding: stdoutBytes, as: UTF8.self) }
    package var stderr: String { String(decoding: stderrBytes, as: UTF8.self) }
}

/// A program that runs beside the test; killed when nobody holds it any more.
///
/// One thread of its own serves its pipes, so that any number can run at once without taking a
/// thread from the tests.
package final class RunningProcess: @unchecked Sendable {
    package let pid: pid_t
    private let pump: Pump

    init(
        path: String, arguments: [String], environment: [String: String], input: [UInt8],
        keepsInputOpen: Bool, timeout: Duration
    ) throws {
        signal(SIGPIPE, SIG_IGN)
        let stdin = try Pipe2()
        let stdout = try Pipe2()
        let stderr = try Pipe2()
        defer {
            close(stdin.readEnd)
            close(stdout.writeEnd)
            close(stderr.writeEnd)
        }
        do {
            pid = try Spawn.start(
                path, arguments, environment: environment, input: stdin.readEnd,
                output: stdout.writeEnd, error: stderr.writeEnd)
        } catch {
            close(stdin.writeEnd)
            close(stdout.readEnd)
            close(stderr.readEnd)
            throw error
        }
        pump = Pump(
            pid: pid, stdin: stdin.writeEnd, stdout: stdout.readEnd, stderr: stderr.readEnd,
            input: input, keepsInputOpen: keepsInputOpen, timeout: timeout)
        // The thread holds the pump and not this object, so that letting go of this one is noticed.
        Thread.detachNewThread { [pump] in pump.run() }
    }

    deinit { pump.send(SIGKILL) }

    /// Sends a signal, unless it has ended already.
    package func kill(_ signal: Int32) { pump.send(signal) }

    /// Ends its standard input.
    package func closeInput() { pump.closeInput() }

    /// Waits for the end on a thread of nobody's pool.
    package func wait() async -> Finished {
        await withCheckedContinuation { continuation in
            // Held until then: letting go of this object kills the program.
            pump.whenFinished { [self] finished in
                withExtendedLifetime(self) { continuation.resume(returning: finished) }
            }
        }
    }

    /// Waits for the end on the thread of the caller; not for async tests.
    package func waitBlocking() -> Finished {
        withExtendedLifetime(self) { pump.waitBlocking() }
    }

    /// The first line of standard output, or nil when it ended without one.
    package func firstLineBlocking() -> String? { pump.firstLineBlocking() }

    /// Waits until standard error has `text`; false when the program ended without saying it.
    package func waitForErrorBlocking(containing text: String) -> Bool {
        pump.waitBlocking { $0.stderr.contains(text) }
    }
}

/// Moves the bytes of one child, reaps it, and tells who waits.
private final class Pump: @unchecked Sendable {
    private let condition = NSCondition()
    private let pid: pid_t
    private let stdout: Int32
    private let stderr: Int32
    private let deadline: ContinuousClock.Instant
    // The rest is guarded by the condition's lock.
    private var stdin: Int32
    private var input: ArraySlice<UInt8>
    private let keepsInputOpen: Bool
    private var seen: Finished
    private var isReaped = false
    private var isFinished = false
    private var waiters: [(Finished) -> Void] = []

    init(
        pid: pid_t, stdin: Int32, stdout: Int32, stderr: Int32, input: [UInt8],
        keepsInputOpen: Bool, timeout: Duration
    ) {
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.input = input[...]
        self.keepsInputOpen = keepsInputOpen
        deadline = ContinuousClock.now + timeout
        seen = Finished(
            status: -1, signal: nil, stdoutBytes: [], stderrBytes: [], isOverdue: false)
        for descriptor in [stdin, stdout, stderr] {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
    }

    func run() {
        var open = [stdout, stderr]
        while !open.isEmpty {
            feed()
            var entries = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            if let stdin = unfedInput {
                entries.append(pollfd(fd: stdin, events: Int16(POLLOUT), revents: 0))
            }
            poll(&entries, nfds_t(entries.count), wait())
            if ContinuousClock.now >= deadline { expire() }
            open.removeAll { drain($0) }
        }
        close(stdout)
        close(stderr)
        closeInput()
        reap()
    }

    func send(_ signal: Int32) {
        condition.withLock { if !isReaped { _ = Glibc.kill(pid, signal) } }
    }

    func closeInput() {
        condition.withLock {
            if stdin >= 0 { close(stdin) }
            stdin = -1
        }
    }

    func whenFinished(_ tell: @escaping @Sendable (Finished) -> Void) {
        let now: Finished? = condition.withLock {
            if !isFinished { waiters.append(tell) }
            return isFinished ? seen : nil
        }
        if let now { tell(now) }
    }

    func waitBlocking() -> Finished {
        condition.withLock {
            while !isFinished { condition.wait() }
            return seen
        }
    }

    func waitBlocking(until isMet: (Finished) -> Bool) -> Bool {
        condition.withLock {
            while !isMet(seen) && !isFinished { condition.wait() }
            return isMet(seen)
        }
    }

    func firstLineBlocking() -> String? {
        let end = UInt8(ascii: "\n")
        guard waitBlocking(until: { $0.stdoutBytes.contains(end) }) else { return nil }
        let bytes = condition.withLock { seen.stdoutBytes }
        return String(decoding: bytes.prefix { $0 != end }, as: UTF8.self)
    }

    private var unfedInput: Int32? {
        condition.withLock { input.isEmpty || stdin < 0 ? nil : stdin }
    }

    private func feed() {
        condition.withLock {
            while stdin >= 0, !input.isEmpty {
                let count = input.withUnsafeBytes { write(stdin, $0.baseAddress, $0.count) }
                if count < 0 {
                    // A program that does not read its input is entitled to that.
                    if errno != EAGAIN && errno != EINTR { input = [] }
                    break
                }
                input = input.dropFirst(count)
            }
        }
        if !keepsInputOpen, unfedInput == nil { closeInput() }
    }

    /// True at the end of the stream.
    private func drain(_ descriptor: Int32) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count > 0 {
                condition.withLock {
                    if descriptor == stdout {
                        seen.stdoutBytes += chunk[..<count]
                    } else {
                        seen.stderrBytes += chunk[..<count]
                    }
                    condition.broadcast()
                }
            } else if count == 0 {
                return true
            } else if errno != EINTR {
                return errno != EAGAIN
            }
        }
    }

    private func wait() -> Int32 {
        let rest = ContinuousClock.now.duration(to: deadline)
        if rest <= .zero { return -1 }
        return Int32(clamping: rest.components.seconds * 1000 + 1000)
    }

    private func expire() {
        condition.withLock { seen.isOverdue = true }
        send(SIGKILL)
    }

    private func reap() {
        var information = siginfo_t()
        // Waits without reaping: the number must stay its own until nobody can send it a signal.
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        let tell: [(Finished) -> Void] = condition.withLock {
            var status = Int32(0)
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            isReaped = true
            let killedBy = status & 0x7f
            seen.signal = killedBy == 0 ? nil : killedBy
            seen.status = killedBy == 0 ? (status >> 8) & 0xff : 128 + killedBy
            isFinished = true
            condition.broadcast()
            defer { waiters = [] }
            return waiters
        }
        for waiter in tell { waiter(seen) }
    }
}
