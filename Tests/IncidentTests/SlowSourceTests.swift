import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// Hosts that send a byte now and then: they hold up nobody but themselves.
@Suite struct SlowSources {
    static let others = 20

    /// A job with as many files at a host that hardly sends anything, next to expire, and one with files
    /// at a host that is well.
    private func line(slow: Int) throws -> RescueLine {
        let trickle = try HostileSource(
            .trickles, body: Self.video(100_000), contentType: "video/mp4",
            options: ["seconds": .number("0.2")])
        let well = try HostileSource(.strongETag, body: Self.video(4096), contentType: "video/mp4")
        let line = try RescueLine()
        for (job, source, count) in [("slow", trickle, slow), ("well", well, Self.others)] {
            try line.open(job, outputs: count, taskID: "task-\(job)", task: nil)
            let urls = try (0..<count).map { try source.url + "?n=\($0)" }
            try line.sql("SELECT holdfast.finish_job(\(job), 'succeeded', \(urls)::text[])")
        }
        try line.sql(
            "UPDATE holdfast.asset SET expires_by = now() + interval '5 min' WHERE job_id = 'slow'")
        try line.sql(
            """
            INSERT INTO holdfast.policy (key, value) VALUES ('slow_after', '1s'), ('max_runs', '1')
            """)
        return line
    }

    /// A video whose content reaches to its end.
    static func video(_ size: Int) -> [UInt8] {
        func big(_ value: Int) -> [UInt8] {
            [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
        }
        let head =
            big(16) + Array("ftypisom".utf8) + [0, 0, 2, 0] + big(8) + Array("moov".utf8)
            + big(size - 24) + Array("mdat".utf8)
        return head + [UInt8](repeating: 7, count: size - head.count)
    }

    private func stored(_ line: RescueLine) throws -> Int {
        Int(
            try line.value(
                "SELECT count(*) FROM holdfast.asset WHERE job_id = 'well' AND state = 'stored'"))
            ?? -1
    }

    @Test(arguments: [2, 10, 100])
    func `slow sources hold up nobody else`(_ slow: Int) async throws {
        let line = try line(slow: slow)
        let running = try line.begin(
            "storage-mirrorer", ["--concurrency", "32", "--time-budget", "40s"], offset: "+1m")
        try line.until("the others are stored") { try stored(line) == Self.others }
        try line.until("every slow one is known to be slow") {
            try line.value("SELECT count(*) FROM holdfast.asset WHERE slow_since IS NOT NULL")
                == "\(slow)"
        }
        // They are named while they last, and by whose host.
        let status = try await line.report("holdfast", ["status"], offset: "+1m")
        let named = status["slow_files"]?.array?.first
        #expect(named?["provider"]?.text == "kie", "\(JSON.write(status))")
        #expect((named?["files"]?.int ?? 0) >= 2)
        let text = try await line.run("holdfast", ["status"], offset: "+1m")
        #expect(text.stdout.contains("of kie since"), "\(text.stdout)")
        let doctor = try await line.run("holdfast", ["doctor"], offset: "+1m")
        #expect(doctor.stdout.contains("warn  slow files of kie"), "\(doctor.stdout)")
        running.kill(SIGTERM)
        _ = await running.wait()
        // No more of them at a time than a quarter of the places, and none is given up.
        let held = try line.value(
            """
            SELECT count(*) FROM holdfast.asset WHERE state = 'pending' AND job_id = 'slow'
                AND slow_since IS NOT NULL AND lease_owner IS NULL
            """)
        #expect(held == "\(slow)")
        #expect(try line.outcome("slow") == "succeeded/held")
        #expect(try line.violations() == [])
    }

    /// Files that take longer than a run has: the next minute's run works beside it.
    @Test func `a run past its budget takes nobody's place`() async throws {
        let line = try line(slow: 2)
        // Long files, and not slow ones.
        try line.sql("UPDATE holdfast.policy SET value = '1h' WHERE key = 'slow_after'")
        let first = try line.begin(
            "storage-mirrorer", ["--concurrency", "2", "--time-budget", "1s"], offset: "+1m")
        try line.until("it is at the files") {
            try line.value("SELECT count(*) FROM holdfast.asset WHERE lease_owner IS NOT NULL")
                == "2"
        }
        try line.until("its place is free") {
            try line.value("SELECT count(*) FROM holdfast.run_slot WHERE run_id IS NOT NULL") == "0"
        }
        let next = try await line.report("storage-mirrorer", offset: "+1m")
        #expect(next["outcomes"]?["stored"]?.int == 20, "\(JSON.write(next))")
        // The first goes on and keeps what it holds.
        #expect(
            try line.value("SELECT count(*) FROM holdfast.asset WHERE lease_owner IS NOT NULL")
                == "2")
        first.kill(SIGTERM)
        _ = await first.wait()
    }
}
