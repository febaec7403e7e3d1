import Foundation
import Glibc

/// Thrown by the test helpers themselves; tests do not catch it.
package struct TestSupportError: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// A pipe that no child inherits by accident: both ends close on exec.
struct Pipe2 {
    var readEnd: Int32
    var writeEnd: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard let create = Self.create, create(&ends, O_CLOEXEC) == 0 else {
            throw TestSupportError("pipe: " + String(cString: strerror(errno)))
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    private typealias Create = @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32

    /// `pipe2` is an extension that the imported headers hide.
    ///
    /// `pipe` and `fcntl` one after the other would leave a moment in which a child that another test starts inherits the ends.
    private static let create: Create? = dlsym(nil, "pipe2").map {
        unsafeBitCast($0, to: Create.self)
    }
}

enum Spawn {
    /// Starts a program with exactly these arguments, this environment and these descriptors.
    ///
    /// Signals are put back to their defaults, because what this process ignores would stay ignored.
    static func start(
        _ path: String, _ arguments: [String], environment: [String: String],
        input: Int32, output: Int32, error: Int32, ownSession: Bool = false
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // The copies made here stay open in the child, unlike what they are copied from.
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, error, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for number in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { sigaddset(&defaults, number) }
        var blocked = sigset_t()
        sigemptyset(&blocked)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        let newSession: Int32 = 0x80
        let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (ownSession ? newSession : 0)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid = pid_t()
        let variables = environment.map { "\($0)=\($1)" }
        let code = withTexts([path] + arguments) { argv in
            withTexts(variables) { envp in
                posix_spawn(&pid, path, &actions, &attributes, argv, envp)
            }
        }
        guard code == 0 else {
            throw TestSupportError("cannot start \(path): " + String(cString: strerror(code)))
        }
        return pid
    }

    private static func withTexts<R>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        let copies: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return copies.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { preconditionFailure("never empty") }
            return body(start)
        }
    }
}
