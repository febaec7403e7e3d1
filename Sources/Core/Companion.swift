import Glibc
import Synchronization

/// Work on a thread of its own, beside whoever started it.
///
/// It has to be joined: what it works with may end with its owner.
package struct Companion<Value: Sendable>: ~Copyable {
    private let thread: pthread_t
    private let slot: Slot

    private final class Slot: Sendable {
        let outcome = Mutex<Result<Value, any Error>?>(nil)
    }

    /// Starts `work`; nil when the system gives no thread, and nothing was started.
    package init?(_ work: @escaping @Sendable () throws -> Value) {
        let slot = Slot()
        let started = SystemThread.start {
            let outcome = Result { try work() }
            slot.outcome.withLock { $0 = outcome }
        }
        guard let thread = started else { return nil }
        self.thread = thread
        self.slot = slot
    }

    /// Waits for the end of the work.
    /// - Throws: What the work threw.
    package consuming func join() throws -> Value {
        pthread_join(thread, nil)
        guard let outcome = slot.outcome.withLock({ $0 }) else {
            throw Failure(.defect, code: "companion", "a thread ended without a result")
        }
        return try outcome.get()
    }
}
