import Core
import Postgres
import TestSupport
import Testing

/// The mirrorer with a bucket at the other end.
@Suite struct Buckets {
    private func open(_ line: RescueLine, outputs: Int = 1, bytes: Int = 150_000) async throws {
        try line.open(
            "job-1", outputs: outputs, taskID: "task-1",
            task: .init([.init(key: "file_bytes", value: .integer(bytes))]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
    }

    /// What is in the bucket is what the database says, and nothing else is there.
    private func checkStored(_ line: RescueLine, _ peer: S3Peer) throws {
        #expect(try line.outcome("job-1") == "delivered/captured")
        let rows = try line.sql("SELECT object_key, sha256, bytes FROM holdfast.asset")
        for row in rows {
            let key = "made/here/" + (try row.text("object_key"))
            let there = try #require(try peer.object(key))
            #expect(there.sha256 == (try row.text("sha256")))
            #expect(there.size == (try row.int("bytes")))
            #expect(there.contentType == "video/mp4")
            #expect(there.disposition == "inline")
        }
        #expect(try peer.objects().count == rows.count)
        #expect(try peer.uploads() == [])
        #expect(try line.violations() == [])
    }

    @Test(arguments: S3Peer.Kind.all, [150_000, 11_000_000])
    func `every file of a job is delivered into any vendor's bucket`(
        _ kind: S3Peer.Kind, _ bytes: Int
    ) async throws {
        let peer = try S3Peer(kind)
        let line = try RescueLine(bucket: peer)
        try await open(line, outputs: 2, bytes: bytes)
        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["outcomes"]?["stored"]?.int == 2, "\(JSON.write(report))")
        try checkStored(line, peer)
        for url in try line.status("job-1").texts("asset_urls") {
            #expect(url.hasPrefix("https://cdn.example.com/made/here/account-job-1/video/job-1_"))
        }
        // Nothing is fetched or written again.
        let again = try await line.report("storage-mirrorer", offset: "+7m")
        #expect(again["examined"]?.int == 0)
    }

    struct Trouble: CustomTestStringConvertible, Sendable {
        var name: String
        var status: Int32
        var code: String
        var bytes = 150_000
        var changes: [String: String] = [:]
        var make: @Sendable (S3Peer) throws -> Void = { _ in }
        var mend: @Sendable (S3Peer) throws -> Void = { try $0.clearFaults() }
        var testDescription: String { "\(name) \(bytes)" }
    }

    static let troubles: [Trouble] = [
        .init(
            name: "a wrong secret", status: 78, code: "storage_key_wrong",
            changes: ["HOLDFAST_S3_SECRET_ACCESS_KEY": "canary-secret"]),
        .init(
            name: "no secret", status: 78, code: "storage_key_missing",
            changes: ["HOLDFAST_S3_SECRET_ACCESS_KEY": ""]),
        .init(
            name: "a missing bucket", status: 78, code: "bucket_missing",
            make: { try $0.settings(["vanished": true]) },
            mend: { try $0.settings(["vanished": false]) }),
        .init(
            name: "a clock that is off", status: 78, code: "clock_skew",
            make: { try $0.settings(["skew_minutes": 30]) },
            mend: { try $0.settings(["skew_minutes": 0]) }),
        .init(
            name: "a full bucket", status: 69, code: "disk_full",
            make: { try $0.settings(["quota_bytes": 100]) },
            mend: { try $0.settings(["quota_bytes": -1]) }),
        .init(
            name: "a busy store", status: 69, code: "storage_unavailable",
            make: { try $0.fault("status", ["operation": "PutObject", "times": -1]) }),
        .init(
            name: "a bucket that vanishes midway", status: 78, code: "bucket_missing",
            bytes: 11_000_000, make: { try $0.fault("vanish", ["operation": "UploadPart"]) },
            mend: { try $0.settings(["vanished": false]) }),
        .init(
            name: "no right to write", status: 78, code: "storage_denied",
            make: { try $0.settings(["denied": ["PutObject"]]) },
            mend: { try $0.settings(["denied": []]) }),
        .init(
            name: "an object that is not taken", status: 1, code: "storage_refused",
            make: {
                try $0.fault(
                    "status",
                    [
                        "operation": "PutObject", "status": 400, "code": "EntityTooLarge",
                        "times": -1,
                    ])
            }),
    ]

    @Test(arguments: troubles)
    func `a store that does not take files loses none`(_ trouble: Trouble) async throws {
        let peer = try S3Peer(.stub(.aws))
        let line = try RescueLine(bucket: peer)
        try await open(line, bytes: trouble.bytes)
        try trouble.make(peer)
        let finished = try await line.run(
            "storage-mirrorer", ["--output", "json"], offset: "+6m", trouble.changes)
        #expect(finished.status == trouble.status, "\(finished.stdout) \(finished.stderr)")
        let report = try JSON.parse(finished.stdoutBytes)
        let codes = report["errors"]?.array?.map { $0["code"]?.text } ?? []
        #expect(codes == [trouble.code], "\(finished.stdout)")
        for text in [finished.stdout, finished.stderr] {
            #expect(!text.contains("canary-secret") && !text.contains(peer.secretAccessKey))
            #expect(!text.contains("Signature="))
        }
        try line.checkUndecided("job-1", "succeeded/held")
        #expect(try peer.objects() == [])

        try trouble.mend(peer)
        _ = try await line.run("storage-mirrorer", offset: "+30m")
        try checkStored(line, peer)
    }

    /// One object that the store does not take is no reason to keep the others waiting.
    @Test func `a file that is refused holds up nobody else`() async throws {
        let peer = try S3Peer(.stub(.aws))
        let line = try RescueLine(bucket: peer)
        for n in 1...3 { try line.open("job-\(n)", taskID: "task-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try peer.fault(
            "status",
            [
                "operation": "PutObject", "status": 400, "code": "InvalidRequest", "times": -1,
                "key": "made/here/account-job-2/video/job-2_0.mp4",
            ])
        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["outcomes"]?["stored"]?.int == 2, "\(JSON.write(report))")
        #expect(report["errors"]?.array?.first?["job_id"] == "job-2")
        #expect(report["exit_status"]?.int == 1)
    }

    /// A job that was dismissed while its upload was under way: nobody claims its files again.
    @Test func `uploads that nobody will complete are given up after a day`() async throws {
        let peer = try S3Peer(.stub(.aws))
        let line = try RescueLine(bucket: peer)
        let old = try peer.beginUpload(
            "made/here/account-job-9/video/job-9_0.mp4", parts: [[1, 2]])
        let foreign = try peer.beginUpload("made/elsewhere.mp4")
        try await open(line)
        _ = try await line.run("storage-mirrorer", offset: "+6m")
        // Not a day old.
        #expect(Set(try peer.uploads().map(\.id)) == [old, foreign])
        try line.open("job-2", taskID: "task-2")
        _ = try await line.run("stuck-sweeper", offset: "+26h")
        _ = try await line.run("storage-mirrorer", offset: "+26h")
        #expect(try peer.uploads().map(\.id) == [foreign])
    }
}
