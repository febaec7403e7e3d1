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
        let errand = CompanionErrand {
            let outcome = Result { try work() }
            slot.outcome.withLock { $0 = outcome }
        }
        var thread = pthread_t()
        let passed = Unmanaged.passRetained(errand)
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CompanionErrand>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, passed.toOpaque())
        guard code == 0 else {
            passed.release()
            return nil
        }
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

/// Not within the generic type: a C function cannot know which one it is.
private final class CompanionErrand: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
