import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// Secrets and keys that are exchanged while everything runs.
@Suite struct SecretTurnover {
    private static func both(_ value: String) -> [String: String?] {
        ["HOLDFAST_CALLBACK_SECRET": value]
    }

    private func results(_ line: RescueLine) throws -> [String] {
        try line.sql("SELECT result FROM holdfast.callback ORDER BY callback_id").map {
            try $0.text("result")
        }
    }

    @Test(arguments: ["the-new-secret,the-old-secret", " the-new-secret, the-old-secret\n"])
    func
        `callbacks of the new and of the old secret are believed, and doctor says when the old one was needed`(
            _ value: String
        ) async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        func call(_ secret: String) throws {
            try line.callBack(
                #"{"data":{"taskId":"task-1"},"n":"\#(RunID.make())"}"#, query: "secret=\(secret)")
        }
        try call("the-new-secret")
        #expect(try await line.run("stuck-sweeper", [], Self.both(value)).status == 0)
        let fresh = try await line.run("holdfast", ["doctor"], Self.both(value))
        #expect(
            fresh.stdout.contains("HOLDFAST_CALLBACK_SECRET")
                && fresh.stdout.contains("the old one has not been needed"), "\(fresh.stdout)")
        try call("the-old-secret")
        let swept = try await line.run("stuck-sweeper", [], Self.both(value))
        #expect(swept.status == 0, "\(swept.stderr)")
        #expect(try results(line) == ["matched", "matched"])
        let doctor = try await line.run("holdfast", ["doctor"], Self.both(value))
        #expect(doctor.stdout.contains("the old one was last needed"), "\(doctor.stdout)")
        // A stranger's is refused as ever, and nothing that is said holds a secret.
        try call("no-secret-of-ours")
        _ = try await line.run("stuck-sweeper", [], Self.both(value))
        #expect(try results(line).last == "refused")
        for text in [fresh.stdout, doctor.stdout, swept.stderr] {
            #expect(!text.contains("the-new-secret") && !text.contains("the-old-secret"))
        }
    }

    @Test func `a tag that was made with the old secret finds its job`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        // HMAC-SHA256 of job-1 under old-secret: python3 -c 'import hmac; print(hmac.new(b"old-secret", b"job-1", "sha256").hexdigest())'
        let tag = "63239697a452833ff605324be948541295a8619c2fd25c1799dd7de3f123fb0b"
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#, query: "job=job-1&tag=\(tag)")
        let swept = try await line.run(
            "stuck-sweeper", [], Self.both("new-secret,old-secret"))
        #expect(swept.status == 0, "\(swept.stderr)")
        #expect(try results(line) == ["matched"])
    }

    @Test func `a webhook secret may hold two values as well`() async throws {
        let line = try RescueLine(providers: PlayedProvider.named("piapi"))
        try line.open("job-1", provider: "piapi", endpoint: nil, taskID: "task-1", task: nil)
        let both: [String: String?] = ["HOLDFAST_PIAPI_WEBHOOK_SECRET": "new-one,old-one"]
        for secret in ["old-one", "new-one", "neither"] {
            try line.sql(
                """
                SELECT holdfast.record_callback('piapi', \("{\"x-webhook-secret\": \"\(secret)\"}")::jsonb,
                    '', convert_to(\("{\"data\": {\"task_id\": \"task-1\"}, \"n\": \"\(secret)\"}"), 'UTF8'))
                """)
        }
        _ = try await line.run("stuck-sweeper", [], both)
        #expect(try results(line) == ["matched", "matched", "refused"])
        let doctor = try await line.run("holdfast", ["doctor"], both)
        #expect(
            doctor.stdout.contains("HOLDFAST_PIAPI_WEBHOOK_SECRET")
                && doctor.stdout.contains("the old one was last needed"), "\(doctor.stdout)")
    }

    @Test func `three values are refused, by name`() async throws {
        let line = try RescueLine()
        let run = try await line.run("stuck-sweeper", [], Self.both("aaaaaaaa,bbbbbbbb,cccccccc"))
        #expect(run.status == 78, "\(run.stderr)")
        #expect(
            run.stderr.contains("HOLDFAST_CALLBACK_SECRET") && !run.stderr.contains("bbbbbbbb"),
            "\(run.stderr)")
    }

    @Test func `another key closes the breaker that the first one opened`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        try line.sql("DELETE FROM holdfast.policy WHERE key = 'breaker_failures'")
        try line.sql("INSERT INTO holdfast.policy (key, value) VALUES ('breaker_failures', '3')")
        for n in 1...4 { try line.open("job-\(n)", taskID: "task-\(n)") }
        let revoked = try await line.run(
            "stuck-sweeper", offset: "+6m", ["HOLDFAST_KIE_API_KEY": "a-revoked-key"])
        #expect(revoked.status == 78, "\(revoked.stderr)")
        let isOpen = try line.value(
            """
            SELECT (paused_until > clock_timestamp() + interval '6 minutes')::text
            FROM holdfast.provider WHERE provider = 'kie'
            """)
        #expect(isOpen == "true")
        // It stays open for as long as it may, so that the jobs are due again before it ends.
        try line.sql(
            """
            UPDATE holdfast.provider SET paused_until = clock_timestamp() + interval '15 minutes'
            WHERE provider = 'kie'
            """)
        let same = try await line.report(
            "stuck-sweeper", offset: "+8m", ["HOLDFAST_KIE_API_KEY": "a-revoked-key"])
        #expect(same["examined"]?.int == 0, "\(same)")
        // The same key waits for the breaker; the right one does not.
        let report = try await line.report("stuck-sweeper", offset: "+8m")
        #expect(report["exit_status"]?.int == 0, "\(report)")
        #expect(report["examined"]?.int == 4, "\(report)")
        let stored = try line.value(
            "SELECT to_jsonb(p)::text FROM holdfast.provider p WHERE provider = 'kie'")
        #expect(!stored.contains("a-revoked-key") && !stored.contains("simulator-kie-api-key"))
    }

    @Test func `a run that is told 401 reads the key's file again before it believes it`()
        async throws
    {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...3 { try line.open("job-\(n)", taskID: "task-\(n)") }
        let file = try TurningFile { () -> String in
            // The key is exchanged while the first answer is on its way.
            let counts = try line.simulator.get("/control/counts")
            return (counts["unauthorized"]?["kie"]?.int ?? 0) == 0
                ? "a-revoked-key" : "simulator-kie-api-key"
        }
        defer { file.end() }
        let report = try await line.report(
            "stuck-sweeper", offset: "+6m",
            ["HOLDFAST_KIE_API_KEY": nil, "HOLDFAST_KIE_API_KEY_FILE": file.path])
        #expect(report["exit_status"]?.int == 0, "\(report)")
        #expect(report["outcomes"]?["succeeded"]?.int == 3, "\(report)")
    }
}

