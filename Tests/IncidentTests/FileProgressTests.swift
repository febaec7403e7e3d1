import Core
import Glibc
import TestSupport
import Testing

/// What somebody who watches the mirrorer sees of its files, and what cron does not.
@Suite(.serialized) struct FileProgressTests {
    private static let script = "/usr/bin/script"
    private static let hasTerminal = access(script, X_OK) == 0
    private static let key = "account-job-1/video/job-1_0.mp4"

    private func line(_ fault: String = "none") async throws -> RescueLine {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1",
            task: .init([
                .init(key: "file_bytes", value: 12_400),
                .init(key: "file_fault", value: .string(fault)),
            ]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        return line
    }

    /// Both outputs of an executable at a terminal.
    private func terminal(
        _ line: RescueLine, _ name: String, _ arguments: [String] = [], kind: String = "xterm"
    ) async throws -> String {
        let words = [try Executable.path(name)] + arguments
        let finished = try await line.run(
            Self.script,
            ["--quiet", "--return", "--command", words.joined(separator: " "), "/dev/null"],
            offset: "+6m", ["TERM": kind])
        return finished.stdout
    }

    @Test func `under cron there is nothing`() async throws {
        let finished = try await line().run("storage-mirrorer", offset: "+6m")
        #expect(finished.stderr == "")
        #expect(!finished.stdout.contains(Self.key) && !finished.stdout.contains("\u{1b}"))
    }

    @Test(arguments: [
        ("none", "stored  \(key)  12.4 kB  "),
        ("gone", "lost  job-1/0  the source answered HTTP 404"),
        ("server_error", "retry_later  job-1/0  the source answered HTTP 500"),
    ])
    func `with --verbose each file is one line of the log`(
        _ fault: String, _ words: String
    ) async throws {
        let finished = try await line(fault).run(
            "storage-mirrorer", ["--verbose"], offset: "+6m")
        let lines = finished.stderr.split(separator: "\n")
            .filter { $0.contains("job-1_0") || $0.contains("job-1/0  ") }
        #expect(lines.count == 1, "\(finished.stderr)")
        #expect(lines.first?.hasPrefix("DEBUG \(words)") == true, "\(lines)")
        #expect(!finished.stderr.contains("\u{1b}"))
    }

    @Test(.enabled(if: hasTerminal))
    func `at a terminal each file is a line, and all of them are one that changes`() async throws {
        let said = try await terminal(line(), "storage-mirrorer")
        #expect(said.contains("stored  \(Self.key)  12.4 kB  "), "\(said)")
        #expect(said.contains("\r\u{1b}[K["), "\(said)")
        #expect(said.contains(" of 1 files"), "\(said)")
        // What changes is gone before the last word is said.
        let last = said.split(separator: "\u{1b}[K").last ?? ""
        #expect(last.hasPrefix("storage-mirrorer: examined 1"), "\(said)")
        #expect(!last.contains("files  "), "\(last)")
    }

    @Test(
        .enabled(if: hasTerminal),
        arguments: [
            (["--quiet"], "xterm", false), ([], "dumb", true), (["--verbose"], "dumb", true),
        ])
    func `a terminal gets no more than it can show and wants to see`(
        _ arguments: [String], _ kind: String, _ hasLine: Bool
    ) async throws {
        let said = try await terminal(line(), "storage-mirrorer", arguments, kind: kind)
        #expect(!said.contains("\u{1b}"), "\(said)")
        let lines = said.split(separator: "\r\n").filter { $0.contains("stored  " + Self.key) }
        #expect(lines.count == (hasLine ? 1 : 0), "\(said)")
    }

    @Test(.enabled(if: hasTerminal))
    func `a verification shows how far it is`() async throws {
        let line = try await line()
        _ = try await line.run("storage-mirrorer", offset: "+6m")
        let said = try await terminal(line, "holdfast", ["asset", "verify"])
        #expect(said.contains(" of 1 files"), "\(said)")
        #expect(said.contains("verified 1 of 1 stored files"), "\(said)")
        for kind in ["dumb", "xterm"] {
            let quiet = try await terminal(
                line, "holdfast", ["asset", "verify"] + (kind == "xterm" ? ["--quiet"] : []),
                kind: kind)
            #expect(!quiet.contains("\u{1b}") && quiet.contains("verified 1 of 1"), "\(quiet)")
        }
    }
}
