import Core
import Foundation
import Glibc
package import Postgres

/// The PostgreSQL server of this test process: its own, or the one that `HOLDFAST_TEST_DATABASE_URL`
/// names.
package struct TestCluster: Sendable {
    /// A login that may do everything, in the maintenance database.
    package let url: String

    /// The server; started by whoever asks first, stopped when this process ends in whatever way.
    package static func shared() throws -> TestCluster { try started.get() }

    private static let started = Result { try TestCluster() }

    /// A second server of this process, to move databases to and from: younger, so that its
    /// transaction ids are far lower, and one that others may replicate from.
    package static func other() throws -> TestCluster { try otherStarted.get() }

    private static let otherStarted = Result { TestCluster(url: try start(["--logical"])) }

    private init(url: String) { self.url = url }

    private init() throws {
        if let given = ProcessInfo.processInfo.environment["HOLDFAST_TEST_DATABASE_URL"] {
            url = given
        } else {
            url = try Self.start()
        }
        try Self.refuseForeignHost(url)
    }

    /// The address of another database of the server, or of another login.
    package func url(database: String, role: String? = nil) throws -> String {
        guard var parts = URLComponents(string: url) else {
            throw TestSupportError("HOLDFAST_TEST_DATABASE_URL is not a URL")
        }
        parts.path = "/" + database
        if let role {
            parts.user = role
            parts.password = nil
        }
        guard let text = parts.string else { throw TestSupportError("no URL for \(database)") }
        return text
    }

    /// A connection to the maintenance database.
    package func connect() throws -> Connection {
        try Connection(
            url: url, connectTimeout: .seconds(30), applicationName: "holdfast-tests",
            statementTimeout: .seconds(120))
    }

    /// Tests create and drop databases: they do that on this machine only.
    package static func refuseForeignHost(_ url: String) throws {
        guard let parts = URLComponents(string: url),
            ["postgres", "postgresql"].contains(parts.scheme)
        else { throw TestSupportError("HOLDFAST_TEST_DATABASE_URL must be a postgres:// URL") }
        var hosts = [parts.host ?? ""]
        for item in parts.queryItems ?? [] where item.name == "host" || item.name == "hostaddr" {
            hosts.append(item.value ?? "")
        }
        for host in hosts.flatMap({ $0.split(separator: ",") }) {
            guard ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host) || host.hasPrefix("/")
            else {
                throw TestSupportError("tests use a database on this machine only, not \(host)")
            }
        }
    }

    private static func start(_ options: [String] = []) throws -> String {
        var template = Array(
            ("/tmp/holdfast-tests." + String(repeating: "X", count: 6)).utf8CString)
        guard mkdtemp(&template) != nil else { throw TestSupportError("mkdtemp failed") }
        let folder = template.withUnsafeBufferPointer { buffer in
            String(decoding: buffer.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        // mkdtemp's folder is for us alone; the server runs as another user when we are root.
        chmod(folder, 0o755)
        try watch(folder)
        let finished = try Executable.runBlocking(
            script, arguments: ["start", folder, "--fast"] + options,
            environment: scriptEnvironment)
        guard finished.status == 0, let url = finished.stdout.split(separator: "\n").last else {
            throw TestSupportError("scripts/cluster start failed: \(finished.stderr)")
        }
        return String(url)
    }

    /// A shell that waits for the end of this process and then removes the server.
    ///
    /// Its standard input is a pipe that only this process holds, so a crash or a kill counts as well
    /// as an exit.
    private static func watch(_ folder: String) throws {
        let pipe = try Pipe2()
        let nowhere = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(pipe.readEnd)
            close(nowhere)
        }
        let command = "read -r nothing; exec \"$0\" stop \"$1\""
        let watchdog = try Spawn.start(
            "/bin/sh", ["-c", command, script, folder], environment: scriptEnvironment,
            input: pipe.readEnd, output: nowhere, error: nowhere, ownSession: true)
        let isFirst = held.withLock { held in
            held.append((pipe.writeEnd, watchdog))
            return held.count == 1
        }
        guard isFirst else { return }
        // At a normal exit, wait for it: what comes next may count processes or folders.
        atexit {
            for (writeEnd, watchdog) in TestCluster.held.withLock({ $0 }) {
                close(writeEnd)
                waitpid(watchdog, nil, 0)
            }
        }
    }

    private static let held = Guarded<[(Int32, pid_t)]>([])

    private static let script: String = {
        let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        let root = here.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return root.appendingPathComponent("scripts/cluster").path
    }()

    private static var scriptEnvironment: [String: String] {
        ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
    }
}

/// A value behind a lock.
final class Guarded<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<R>(_ body: (inout Value) throws -> R) rethrows -> R {
        try lock.withLock { try body(&value) }
    }
}
