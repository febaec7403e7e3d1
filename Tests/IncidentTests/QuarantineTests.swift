import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Refused files are kept, and a person may deliver one all the same.
@Suite struct Quarantine {
    /// A line whose files and refused files go to places of one kind.
    private struct Scene {
        let line: RescueLine
        let peer: S3Peer?
        let folder = NSTemporaryDirectory() + "holdfast-quarantine-" + RunID.make()
        let changes: [String: String?]

        init(isBucket: Bool = false, keeps: Bool = true) throws {
            line = try RescueLine()
            peer = isBucket ? try S3Peer(.stub(.aws)) : nil
            var changes: [String: String?] = [:]
            var quarantine = "file://" + folder
            if let peer {
                changes.merge(peer.environment()) { $1 }
                quarantine =
                    peer.environment(prefix: "refused")["HOLDFAST_STORAGE_URL"] ?? ""
            }
            if keeps { changes["HOLDFAST_QUARANTINE_URL"] = quarantine }
            self.changes = changes
        }

        func end() { try? FileManager.default.removeItem(atPath: folder) }

        func run(
            _ name: String, _ arguments: [String] = [], _ offset: String
        ) async throws -> Finished {
            try await line.run(name, arguments, offset: offset, changes)
        }

        /// A job that waits for a person because its file is refused.
        func refuse(_ id: String = "job-1", _ fault: String = "avi") async throws {
            try line.open(
                id, taskID: "task-\(id)",
                task: .init([.init(key: "file_fault", value: .string(fault))]))
            _ = try await run("stuck-sweeper", [], "+6m")
            _ = try await run("storage-mirrorer", [], "+6m")
            let told = try await run("storage-mirrorer", [], "+75m")
            #expect(try line.outcome(id) == "succeeded/held/blocked=person", "\(told.stderr)")
        }

        func accept(
            _ sha256: String, job: String = "job-1", ordinal: Int = 0, _ offset: String = "+80m"
        ) async throws -> Finished {
            try await run(
                "holdfast",
                [
                    "asset", "accept", "--job", job, "--ordinal", "\(ordinal)", "--sha256", sha256,
                    "--reason", "the customer can play it",
                ], offset)
        }

        func kept() throws -> (sha256: String, name: String) {
            let row = try line.sql(
                "SELECT sha256, coalesce(object_name, '') AS name FROM holdfast.refused_file"
            ).single()
            return (try row.text("sha256"), try row.text("name"))
        }
    }

    /// Its first bytes are those of `avi` at the simulator.
    private static let digest = {
        let bytes =
            Array("RIFF".utf8) + [0, 0x10, 0, 0] + Array("AVI LIST".utf8)
            + Array(repeating: UInt8(0), count: 100_000)
        return (bytes: bytes.count, head: Array(bytes.prefix(16)))
    }()

