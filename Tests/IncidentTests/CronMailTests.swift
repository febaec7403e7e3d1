import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What cron sends by mail while something lasts: a line when it begins, one each hour, and one when it
/// is over.
///
/// The exit status tells every time.
@Suite struct CronMail {
    /// A host with its crontab, its settings file and its state folder.
    private final class Host {
        let line: RescueLine
        let folder = NSTemporaryDirectory() + "holdfast-cron-" + RunID.make()
        var settings: [String: String]
        /// Beside what the crontab sets.
        var environment: [String: String] = [:]
        var file: String { folder + "/holdfast.env" }

        init(_ line: RescueLine, hasState: Bool = true) throws {
            self.line = line
            settings = line.environment()
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            if hasState { settings["HOLDFAST_STATE_DIR"] = folder + "/state" }
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        /// As cron runs a line of the crontab, so many minutes from now.
        func run(
            _ name: String, _ arguments: String = "", minute: Int, writes: Bool = true
        ) async throws -> Finished {
            var all = settings
            all["HOLDFAST_CLOCK_OFFSET"] = "+\(minute)m"
            all["HOLDFAST_ALLOW_CLOCK_OFFSET"] = "1"
            let text = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }
            if writes {
                try Data(text.joined().utf8).write(to: URL(fileURLWithPath: file))
            }
            var variables = [
                "HOME": "/", "LOGNAME": "holdfast", "PATH": Executable.folder,
                "HOLDFAST_ENV_FILE": file,
            ]
            variables.merge(environment) { $1 }
            return try await Executable.run(
                "/bin/sh", arguments: ["-c", "\(name) \(arguments)"], environment: variables)
        }
    }

    private static let minutes = [
        0, 1, 2, 10, 19, 28, 37, 46, 55, 59, 61, 62, 70, 79, 88, 97, 106, 115, 121, 122, 130, 139,
        148, 157, 166, 175, 182, 183,
    ]
    private static let programs = ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"]

    /// Output is what makes a mail.
    private func mail(_ finished: Finished) -> String { finished.stdout + finished.stderr }

    private func gone(_ line: RescueLine) throws -> String {
        var parts = try #require(URLComponents(string: line.database.url))
        parts.port = 1
        return try #require(parts.string)
    }

    @Test func `a night without a database is a few mails and not thousands`() async throws {
        let line = try RescueLine()
        let host = try Host(line)
        host.settings["HOLDFAST_DATABASE_URL"] = try gone(line)
        var mails: [(minute: Int, text: String)] = []
        // Cron comes each minute; these are enough of them for nothing to seem over in between.
        for minute in Self.minutes {
            for name in Self.programs {
                let finished = try await host.run(name, minute: minute)
                #expect(finished.status == 75, "\(finished.stderr)")
                if !mail(finished).isEmpty { mails.append((minute, mail(finished))) }
            }
        }
        #expect(mails.map(\.minute) == [0, 61, 121, 182], "\(mails)")
        #expect(mails.first?.text.contains("is unavailable") == true)
        #expect(mails.first?.text.contains("HOLDFAST_STATE_DIR") == false)
        let last = mails.last?.text ?? ""
        #expect(last.contains("it lasts 3h2m, met 79 times; said again each hour"), "\(last)")
        // Over, said once by whoever comes first ten minutes later.
        host.settings["HOLDFAST_DATABASE_URL"] = line.database.url
        var over: [(minute: Int, text: String)] = []
        for minute in [184, 188, 192, 194, 195, 260] {
            for name in Self.programs {
                let finished = try await host.run(name, minute: minute)
                #expect(finished.status == 0, "\(finished.stderr)")
                if !mail(finished).isEmpty { over.append((minute, mail(finished))) }
            }
        }
        #expect(over.map(\.minute) == [194], "\(over)")
        #expect(over.first?.text.contains("over: database was met 84 times") == true, "\(over)")
    }

    @Test func `without a folder nothing is damped, and the line says so`() async throws {
        let line = try RescueLine()
        let host = try Host(line, hasState: false)
        host.settings["HOLDFAST_DATABASE_URL"] = try gone(line)
        host.settings["HOLDFAST_STATE_DIR"] = host.folder + "/not/there"
        for _ in 1...2 {
            let finished = try await host.run("stuck-sweeper", minute: 0)
            #expect(finished.status == 75)
            #expect(finished.stderr.contains("is unavailable"), "\(finished.stderr)")
            #expect(finished.stderr.contains("set HOLDFAST_STATE_DIR"), "\(finished.stderr)")
        }
    }

    @Test func `JSON is written each time, with its errors`() async throws {
        let line = try RescueLine()
        let host = try Host(line)
        host.settings["HOLDFAST_DATABASE_URL"] = try gone(line)
        for _ in 1...2 {
            let finished = try await host.run("stuck-sweeper", "--output json", minute: 0)
            #expect(finished.status == 75)
            let object = try JSON.parse(finished.stdoutBytes)
            #expect(object["errors"]?.array?.count == 1)
            #expect(finished.stderr.contains("is unavailable"), "\(finished.stderr)")
        }
    }

