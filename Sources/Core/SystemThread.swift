package import Glibc

/// A thread of the system's own, for work that waits: for a server, or for a call that knows no limit.
package enum SystemThread {
    private final class Errand: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts `body` on a new thread, which the caller joins or detaches.
    /// - Returns: nil when the system gives no thread, and nothing was started.
    package static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
        var thread = pthread_t()
        let passed = Unmanaged.passRetained(Errand(body))
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Errand>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, passed.toOpaque())
        guard code == 0 else {
            passed.release()
            return nil
        }
        return thread
    }
}