    @Test(arguments: [false, true])
    func `a refused file is kept, and a person delivers it`(_ isBucket: Bool) async throws {
        let scene = try Scene(isBucket: isBucket)
        defer { scene.end() }
        try await scene.refuse()
        let (sha256, name) = try scene.kept()
        #expect(name.utf8.count == 32)
        if let peer = scene.peer {
            let object = try #require(try peer.object("refused/\(name).bin"))
            #expect(object.sha256 == sha256 && object.contentType == "application/octet-stream")
            #expect(object.disposition == "attachment", "\(object)")
        } else {
            let bytes = FileManager.default.contents(atPath: "\(scene.folder)/\(name).bin")
            #expect(bytes?.count == Self.digest.bytes)
        }
        // Both ways to see it name a command that can be pasted.
        let command =
            "holdfast asset accept --job job-1 --ordinal 0 --sha256 \(sha256) --reason TEXT"
        let list = try await scene.run("holdfast", ["asset", "list", "--job", "job-1"], "+80m")
        #expect(list.stdout.contains(command) && list.stdout.contains("an AVI file"))
        let shown = try await scene.run("holdfast", ["job", "show", "job-1"], "+80m")
        #expect(shown.stdout.contains(command), "\(shown.stdout)")

        // The source has it no more.
        try scene.line.change("task-job-1", ["file_fault": "gone"])
        let done = try await scene.accept(sha256)
        #expect(done.status == 0, "\(done.stderr)\(done.stdout)")
        #expect(try scene.line.outcome("job-1") == "delivered/captured", "\(done.stdout)")
        let asset = try scene.line.sql(
            "SELECT state, sha256, object_key, content_type FROM holdfast.asset"
        ).single()
        #expect(try asset.text("sha256") == sha256)
        let key = try asset.text("object_key")
        #expect(key == "account-job-1/video/job-1_0.bin")
        #expect(try asset.text("content_type") == "application/octet-stream")
        if let peer = scene.peer {
            #expect(try peer.object("made/here/\(key)")?.sha256 == sha256)
            #expect(try peer.uploads() == [])
        } else {
            let bytes = FileManager.default.contents(atPath: "\(scene.line.assets)/\(key)")
            #expect(bytes.map { Array($0.prefix(16)) } == Self.digest.head)
        }
        let story = try scene.line.sql(
            "SELECT actor, detail FROM holdfast.job_event WHERE deed = 'accept'"
        ).single()
        #expect(try story.text("actor").hasPrefix("person:"))
        #expect(try story.text("detail").contains("the customer can play it"))

        let again = try await scene.accept(sha256, "+81m")
        #expect(again.status == 0 && again.stdout.contains("was accepted before"))
        #expect(try scene.line.violations() == [])

        // It is kept for thirty days, and no longer.
        _ = try await scene.run("storage-mirrorer", [], "+760h")
        #expect(try scene.line.value("SELECT count(*)::text FROM holdfast.quarantined") == "0")
        if let peer = scene.peer {
            #expect(try peer.object("refused/\(name).bin") == nil)
        } else {
            #expect(try FileManager.default.contentsOfDirectory(atPath: scene.folder) == [])
        }
    }

    @Test func `without a quarantine the source is asked, and must send the same bytes`()
        async throws
    {
        let scene = try Scene(keeps: false)
        defer { scene.end() }
        try await scene.refuse()
        let (sha256, name) = try scene.kept()
        #expect(name == "")
        try scene.line.change("task-job-1", ["file_fault": "none"])
        let other = try await scene.accept(sha256)
        #expect(other.status == 1 && other.stderr.contains("digest_differs") == false)
        #expect(other.stderr.contains("which is not the one given"), "\(other.stderr)")
        #expect(try scene.line.outcome("job-1") == "succeeded/held/blocked=person")

        // A source that has it no more loses nothing by being asked.
        try scene.line.change("task-job-1", ["file_fault": "gone"])
        let gone = try await scene.accept(sha256)
        #expect(gone.status == 1, "\(gone.stderr)")
        #expect(try scene.line.outcome("job-1") == "succeeded/held/blocked=person")

        try scene.line.change("task-job-1", ["file_fault": "avi"])
        let done = try await scene.accept(sha256)
        #expect(done.status == 0, "\(done.stderr)")
        #expect(try scene.line.outcome("job-1") == "delivered/captured")
        #expect(try scene.line.violations() == [])
    }

    /// Guard: the digest in `accept_refused`, and whether the file is refused at all.
    @Test func `what is not to be accepted is not`() async throws {
        let scene = try Scene()
        defer { scene.end() }
        try await scene.refuse()
        let wrong = String(repeating: "ab", count: 32)
        let differs = try await scene.accept(wrong)
        #expect(differs.status == 1 && differs.stderr.contains("arrived with sha256"))
        let (sha256, _) = try scene.kept()
        let unknown = try await scene.accept(sha256, job: "job-9")
        #expect(unknown.status == 66, "\(unknown.stderr)")
        let noFile = try await scene.accept(sha256, ordinal: 7)
        #expect(noFile.status == 66, "\(noFile.stderr)")
        let short = try await scene.accept("abc")
        #expect(short.status == 64, "\(short.stderr)")
        #expect(try scene.line.outcome("job-1") == "succeeded/held/blocked=person")

        // Given up, it is over.
        let refund = try await scene.run(
            "holdfast", ["job", "refund", "job-1", "--reason", "no video"], "+80m")
        #expect(refund.status == 0, "\(refund.stderr)")
        #expect(try scene.line.outcome("job-1") == "failed/voided/result_lost")
        let closed = try await scene.accept(sha256)
        #expect(closed.status == 1 && closed.stderr.contains("is failed"), "\(closed.stderr)")
        #expect(try scene.line.violations() == [])
    }

