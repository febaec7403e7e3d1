import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// Kills, races and storms on the way into the inbox.
extension Incident4Receiver {
    /// A callback about one of ten jobs that nobody else is like.
    private static func body(_ n: Int) -> [UInt8] {
        Array(
            #"{"taskId":"task-\#(n % 10)","n":\#(n),"pad":"\#(String(repeating: "x", count: 50_000))"}"#
                .utf8)
    }

    // MARK: Kills

    /// Whatever was answered with 200 is kept; nothing half-written ever is.
    @Test func `I-4a a receiver that is killed at any instant leaves all or nothing`() async throws
    {
        var chance = SeededGenerator()
        let scene = try ReceiverScene(try RescueLine())
        var answered: Set<[UInt8]> = []
        for n in 0..<40 {
            let body = Self.body(n)
            let isAway = n % 2 == 0
            let receiver = try Executable.start(
                "callback-receiver",
                environment: scene.request(body.count, "/kie", "POST", [:], isAway: isAway),
                input: body)
            // The moment is the experiment, not a wait for something.
            usleep(UInt32.random(in: 1000...60_000, using: &chance))
            receiver.kill(SIGKILL)
            let finished = await receiver.wait()
            if finished.isAnsweredWith200 { answered.insert(body) }
        }
        let sweep = try await scene.sweep()
        #expect(sweep.status == 0, "\(sweep.stderr) \(chance)")
        #expect(scene.files.allSatisfy { $0.hasSuffix(".tmp") }, "\(scene.files) \(chance)")
        let kept = try scene.line.sql("SELECT body FROM holdfast.callback").map {
            try $0.bytes("body")
        }
        #expect(Set(kept).isSuperset(of: answered), "\(chance)")
        #expect(
            kept.allSatisfy { body in (0..<40).contains { Self.body($0) == body } }, "\(chance)")
    }

    @Test func `I-4a a spool is drained once, however often its sweepers are killed`() async throws
    {
        var chance = SeededGenerator()
        let line = try RescueLine()
        try line.sql(
            "INSERT INTO holdfast.policy (key, value) VALUES ('max_runs', '20'), ('lease', '1s')")
        let scene = try ReceiverScene(line)
        for n in 0..<10 { try line.open("job-\(n)", taskID: "task-\(n)") }
        var names: [String] = []
        for n in 0..<60 {
            let finished = try await line.run(
                "callback-receiver", ["--provider", "kie"], offset: nil,
                scene.settings(isAway: true), input: Self.body(n))
            #expect(finished.status == 0)
            names = scene.files
        }
        #expect(names.count == 60)
        for _ in 0..<12 {
            let sweepers = try (0..<2).map { _ in
                try line.begin("stuck-sweeper", [], offset: nil, scene.settings())
            }
            usleep(UInt32.random(in: 5000...120_000, using: &chance))
            for sweeper in sweepers { sweeper.kill(SIGKILL) }
            for sweeper in sweepers { _ = await sweeper.wait() }
        }
        // As after a kill between the commit and the removal: files that are in the inbox already.
        for name in names.prefix(5) where !scene.files.contains(name) {
            let old = try line.text(
                "SELECT count(*) FROM holdfast.spooled_callback WHERE spool_id || '.callback' = \(name)"
            )
            #expect(old == "1", "\(chance)")
        }
        _ = try await line.atOnce(2, "stuck-sweeper", [], offset: nil, scene.settings())
        _ = try await line.run("stuck-sweeper", [], offset: "+1m", scene.settings())
        #expect(scene.files == [], "\(chance)")
        let kept = try line.sql("SELECT body FROM holdfast.callback ORDER BY callback_id").map {
            try $0.bytes("body")
        }
        #expect(kept.count == 60, "\(chance)")
        #expect(Set(kept) == Set((0..<60).map(Self.body)), "\(chance)")
        for n in 0..<10 { #expect(try line.polls("task-\(n)") >= 1, "\(chance)") }
    }

    @Test func `I-4a a file that is there again after its commit makes no second row`() async throws
    {
        let line = try RescueLine()
        let scene = try ReceiverScene(line)
        for n in 0..<3 {
            _ = try await line.run(
                "callback-receiver", ["--provider", "kie"], offset: nil,
                scene.settings(isAway: true), input: Self.body(n))
        }
        let copies = try scene.files.map { name in
            (name, try Data(contentsOf: URL(fileURLWithPath: scene.spool + "/" + name)))
        }
        for _ in 0..<3 {
            #expect(try await scene.sweep().status == 0)
            #expect(scene.files == [])
            for (name, content) in copies {
                try content.write(to: URL(fileURLWithPath: scene.spool + "/" + name))
            }
        }
        #expect(try line.text("SELECT count(*) FROM holdfast.callback") == "3")
        #expect(
            try line.text(
                """
                SELECT bool_and(a.received_at < b.received_at) FROM holdfast.callback a
                JOIN holdfast.callback b ON b.callback_id = a.callback_id + 1
                """) == "t")
    }

    @Test func `I-4a a spooled callback was received when it came, not when it was read`()
        async throws
    {
        let line = try RescueLine()
        let scene = try ReceiverScene(line)
        let before = try line.text("SELECT clock_timestamp()")
        _ = try await scene.gateway(Self.body(1), isAway: true)
        let after = try line.text("SELECT clock_timestamp()")
        #expect(try await scene.sweep().status == 0)
        // The machine's clock and the database's are one here.
        #expect(
            try line.text(
                """
                SELECT received_at BETWEEN \(before)::timestamptz - interval '1 second'
                    AND \(after)::timestamptz + interval '1 second'
                    AND drained_at > \(after)::timestamptz FROM holdfast.callback
                """) == "t")
    }

    @Test func `I-4a a file that cannot be read is set aside, reported once, and never lost`()
        async throws
    {
        let line = try RescueLine()
        let scene = try ReceiverScene(line)
        for n in 0..<3 {
            _ = try await line.run(
                "callback-receiver", ["--provider", "kie"], offset: nil,
                scene.settings(isAway: true), input: Self.body(n))
        }
        let victim = scene.spool + "/" + scene.files[1]
        #expect(truncate(victim, 1000) == 0)
        let first = try await scene.sweep()
        #expect(first.status == 1)
        #expect(first.stderr.contains("cannot be read") && first.stderr.contains(scene.spool))
        #expect(scene.files.count == 1 && scene.files[0].hasSuffix(".callback.aside"))
        #expect(try line.text("SELECT count(*) FROM holdfast.callback") == "2")
        let second = try await scene.sweep()
        #expect(second.status == 0)
        #expect(second.stderr == "")
        let doctor = try await line.run("holdfast", ["doctor"], offset: nil, scene.settings())
        #expect(doctor.stdout.contains("end in .aside"))
        #expect(doctor.stdout.contains("ok    spool folder: \(scene.spool)"))
    }

    @Test func `I-4a an unusable folder is named by doctor and by the run`() async throws {
        let line = try RescueLine()
        let file = NSTemporaryDirectory() + "holdfast-no-folder-" + RunID.make()
        try Data().write(to: URL(fileURLWithPath: file))
        defer { unlink(file) }
        let settings: [String: String?] = ["HOLDFAST_SPOOL_DIR": file]
        for (name, arguments) in [("holdfast", ["doctor"]), ("stuck-sweeper", [])] {
            let finished = try await line.run(name, arguments, offset: nil, settings)
            #expect(finished.status == 78, "\(name) \(finished.stderr)")
            #expect((finished.stdout + finished.stderr).contains("HOLDFAST_SPOOL_DIR"))
        }
        // A host without the folder has nothing to drain.
        let none = try await line.run(
            "stuck-sweeper", [], offset: nil, ["HOLDFAST_SPOOL_DIR": "/nonexistent/spool"])
        #expect(none.status == 0)
        #expect(none.stdout + none.stderr == "")
    }

    // MARK: I-4c

    @Test func `I-4c ten thousand copies drain in one run, cost one poll and wake one job`()
        async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.open("job-2", taskID: "task-2")
        try line.sql(
            """
            SELECT count(holdfast.record_callback('kie', '{}', '', '{"taskId":"task-1"}'))
            FROM generate_series(1, 10000)
            """)
        try line.sql("SELECT holdfast.record_callback('kie', '{}', '', '{\"taskId\":\"task-2\"}')")
        let started = ContinuousClock.now
        let report = try await line.report("stuck-sweeper")
        let took = ContinuousClock.now - started
        print("ten thousand copies drained in \(took)")
        let outcomes = report["outcomes"]
        #expect(outcomes?["callbacks_matched"] == 2)
        #expect(outcomes?["callbacks_duplicate"] == 9999)
        #expect(took < .seconds(50))
        #expect(try line.polls("task-1") == 1)
        #expect(try line.polls("task-2") == 1)
        #expect(
            try line.text("SELECT count(*) FROM holdfast.callback WHERE drained_at IS NULL") == "0")
    }

    /// What nobody can read now must not be what everybody waits behind.
    @Test func `I-4c a storm about a locked job holds up nothing behind it`() async throws {
        let line = try RescueLine()
        for n in 1...2 { try line.open("job-\(n)", taskID: "task-\(n)") }
        try line.sql(
            """
            SELECT count(holdfast.record_callback('kie', '{}', '', '{"taskId":"task-1"}'))
            FROM generate_series(1, 500)
            """)
        try line.sql("SELECT holdfast.record_callback('kie', '{}', '', '{\"taskId\":\"task-2\"}')")
        let holder = try line.database.connect()
        try holder.execute("BEGIN")
        try holder.execute("SELECT holdfast.heartbeat('job-1', 'generate:poll')")
        #expect(try await line.run("stuck-sweeper").status == 0)
        #expect(try line.polls("task-2") == 1)
        #expect(try line.polls("task-1") == 0)
        try holder.execute("COMMIT")
        #expect(try await line.run("stuck-sweeper").status == 0)
        #expect(try line.polls("task-1") == 1)
    }
}
