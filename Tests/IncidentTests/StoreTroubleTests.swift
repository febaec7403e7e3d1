import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// One key's or one account's trouble in the store is nobody else's.
@Suite struct StoreTroubles {
    static let bad = 4
    static let others = 8

    /// What is in the way below the store's folder, and of how many of the account's files.
    struct Obstacle: CustomTestStringConvertible, Sendable {
        var name: String
        var path: String
        var files: Int
        var make: @Sendable (String) throws -> Void
        var testDescription: String { name }
    }

    static let file: @Sendable (String) throws -> Void = { path in
        try Data("in the way".utf8).write(to: URL(fileURLWithPath: path))
    }
    static let folder: @Sendable (String) throws -> Void = { path in
        try FileManager.default.createDirectory(
            atPath: path + "/deeper", withIntermediateDirectories: true)
    }
    static let link: @Sendable (String) throws -> Void = { path in
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: "/nowhere/at/all")
    }
    static let pipe: @Sendable (String) throws -> Void = { path in
        guard mkfifo(path, 0o600) == 0 else { throw TestSupportError("mkfifo: \(errno)") }
    }

    static let obstacles: [Obstacle] = [
        .init(name: "a file for an account's folder", path: "bad", files: bad, make: file),
        .init(name: "a link for an account's folder", path: "bad", files: bad, make: link),
        .init(name: "a pipe for an account's folder", path: "bad", files: bad, make: pipe),
        .init(name: "a folder at one key", path: "bad/video/bad-1_0.mp4", files: 1, make: folder),
        .init(name: "a link at one key", path: "bad/video/bad-1_0.mp4", files: 1, make: link),
        .init(name: "a pipe at one key", path: "bad/video/bad-1_0.mp4", files: 1, make: pipe),
    ]

    /// Jobs of one account, whose files expire first, and jobs of others.
    private func line(bucket: S3Peer? = nil) async throws -> RescueLine {
        let line = try RescueLine(bucket: bucket)
        for n in 1...Self.bad {
            try line.open("bad-\(n)", account: "bad", taskID: "task-bad-\(n)")
        }
        for n in 1...Self.others { try line.open("good-\(n)", taskID: "task-good-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.sql(
            """
            UPDATE holdfast.asset SET expires_by = now() + interval '10 min'
            WHERE job_id LIKE 'bad%'
            """)
        return line
    }

    private func count(_ line: RescueLine, _ condition: SQL) throws -> Int {
        Int(try line.value("SELECT count(*) FROM holdfast.asset a WHERE \(sql: condition)")) ?? -1
    }

    /// All but the bad ones are stored by one run; those are put off with their reason, and no more.
    private func check(
        _ line: RescueLine, _ finished: Finished, bad: Int, status: Int32 = 1
    ) throws {
        #expect(finished.status == status, "\(finished.stdout) \(finished.stderr)")
        let outcomes = try JSON.parse(finished.stdoutBytes)["outcomes"]
        #expect(outcomes?["stored"]?.int == Int64(Self.others + Self.bad - bad))
        #expect(outcomes?["retry_later"]?.int == Int64(bad))
        #expect(
            try count(
                line,
                """
                a.state = 'pending' AND a.attempts = 1 AND a.error_message <> '' AND a.claims = 0
                    AND a.lease_owner IS NULL AND a.next_attempt_at > now() + interval '6 min'
                """) == bad)
    }

    @Test(arguments: obstacles)
    func `what is in the way of one account is put off alone`(_ one: Obstacle) async throws {
        let line = try await line()
        let path = line.assets + "/" + one.path
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent,
            withIntermediateDirectories: true)
        try one.make(path)
        let finished = try await line.run(
            "storage-mirrorer", ["--output", "json"], offset: "+6m")
        try check(line, finished, bad: one.files)
        #expect(finished.stdout.contains("bad-1"), "\(finished.stdout)")

        // As often as it is tried: nothing is taken for a crash.
        for minute in [30, 60, 90] {
            _ = try await line.run("storage-mirrorer", offset: "+\(minute)m")
        }
        #expect(try line.outcome("bad-1") == "succeeded/held")
        try FileManager.default.removeItem(atPath: path)
        let last = try await line.run("storage-mirrorer", offset: "+120m")
        #expect(last.status == 0, "\(last.stderr)")
        #expect(try line.outcome("bad-1") == "delivered/captured")
        #expect(try line.violations() == [])
    }

    @Test(arguments: [(403, "AccessDenied", 1), (503, "SlowDown", 0), (400, "InvalidRequest", 1)])
    func `what a bucket refuses to one account is put off alone`(
        _ status: Int, _ code: String, _ exit: Int
    ) async throws {
        let peer = try S3Peer(.stub(.aws))
        let line = try await line(bucket: peer)
        for n in 1...Self.bad {
            try peer.fault(
                "status",
                [
                    "operation": "PutObject", "status": .integer(status), "code": .string(code),
                    "times": -1, "key": .string("made/here/bad/video/bad-\(n)_0.mp4"),
                ])
        }
        let finished = try await line.run(
            "storage-mirrorer", ["--output", "json"], offset: "+6m")
        try check(line, finished, bad: Self.bad, status: Int32(exit))
        try peer.clearFaults()
        let last = try await line.run("storage-mirrorer", offset: "+60m")
        #expect(last.status == 0, "\(last.stderr)")
        #expect(try line.outcome("bad-1") == "delivered/captured")
        #expect(try line.violations() == [])
    }
}