/// A file that says something else each time that it is read: a pipe with a writer of its own.
private final class TurningFile: Sendable {
    let path = NSTemporaryDirectory() + "holdfast-key-" + RunID.make()
    private let isOver = ManagedFlag()

    init(_ content: @escaping @Sendable () throws -> String) throws {
        try #require(mkfifo(path, 0o600) == 0)
        let (path, isOver) = (path, isOver)
        Thread.detachNewThread {
            while !isOver.isRaised {
                // Without a reader it cannot be opened, and is tried again.
                let descriptor = open(path, O_WRONLY | O_NONBLOCK)
                guard descriptor >= 0, let text = try? content() else {
                    if descriptor >= 0 { close(descriptor) }
                    _ = poll(nil, 0, 1)
                    continue
                }
                _ = Array((text + "\n").utf8).withUnsafeBytes {
                    write(descriptor, $0.baseAddress, $0.count)
                }
                close(descriptor)
                // The next reader comes when this one has gone.
                while case let other = open(path, O_WRONLY | O_NONBLOCK), other >= 0 {
                    close(other)
                    _ = poll(nil, 0, 1)
                }
            }
        }
    }

    func end() {
        isOver.raise()
        unlink(path)
    }
}

private final class ManagedFlag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false
    var isRaised: Bool { lock.withLock { value } }
    func raise() { lock.withLock { value = true } }
}
