import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// The crontab that users install: read as cron reads it, and run as cron runs it.
@Suite(.serialized) struct Crontab {
    struct Line: Sendable, CustomTestStringConvertible {
        var times: [String]
        var user: String
        var command: String

        var testDescription: String { command }
    }

    static let root: String = {
        let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        return here.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }()

    static let text = (try? String(contentsOfFile: root + "/crontab", encoding: .utf8)) ?? ""

    /// `NAME=value` lines, in order.
    static let variables: [(name: String, value: String)] = text.split(separator: "\n").compactMap {
        guard let match = $0.wholeMatch(of: #/([A-Z_]+)=(.*)/#) else { return nil }
        return (String(match.output.1), String(match.output.2))
    }

    static let lines: [Line] = text.split(separator: "\n").compactMap { text in
        guard let first = text.first, first != "#", !text.contains("=") || first == "*" else {
            return nil
        }
        let words = text.split(separator: " ", maxSplits: 6, omittingEmptySubsequences: true)
        guard words.count == 7 else { return nil }
        return Line(
            times: words[..<5].map(String.init), user: String(words[5]),
            command: words[6].trimmingCharacters(in: .whitespaces))
    }

    /// The executables that cron is to run, as the package names them.
    static func products() throws -> [String] {
        let package = try String(contentsOfFile: root + "/Package.swift", encoding: .utf8)
        return package.matches(of: #/\.executable\(name: "([a-z-]+)"/#).map { String($0.output.1) }
            .filter {
                !["holdfast", "provider-simulator", "callback-receiver", "fuzz-verdicts"].contains(
                    $0)
            }
    }

    // MARK: As cron reads it

    @Test func `the last line ends, or cron would ignore the file without a word`() {
        #expect(Self.text.hasSuffix("\n"))
        #expect(!Self.text.contains("\r"))
        #expect(Self.text.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test func `no line holds a percent sign, which cron takes for a line end`() {
        let active = Self.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(active.filter { $0.contains("%") } == [])
    }

    @Test func `each line is a comment, a variable, or five times, a user and a command`() {
        for line in Self.text.split(separator: "\n") where !line.hasPrefix("#") {
            let isVariable = line.wholeMatch(of: #/[A-Z_]+=\S*/#) != nil
            let isJob =
                line.wholeMatch(
                    of: #/([0-9*\/,-]+ +){5}[a-z][a-z0-9-]* +[a-z][a-z-]*( [^ ].*)?/#) != nil
            #expect(isVariable || isJob, "\(line)")
        }
        #expect(Self.lines.count == 4)
        #expect(Self.variables.map(\.name) == ["SHELL", "PATH", "HOLDFAST_ENV_FILE", "MAILTO"])
    }

    @Test func `every executable that cron runs has one line, and no other has`() throws {
        let named = Self.lines.map { String($0.command.prefix { $0 != " " }) }
        #expect(named.sorted() == (try Self.products()).sorted())
        for line in Self.lines {
            #expect(line.user == "holdfast", "never root: \(line.command)")
            let isNightly = line.command.hasPrefix("ledger-reconciler")
            #expect((line.times == ["*", "*", "*", "*", "*"]) == !isNightly, "\(line.command)")
            // Long flags only; nothing is thrown away, locked or chained.
            #expect(line.command.firstMatch(of: #/ -[A-Za-z]|[|;&<>`$]/#) == nil, "\(line.command)")
        }
    }

    // MARK: As cron runs it

    /// All the environment that cron gives: its own four, and what the file sets.
    private func environment(_ line: RescueLine, envFile: String) throws -> [String: String] {
        var all = ["HOME": "/", "LOGNAME": "holdfast"]
        for (name, value) in Self.variables { all[name] = value }
        all["PATH"] = Executable.folder
        all["HOLDFAST_ENV_FILE"] = envFile
        return all
    }

    private func envFile(_ line: RescueLine) throws -> String {
        let path = line.assets + ".env"
        let text = line.environment().sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }.joined(separator: "\n")
        try Data((text + "\n").utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func run(_ line: Line, _ environment: [String: String]) async throws -> Finished {
        try await Executable.run(
            environment["SHELL"] ?? "/bin/sh", arguments: ["-c", line.command],
            environment: environment)
    }

    @Test(arguments: lines)
    func `an idle line ends with 0, and the minutely ones say nothing`(_ one: Line) async throws {
        let line = try RescueLine()
        let file = try envFile(line)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let finished = try await run(one, environment(line, envFile: file))
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stderr == "")
        if one.command.hasPrefix("ledger-reconciler") {
            #expect(finished.stdout.contains("invariants hold; no open breaks"))
        } else {
            #expect(finished.stdout == "")
        }
        #expect(try line.value("SELECT count(*) FROM holdfast.run WHERE exit_status = 0") == "1")
    }

    @Test func `what the lines do together delivers a job, and says so in one line each`()
        async throws
    {
        let line = try RescueLine()
        let file = try envFile(line)
        defer { try? FileManager.default.removeItem(atPath: file) }
        try line.open("job-1", taskID: "task-1")
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        var said: [String: String] = [:]
        for one in Self.lines {
            let finished = try await run(one, environment(line, envFile: file))
            #expect(finished.status == 0, "\(one.command): \(finished.stderr)")
            said[String(one.command.prefix { $0 != " " })] = finished.stdout
        }
        try line.checkDelivered("job-1", task: "task-1")
        #expect(said["stuck-sweeper"]?.split(separator: "\n").count == 1)
        #expect(said["stuck-sweeper"]?.contains("1 succeeded") == true)
        #expect(said["orphan-recoverer"] == "")
        #expect(said["storage-mirrorer"]?.split(separator: "\n").count == 1)
        #expect(said["storage-mirrorer"]?.contains("1 delivered") == true)
    }

    @Test(arguments: lines)
    func `a settings file that is missing is named, with status 78`(_ one: Line) async throws {
        let line = try RescueLine()
        let file = line.assets + ".no-such.env"
        let finished = try await run(one, environment(line, envFile: file))
        #expect(finished.status == 78)
        #expect(finished.stderr.contains(file) && finished.stderr.contains("HOLDFAST_ENV_FILE"))
        #expect(finished.stdout == "")
    }

    @Test func `two hosts run the same file at the same minute`() async throws {
        let line = try RescueLine()
        let file = try envFile(line)
        defer { try? FileManager.default.removeItem(atPath: file) }
        for n in 1...5 {
            try line.open("job-\(n)", taskID: "task-\(n)")
            try line.callBack(#"{"data":{"taskId":"task-\#(n)"}}"#)
        }
        let environment = try environment(line, envFile: file)
        for _ in 1...2 {
            try await withThrowingTaskGroup(of: Finished.self) { group in
                for _ in 1...2 {
                    for one in Self.lines {
                        group.addTask { try await run(one, environment) }
                    }
                }
                for try await finished in group {
                    #expect(finished.status == 0, "\(finished.stderr)\(finished.stdout)")
                }
            }
        }
        try await line.minute()
        for n in 1...5 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
    }
}
