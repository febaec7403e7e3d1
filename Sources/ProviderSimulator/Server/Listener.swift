import Core
import Glibc

/// The listening socket on the loopback, and a thread for each connection.
struct Listener {
    private let descriptor: Int32
    /// The port in use, also when any free one was asked for.
    let port: UInt16

    /// Listens on the loopback; port 0 takes any free one.
    ///
    /// - Parameter address: 127.0.0.1 unless it says else.
    /// - Throws: `Failure` with status unavailable when the port cannot be had.
    init(address host: UInt32 = 0x7F00_0001, port: UInt16) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw Self.failure("socket", port) }
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, size)
        // Inherited by accepted sockets; without it small answers wait for the client's
        // delayed acknowledgement, 40 ms each.
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { addresses in
                bind(socket, addresses.baseAddress, length) == 0 && listen(socket, 1024) == 0
                    && getsockname(socket, addresses.baseAddress, &length) == 0
            }
        }
        guard bound else {
            let failure = Self.failure("listen", port)
            close(socket)
            throw failure
        }
        self.descriptor = socket
        self.port = UInt16(bigEndian: address.sin_port)
    }

    private static func failure(_ step: String, _ port: UInt16) -> Failure {
        Failure(
            .unavailable, code: "port_unavailable",
            "cannot \(step) on 127.0.0.1:\(port): \(String(cString: strerror(errno)));"
                + " choose another --port, or 0 for any free one")
    }

    /// Accepts for ever.
    func serve(_ simulator: Simulator) -> Never {
        while true {
            let accepted = accept(descriptor, nil, nil)
            guard accepted >= 0 else {
                // Out of descriptors or memory: the connection stays in the queue for now.
                if errno != EINTR && errno != ECONNABORTED { usleep(10_000) }
                continue
            }
            let started = WorkerThread.start {
                var connection = Connection(descriptor: accepted)
                connection.serve(simulator)
            }
            if !started { close(accepted) }
        }
    }
}

/// A detached thread for work that blocks.
enum WorkerThread {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static let stackBytes = 1_048_576

    /// Runs `body` on a thread of its own; false when the system has none left.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let work = Unmanaged.passRetained(Work(body))
        let status = withUnsafeTemporaryAllocation(of: pthread_attr_t.self, capacity: 1) {
            guard let attributes = $0.baseAddress else { return ENOMEM }
            pthread_attr_init(attributes)
            defer { pthread_attr_destroy(attributes) }
            pthread_attr_setdetachstate(attributes, Int32(PTHREAD_CREATE_DETACHED))
            pthread_attr_setstacksize(attributes, stackBytes)
            var thread: pthread_t = 0
            return pthread_create(
                &thread, attributes,
                { pointer in
                    guard let pointer else { return nil }
                    Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().body()
                    return nil
                }, work.toOpaque())
        }
        if status != 0 { work.release() }
        return status == 0
    }
}
