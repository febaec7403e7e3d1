import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// A mirrorer that is told to stop, or whose store fails, while it is at work in a bucket that
/// overwrites what is at a key.
@Suite(.serialized) struct StoppedMirrors {
    static let key = "made/here/account-job-1/video/job-1_0.mp4"

    private func world(_ peer: S3Peer, jobs: Int = 1) async throws -> RescueLine {
        let line = try RescueLine(bucket: peer)
        for n in 1...jobs { try line.open("job-\(n)", taskID: "task-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        return line
    }

    private func start(_ line: RescueLine) throws -> RunningProcess {
        try Executable.start(
            "storage-mirrorer", environment: line.environment(offset: "+6m"))
    }

    /// Waits until a request for the object has come to the bucket.
    private func asked(_ operation: String, _ peer: S3Peer) async throws {
        try await until("\(operation) was asked for") {
            try peer.log().contains {
                $0["operation"]?.text == operation && $0["key"]?.text == Self.key
            }
        }
    }

    private func until(_ what: String, _ isSo: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while try !isSo() {
            guard ContinuousClock.now < deadline else {
                throw TestSupportError("it never came to this: \(what)")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func isLeased(_ line: RescueLine) throws -> Bool {
        try line.sql("SELECT lease_owner IS NOT NULL AS leased FROM holdfast.asset").single()
            .bool("leased")
    }

    /// Nothing but whole files was ever written, and what the database says is there.
    private func check(_ line: RescueLine, _ peer: S3Peer) throws {
        let stored = try line.sql("SELECT object_key, bytes, sha256 FROM holdfast.asset")
        for row in stored {
            let there = try #require(try peer.object("made/here/" + row.text("object_key")))
            #expect(there.size == (try row.int("bytes")))
            #expect(there.sha256 == (try row.text("sha256")))
        }
        #expect(try peer.objects().count == stored.count)
        let empty = try peer.log().filter {
            $0["operation"] == "PutObject" && $0["body_length"]?.int == 0
        }
        #expect(empty == [])
        #expect(try line.violations() == [])
    }

    @Test func `a run that is stopped while it looks at its key writes nothing after that`()
        async throws
    {
        let peer = try S3Peer(.stub(.plain))
        let line = try await world(peer)
        try peer.fault(
            "hold-answer", ["operation": "GetObject", "key": .string(Self.key), "seconds": 3])
        let stopped = try start(line)
        try await asked("GetObject", peer)
        stopped.kill(SIGTERM)
        try await until("the lease was given back") { try !isLeased(line) }
        let next = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(next["outcomes"]?["delivered"]?.int == 1, "\(JSON.write(next))")
        let finished = await stopped.wait()
        #expect(finished.status == 143)
        #expect(try line.outcome("job-1") == "delivered/captured")
        try check(line, peer)
    }

    @Test func `a run that is stopped while it writes keeps its lease until that has ended`()
        async throws
    {
        let peer = try S3Peer(.stub(.plain))
        let line = try await world(peer)
        try peer.fault(
            "hold-request", ["operation": "PutObject", "key": .string(Self.key), "seconds": 3])
        let stopped = try start(line)
        try await asked("PutObject", peer)
        stopped.kill(SIGTERM)
        // Nobody else may touch the file meanwhile.
        for _ in 1...12 {
            let early = try await line.report("storage-mirrorer", offset: "+6m")
            #expect(early["examined"]?.int == 0, "\(JSON.write(early))")
        }
        let finished = await stopped.wait()
        #expect(finished.status == 143)
        #expect(try !isLeased(line))
        let next = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(next["outcomes"]?["already_stored"]?.int == 1, "\(JSON.write(next))")
        #expect(try line.outcome("job-1") == "delivered/captured")
        try check(line, peer)
    }

    @Test func `a run that is stopped does not wait for ever for a store that does not answer`()
        async throws
    {
        let peer = try S3Peer(.stub(.plain))
        let line = try await world(peer)
        try peer.fault(
            "hold-request", ["operation": "PutObject", "key": .string(Self.key), "seconds": 60])
        let stopped = try start(line)
        try await asked("PutObject", peer)
        let told = ContinuousClock.now
        stopped.kill(SIGTERM)
        let finished = await stopped.wait()
        #expect(finished.status == 143)
        #expect(ContinuousClock.now - told < .seconds(20))
        // Nobody knows what becomes of that request: the lease ends by itself.
        #expect(try isLeased(line))
        let next = try await line.report("storage-mirrorer", offset: "+20m")
        #expect(next["outcomes"]?["delivered"]?.int == 1, "\(JSON.write(next))")
        try check(line, peer)
    }

    @Test func `a store that refuses us in the middle leaves nothing behind at the key of another`()
        async throws
    {
        let peer = try S3Peer(.stub(.plain))
        let line = try await world(peer, jobs: 2)
        try peer.fault(
            "hold-answer", ["operation": "GetObject", "key": .string(Self.key), "seconds": 1])
        // The other file's answer ends the run while the look at the first is under way.
        try peer.fault(
            "status", ["operation": "PutObject", "status": 403, "code": "InvalidAccessKeyId"])
        let failed = try await line.run("storage-mirrorer", offset: "+6m")
        #expect(failed.status == 78, "\(failed.stderr)")
        #expect(try peer.objects().filter { $0.size == 0 } == [])
        let next = try await line.report("storage-mirrorer", offset: "+20m")
        #expect(next["exit_status"]?.int == 0, "\(JSON.write(next))")
        for n in 1...2 { #expect(try line.outcome("job-\(n)") == "delivered/captured") }
        try check(line, peer)
    }
}
