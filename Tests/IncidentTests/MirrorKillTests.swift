import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// SIGKILL at random moments of the mirrorer, with a bucket at the other end.
@Suite struct MirrorKills {
    static let kills = 200
    static let jobs = 25

    /// 50 files: small ones, some in several parts, and two that are gone at their provider.
    @Test func `two hundred kills leave every savable file stored once, and no orphan upload`()
        async throws
    {
        var chance = SeededGenerator()
        let peer = try S3Peer(.rclone)
        let line = try world(peer)
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        var minutes = 6
        for _ in 0..<Self.kills {
            // Past the lease of whatever the last kill left behind.
            minutes += 3
            let victim = try Executable.start(
                "storage-mirrorer", arguments: ["--limit", "3", "--concurrency", "3"],
                environment: line.environment(offset: "+\(minutes)m"))
            // The moment is the experiment, not a wait for something.
            usleep(UInt32.random(in: 5000...250_000, using: &chance))
            victim.kill(SIGKILL)
            _ = await victim.wait()
        }
        let clean = try await line.run("storage-mirrorer", offset: "+\(minutes + 30)m")
        // One job's files are lost, which is for a person.
        #expect([0, 1].contains(clean.status), "\(clean.stderr) \(chance)")
        try check(line, peer, "\(chance)")
    }

    private func world(_ peer: S3Peer) throws -> RescueLine {
        let line = try RescueLine(bucket: peer)
        try line.sql(
            """
            INSERT INTO holdfast.policy (key, value) VALUES
                ('claim_limit', '1000'), ('rate', '1000'), ('rate_burst', '1000')
            """)
        for n in 0..<Self.jobs {
            var task: [JSONObject.Member] = [
                .init(key: "file_bytes", value: .integer(n % 5 == 0 ? 11_000_000 : 150_000)),
                .init(key: "file_kind", value: "mp4"),
            ]
            if n == 7 {
                task.append(.init(key: "file_fault", value: "gone"))
                task.append(.init(key: "refreshable", value: false))
            }
            try line.open("job-\(n)", outputs: 2, taskID: "task-\(n)", task: JSONObject(task))
        }
        return line
    }

    private func check(_ line: RescueLine, _ peer: S3Peer, _ seed: String) throws {
        let rows = try line.sql(
            """
            SELECT job_id, state, object_key, sha256, bytes FROM holdfast.asset
            """)
        #expect(rows.count == 2 * Self.jobs)
        var keys: [String] = []
        for row in rows {
            let jobID = try row.text("job_id")
            guard jobID != "job-7" else {
                #expect(try row.text("state") == "lost", "\(seed)")
                continue
            }
            #expect(try row.text("state") == "stored", "\(jobID) \(seed)")
            let key = try row.text("object_key")
            let there = try #require(try peer.object("made/here/" + key), "\(key) \(seed)")
            #expect(there.sha256 == (try row.text("sha256")), "\(key) \(seed)")
            #expect(there.size == (try row.int("bytes")), "\(key) \(seed)")
            keys.append("made/here/" + key)
        }
        #expect(try peer.objects().map(\.key) == keys.sorted(), "\(seed)")
        #expect(try peer.uploads() == [], "\(seed)")
        for n in 0..<Self.jobs {
            let end = n == 7 ? "failed/voided/result_lost" : "delivered/captured"
            #expect(try line.outcome("job-\(n)") == end, "\(seed)")
        }
        #expect(try line.violations() == [], "\(seed)")
    }
}
