import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Objects in the store that no row knows: found, and taken where a job claims them.
@Suite(.serialized) struct AssetOrphans {
    @Test(arguments: [StoreKind.folder, .s3(.stub(.aws))])
    func `they are listed, and nothing else is`(_ store: StoreKind) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver(outputs: 2)
        let clean = try await scene.asset(["verify", "--orphans"])
        #expect(clean["orphans"]?.int == 0 && clean["exit_status"]?.int == 0, "\(clean)")
        #expect(clean["listed"]?.int == 2)
        // One whose row is gone, one of nobody's, one that is no key, and what does not count.
        let key = try scene.key("job-1", 1)
        try scene.line.sql(
            "UPDATE holdfast.asset SET state = 'lost', object_key = NULL WHERE ordinal = 1")
        let stray = "somebody/video/else=20's_0.mp4".replacingOccurrences(of: "'", with: "")
        for name in [stray, "notes/other/readme.txt", ".holdfast/other", "report.html"] {
            try scene.put(name, "12345")
        }
        let found = try await scene.run("holdfast", ["asset", "verify", "--orphans"])
        #expect(found.status == 1 && found.stderr == "", "\(found.stderr)")
        for words in [
            "orphan   \(key)", "orphan   \(stray)  5 B",
            "holdfast asset refetch --job job-1 --ordinal 1",
            "4 objects listed, 2 that no row knows, 1 that are none of ours",
        ] {
            #expect(found.stdout.contains(words), "\(words) in \(found.stdout)")
        }
        let object = try await scene.asset(["verify", "--orphans"])
        #expect(object["orphans"]?.int == 2 && object["next"]?.isNull ?? false)
        #expect(object["objects"]?.array?.first?["job_state"]?.text == "delivered")
        let night = try await scene.run("ledger-reconciler", offset: "+1h")
        #expect(night.status == 1 && night.stdout.contains("asset-orphan"), "\(night.stdout)")
        #expect(night.stdout.contains(stray) && !night.stdout.contains("readme"))
        let wrong = try await scene.run("holdfast", ["asset", "verify", "--orphans", "--all"])
        #expect(wrong.status == 64)
        // The advice works although the source has it no more.
        try scene.line.order(
            taskID: "task-job-1", outputs: 2, .init([.init(key: "file_fault", value: "gone")]))
        let taken = try await scene.run(
            "holdfast", ["asset", "refetch", "--job", "job-1", "--ordinal", "1"])
        #expect(taken.status == 0, "\(taken.stdout)\(taken.stderr)")
        #expect(try scene.key("job-1", 1) == key)
    }

    /// The mirrorer's commits are lost, and the source is gone meanwhile.
    @Test(arguments: [false, true])
    func `after a rewind a file is taken from the store`(_ isGone: Bool) async throws {
        let scene = try RewindScene()
        let line = scene.line
        try await scene.warmUp()
        try line.open("job-1", taskID: "task-1")
        _ = try await scene.run("stuck-sweeper", offset: "+8m")
        try await scene.remember()
        _ = try await scene.run("storage-mirrorer", offset: "+8m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        try await scene.rewind()
        if isGone {
            try line.order(taskID: "task-1", .init([.init(key: "file_fault", value: "gone")]))
        }
        let report = try await scene.report("storage-mirrorer", offset: "+9m")
        #expect(report["outcomes"]?["already_stored"]?.int == 1, "\(report)")
        #expect(RewindScene.signs(report).count == 1)
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(line.storedFiles().filter { $0.contains("job-1") }.count == 1)
        let orphans = try await scene.run("holdfast", ["asset", "verify", "--orphans"])
        #expect(orphans.status == 0, "\(orphans.stdout)")
    }

    @Test func `an object that is not the file's own is never taken`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        try scene.replace(try scene.key(), "somebody else's")
        try scene.line.order(
            taskID: "task-job-1", .init([.init(key: "file_fault", value: "gone")]))
        let refused = try await scene.run("holdfast", ["asset", "refetch", "--job", "job-1"])
        #expect(refused.status != 0, "\(refused.stdout)")
        #expect(try scene.row().contains(#""state": "stored""#))
    }
}

extension AssetScene {
    /// Puts an object there, past everything.
    func put(_ name: String, _ text: String) throws {
        if let peer { return try peer.put("made/here/" + name, Array(text.utf8)) }
        let url = URL(fileURLWithPath: line.assets + "/" + name)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }
}
