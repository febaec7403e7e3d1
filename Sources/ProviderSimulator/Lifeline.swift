import Glibc

/// Ends the process when nobody needs it any more, so that a test leaves nothing behind.
enum Lifeline {
    /// SIGTERM and SIGINT end the process with status 0.
    static func endOnSignals() {
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in _exit(0) }
        }
    }

    /// Ends the process when standard input reaches its end, or when the parent has died.
    static func endWithParent() {
        let parent = getppid()
        _ = WorkerThread.start {
            var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            var byte: UInt8 = 0
            while getppid() == parent {
                // A child that outlives the parent may still hold the other end of standard
                // input, so the parent itself is looked at as well.
                guard poll(&entry, 1, 250) > 0 else { continue }
                let count = Glibc.read(STDIN_FILENO, &byte, 1)
                if count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN) { break }
            }
            _exit(0)
        }
    }

    /// As many descriptors as the system lets us have: each connection takes one.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
