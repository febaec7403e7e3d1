import Foundation
import Glibc

/// The built executables, run the way cron runs them: from the folder of the test bundle.
package enum Executable {
    /// The folder that the executables and the test bundle are built into.
    package static let folder: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let bytes = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        return (String(decoding: bytes, as: UTF8.self) as NSString).deletingLastPathComponent
    }()

    package static func path(_ name: String) throws -> String {
        let path = name.hasPrefix("/") ? name : folder + "/" + name
        guard access(path, X_OK) == 0 else {
            throw TestSupportError("\(path) is not there; run: swift build")
        }
        return path
    }

    /// Starts an executable by its product name, or any program by its absolute path.
    ///
    /// - Parameters:
    ///   - name: `stuck-sweeper`, or `/bin/sh`.
    ///   - arguments: What follows the name.
    ///   - environment: All of its environment, but for a plain `PATH`.
    ///   - input: What it reads on standard input.
    ///   - keepsInputOpen: Whether standard input stays open after that.
    ///   - timeout: After this it is killed, and `Finished.isOverdue` says so.
    package static func start(
        _ name: String, arguments: [String] = [], environment: [String: String] = [:],
        input: [UInt8] = [], keepsInputOpen: Bool = false, timeout: Duration = .seconds(120)
    ) throws -> RunningProcess {
        var all = ["PATH": "/usr/local/bin:/usr/bin:/bin"]
        // Where the toolchain's libraries are, if somebody had to say so.
        all["LD_LIBRARY_PATH"] = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"]
        all.merge(environment) { $1 }
        return try RunningProcess(
            path: path(name), arguments: arguments, environment: all, input: input,
            keepsInputOpen: keepsInputOpen, timeout: timeout)
    }

    /// Runs an executable to its end.
    package static func run(
        _ name: String, arguments: [String] = [], environment: [String: String] = [:],
        input: [UInt8] = [], timeout: Duration = .seconds(120)
    ) async throws -> Finished {
        try await start(
            name, arguments: arguments, environment: environment, input: input, timeout: timeout
        ).wait()
    }

    /// The same for a test that is not async.
    package static func runBlocking(
        _ name: String, arguments: [String] = [], environment: [String: String] = [:],
        input: [UInt8] = [], timeout: Duration = .seconds(120)
    ) throws -> Finished {
        try start(
            name, arguments: arguments, environment: environment, input: input, timeout: timeout
        ).waitBlocking()
    }
}
