import Core
import Glibc
import Synchronization

/// Work that may take longer than anybody is willing to wait for it.
package enum Patience {
    /// Does `work` on a thread of its own; nil when it is not done within `limit`.
    ///
    /// The thread is left to itself then. This is for a process that is about to end, and for calls
    /// that know no limit, such as the resolution of a name.
    package static func wait<Value: Sendable>(
        _ limit: Duration, for work: @escaping @Sendable () -> Value
    ) -> Value? {
        let slot = Slot<Value>()
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return work() }
        let (readEnd, writeEnd) = (ends[0], ends[1])
        let started = SystemThread.start {
            let value = work()
            slot.value.withLock { $0 = value }
            close(writeEnd)
        }
        guard let thread = started else {
            close(readEnd)
            close(writeEnd)
            return work()
        }
        pthread_detach(thread)
        let deadline = ContinuousClock.now + limit
        var entry = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        while true {
            let rest = ContinuousClock.now.duration(to: deadline)
            let milliseconds =
                rest.components.seconds * 1000
                + rest.components.attoseconds / 1_000_000_000_000_000
            let ready = poll(&entry, 1, Int32(clamping: max(milliseconds, 0)))
            if ready >= 0 || errno != EINTR { break }
        }
        close(readEnd)
        return slot.value.withLock { $0 }
    }

    private final class Slot<Value: Sendable>: Sendable {
        let value = Mutex<Value?>(nil)
    }
}