    @Test func `a settings file that cannot be read is said once for all programs`() async throws {
        let line = try RescueLine()
        let host = try Host(line)
        host.environment["HOLDFAST_STATE_DIR"] = host.folder + "/state"
        var mails = 0
        for name in Self.programs + Self.programs {
            let finished = try await host.run(name, minute: 0, writes: false)
            #expect(finished.status == 78)
            if !mail(finished).isEmpty { mails += 1 }
        }
        #expect(mails == 1)
    }

    /// What the database remembers, for all hosts together.
    enum Trouble: String, CaseIterable {
        case store, breaker, key, callbacks

        var command: String { self == .store ? "storage-mirrorer" : "stuck-sweeper" }

        var status: Int32 {
            switch self {
            case .store, .key: 78
            case .breaker: 69
            case .callbacks: 1
            }
        }

        var words: String {
            switch self {
            case .store: "cannot"
            case .breaker: "is left alone"
            case .key: "refused"
            case .callbacks: "were refused"
            }
        }
    }

    private func begin(_ trouble: Trouble, _ host: Host) async throws {
        let line = host.line
        switch trouble {
        case .store:
            try line.open("job-1", taskID: "task-1")
            try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
            _ = try await line.run("stuck-sweeper")
            // A link that leads nowhere: a volume that is not mounted.
            try FileManager.default.createSymbolicLink(
                atPath: host.folder + "/assets", withDestinationPath: host.folder + "/volume/a")
            host.settings["HOLDFAST_STORAGE_URL"] = "file://" + host.folder + "/assets"
        case .breaker, .key:
            try line.liftRates()
            try line.setPolicy("poll_backoff_max", "10s")
            try line.setPolicy("deadline", "20h")
            for n in 1...25 { try line.open("job-\(n)", taskID: "task-\(n)") }
            if trouble == .key { try line.fault(["provider": "kie", "unauthorized_rate": 1]) }
            if trouble == .breaker { try line.fault(["provider": "kie", "server_error_rate": 1]) }
        case .callbacks:
            host.settings["HOLDFAST_CALLBACK_SECRET"] = "the-secret-of-this-host"
        }
    }

    @Test(arguments: [Trouble.store, .callbacks])
    func `trouble that lasts is said once by all hosts, each hour, and when it is over`(
        _ trouble: Trouble
    ) async throws {
        let line = try RescueLine()
        let hosts = [try Host(line), try Host(line)]
        for host in hosts { try await begin(trouble, host) }
        func run(_ minute: Int) async throws -> [String] {
            var said: [String] = []
            for host in hosts {
                for _ in 1...2 where trouble == .callbacks {
                    try line.callBack("{\"n\":\"\(RunID.make())\"}")
                }
                let finished = try await host.run(trouble.command, minute: minute)
                #expect(finished.status == trouble.status, "\(finished.stderr)")
                if !finished.stderr.isEmpty { said.append(finished.stderr) }
            }
            return said
        }
        let first = try await run(10)
        #expect(first.count == 1 && first[0].contains(trouble.words), "\(first)")
        for minute in [11, 18, 26, 34, 42, 50, 58, 66] {
            #expect(try await run(minute) == [], "minute \(minute)")
        }
        let hour = try await run(71)
        #expect(hour.count == 1 && hour[0].contains("it lasts 1h1m, met 19 times"), "\(hour)")
        // Repaired.
        for host in hosts {
            host.settings["HOLDFAST_CALLBACK_SECRET"] = nil
            host.settings["HOLDFAST_STORAGE_URL"] = "file://" + line.assets
        }
        var over: [(minute: Int, text: String)] = []
        for minute in [72, 80, 82, 83, 90] {
            for host in hosts {
                let finished = try await host.run(trouble.command, minute: minute)
                #expect(finished.status == 0, "\(finished.stderr)")
                if !finished.stderr.isEmpty { over.append((minute, finished.stderr)) }
            }
        }
        #expect(over.map(\.minute) == [82], "\(over)")
        #expect(over.first?.text.contains("over: ") == true, "\(over)")
    }

    @Test(arguments: [Trouble.breaker, .key])
    func `a provider that is left alone again and again is one condition`(
        _ trouble: Trouble
    ) async throws {
        let line = try RescueLine()
        let host = try Host(line)
        try await begin(trouble, host)
        var mails: [String] = []
        var statuses: Set<Int32> = []
        for minute in stride(from: 10, through: 100, by: 3) {
            let finished = try await host.run("stuck-sweeper", minute: minute)
            statuses.insert(finished.status)
            mails += finished.stderr.split(separator: "\n").map { "\(minute): \($0)" }
        }
        #expect(statuses.contains(trouble.status))
        #expect(mails.first?.contains("10: stuck-sweeper: kie") == true, "\(mails)")
        for words in ["is left alone", "refused our credentials"] {
            // When it begins, and after an hour.
            #expect(mails.filter { $0.contains(words) }.count <= 2, "\(mails)")
        }
        #expect(mails.contains { $0.contains(trouble.words) }, "\(mails)")
        #expect(!mails.contains { $0.contains("over: ") }, "\(mails)")
    }
}