    @Test func `what a browser runs is never delivered, nor what was not refused`() async throws {
        let scene = try Scene()
        defer { scene.end() }
        try await scene.refuse("job-1", "html")
        let (sha256, name) = try scene.kept()
        #expect(name != "")
        let page = try await scene.accept(sha256)
        #expect(page.status == 1 && page.stderr.contains("a browser may run"), "\(page.stderr)")
        #expect(page.stderr.contains("holdfast job refund"))
        // Nor where the database does not know what it is: the bytes decide.
        try scene.line.sql("UPDATE holdfast.refused_file SET is_runnable = false")
        let again = try await scene.accept(sha256)
        #expect(again.status == 1 && again.stderr.contains("a browser may run"), "\(again.stderr)")
        #expect(try scene.line.outcome("job-1") == "succeeded/held/blocked=person")

        try scene.line.open("job-2", taskID: "task-job-2", task: .init())
        _ = try await scene.run("stuck-sweeper", [], "+90m")
        let waits = try await scene.accept(sha256, job: "job-2", "+90m")
        #expect(waits.status == 1 && waits.stderr.contains("was not refused"), "\(waits.stderr)")
        #expect(try scene.line.violations() == [])
    }

    @Test(arguments: ["", "/below"])
    func `a quarantine among the customers' files is refused`(_ below: String) async throws {
        let line = try RescueLine()
        for name in ["storage-mirrorer", "holdfast"] {
            let finished = try await line.run(
                name, name == "holdfast" ? ["doctor"] : ["--dry-run"], offset: nil,
                ["HOLDFAST_QUARANTINE_URL": "file://" + line.assets + below])
            #expect(finished.status == 78, "\(finished.stderr)")
            let words = finished.stderr + finished.stdout
            #expect(words.contains("HOLDFAST_QUARANTINE_URL names"), "\(words)")
        }
    }

    @Test(arguments: [true, false])
    func `doctor proves it, and that nobody else reads it`(_ isServed: Bool) async throws {
        let scene = try Scene()
        defer { scene.end() }
        let folder = scene.folder
        let server = try OddServer { request in
            let path = request.split(separator: " ").dropFirst().first.map(String.init) ?? "/"
            let bytes = isServed ? FileManager.default.contents(atPath: folder + path) : nil
            return OddServer.answer(
                status: bytes == nil ? "404 Not Found" : "200 OK", type: "text/plain",
                bytes.map { Array($0) } ?? [])
        }
        var changes = scene.changes
        changes["HOLDFAST_PUBLIC_BASE_URL"] = server.url("")
        let doctor = try await scene.line.run("holdfast", ["doctor"], offset: nil, changes)
        let lines = doctor.stdout.split(separator: "\n").filter { $0.contains("  quarantine") }
        #expect(lines.count == 1 && server.requests > 0, "\(doctor.stdout)")
        #expect(lines.first?.hasPrefix(isServed ? "fail" : "ok") == true, "\(lines)")
        #expect((doctor.status == 78) == isServed, "\(doctor.stdout)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    /// A quarantine that takes nothing is told, and holds up nothing.
    @Test func `trouble with the quarantine stops no file`() async throws {
        let scene = try Scene()
        defer { scene.end() }
        #expect(FileManager.default.createFile(atPath: scene.folder, contents: nil))
        try scene.line.open(
            "job-1", taskID: "task-job-1",
            task: .init([.init(key: "file_fault", value: .string("avi"))]))
        try scene.line.open("job-2", taskID: "task-job-2", task: .init())
        _ = try await scene.run("stuck-sweeper", [], "+6m")
        let told = try await scene.run("storage-mirrorer", [], "+6m")
        #expect(told.status == 78, "\(told.stderr)")
        #expect(told.stderr.contains("HOLDFAST_QUARANTINE_URL"), "\(told.stderr)")
        #expect(try scene.line.outcome("job-2") == "delivered/captured")
        #expect(try scene.line.outcome("job-1") == "succeeded/held")
        #expect(try scene.kept().name == "")
    }
}
