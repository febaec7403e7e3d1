import Core
import Postgres
import TestSupport
import Testing

/// The nightly look at what is in the store.
@Suite(.serialized) struct NightFiles {
    static let stores: [StoreKind] = [.folder, .s3(.stub(.aws)), .s3(.stub(.plain))]

    private func night(
        _ scene: AssetScene, _ offset: String = "+26h", _ more: [String: String?] = [:]
    ) async throws -> Finished {
        try await scene.run("ledger-reconciler", offset: offset, more)
    }

    private func isLookedAt(_ scene: AssetScene) throws -> [String] {
        try scene.peer?.log().filter { $0["operation"] == "HeadObject" }
            .compactMap { $0["key"]?.text } ?? []
    }

    @Test(arguments: stores)
    func `what vanished is stored again while its source lives`(_ store: StoreKind) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, key, made) = (try scene.books(), try scene.key(), try scene.made())
        try scene.remove(key)
        let finished = try await night(scene)
        #expect(finished.status == 0, "\(finished.stdout) \(finished.stderr)")
        #expect(finished.stderr.contains("file 0 of job-1"), "\(finished.stderr)")
        #expect(try scene.object(key) == made)
        #expect(try scene.books() == books)
        #expect(try scene.deeds().allSatisfy { $0.hasPrefix("ledger-reconciler ") })
        try scene.checkClean([key])
    }

    @Test(arguments: stores)
    func `what was emptied goes to a key beside it, and is never overwritten`(
        _ store: StoreKind
    ) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (key, made) = (try scene.key(), try scene.made())
        try scene.replace(key, "")
        let finished = try await night(scene)
        #expect(finished.status == 0, "\(finished.stdout) \(finished.stderr)")
        let other = try scene.key()
        #expect(other != key)
        #expect(try scene.object(other) == made)
        try scene.checkClean([key, other])
    }

    @Test(arguments: stores)
    func `what cannot be had again is a break until it is there`(_ store: StoreKind) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, key) = (try scene.books(), try scene.key())
        try scene.remove(key)
        try scene.line.change("task-job-1", ["file_fault": "gone"])
        let first = try await night(scene)
        #expect(first.status == 1)
        #expect(first.stdout.contains("asset-missing job-1/0"), "\(first.stdout)")
        #expect(first.stdout.contains("holdfast job refund job-1"), "\(first.stdout)")
        #expect(try scene.books() == books)
        #expect(try scene.line.outcome("job-1") == "delivered/captured")
        // The source's word stands: nobody is asked again, and it is the same break.
        let deeds = try scene.deeds()
        let second = try await night(scene, "+50h")
        #expect(second.status == 1)
        #expect(try scene.deeds() == deeds)
        let breaks = try scene.line.value(
            "SELECT count(*) FROM holdfast.break WHERE class = 'asset-missing'")
        #expect(breaks == "1")
        // A person has it back from somewhere.
        try scene.line.change("task-job-1", ["file_fault": "none"])
        let back = try await scene.asset(["refetch", "--job", "job-1"], offset: "+51h")
        #expect(back["exit_status"]?.int == 0, "\(JSON.write(back))")
        let third = try await night(scene, "+74h")
        #expect(third.status == 0, "\(third.stdout)")
        #expect(try scene.line.violations() == [])
    }

    /// What the source said was of the object that was stored then.
    @Test func `what was stored anew and vanished again is asked for again`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        try scene.remove(try scene.key())
        try scene.line.change("task-job-1", ["file_fault": "gone"])
        #expect(try await night(scene).status == 1)
        try scene.line.change("task-job-1", ["file_fault": "none"])
        _ = try await scene.asset(["refetch", "--job", "job-1"], offset: "+27h")
        try scene.remove(try scene.key())
        let next = try await night(scene, "+50h")
        #expect(next.status == 0, "\(next.stdout) \(next.stderr)")
        #expect(try scene.object(scene.key()) == scene.made())
    }

    @Test func `credits that a person gives back for a file that is gone end its break`()
        async throws
    {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        try scene.remove(try scene.key())
        try scene.line.change("task-job-1", ["file_fault": "gone"])
        _ = try await night(scene)
        let refund = try await scene.run(
            "holdfast", ["job", "refund", "job-1", "--reason", "its file is gone"], offset: "+27h")
        #expect(refund.status == 0, "\(refund.stderr)")
        let next = try await night(scene, "+50h")
        #expect(!next.stdout.contains("asset-missing"), "\(next.stdout)")
        let open = try scene.line.value(
            """
            SELECT count(*) FROM holdfast.break WHERE class = 'asset-missing' AND closed_at IS NULL
            """)
        #expect(open == "0")
    }

    /// Where the store tells no checksum, only reading shows what has the right length.
    @Test(arguments: [("1", false), ("1GiB", true)])
    func `bytes are read within verify_bytes only`(_ limit: String, _ isFound: Bool) async throws {
        let scene = try AssetScene(.s3(.stub(.plain)))
        try await scene.deliver()
        let key = try scene.key()
        let set = try await scene.run("holdfast", ["policy", "set", "verify_bytes", limit])
        #expect(set.status == 0, "\(set.stderr)")
        try scene.peer?.flip("made/here/" + key, bit: 4000)
        let known = try scene.peer?.log().count ?? 0
        _ = try await night(scene)
        let reads = try scene.peer?.log().dropFirst(known).filter {
            $0["operation"] == "GetObject" && $0["status"]?.int == 200
                && $0["key"]?.text == "made/here/" + key
        }
        #expect(reads?.isEmpty == !isFound)
        #expect((try scene.key() != key) == isFound)
    }

    @Test func `a share is looked at each night, the new ones first and then the others in turn`()
        async throws
    {
        let scene = try AssetScene(.s3(.stub(.aws)))
        for n in 1...4 { try await scene.deliver("job-\(n)", outputs: 2) }
        let known = try isLookedAt(scene).count
        _ = try await scene.run("holdfast", ["policy", "set", "verify_share", "50%"])
        for night in 1...2 {
            let offset = "+\(night * 24 + 2)h"
            let finished = try await self.night(scene, offset)
            #expect(finished.status == 0, "\(finished.stdout) \(finished.stderr)")
            // A second run in the same night has nothing left to look at.
            _ = try await self.night(scene, offset)
            #expect(try isLookedAt(scene).count - known == night * 4)
        }
        try await scene.deliver("job-5", outputs: 2)
        let before = try isLookedAt(scene).count
        _ = try await night(scene, "+74h")
        // Several are looked at at once: the order within a night is the server's.
        let keys = try isLookedAt(scene)
        #expect(Set(keys[known..<known + 8]).count == 8)
        let third = Set(keys[before...])
        #expect(third.count == 5)
        #expect(third.filter { $0.contains("job-5") }.count == 2)
        #expect(third.filter { !$0.contains("job-5") }.isSubset(of: keys[known..<known + 4]))
        _ = try await scene.run("holdfast", ["policy", "set", "verify_share", "0%"])
        _ = try await night(scene, "+98h")
        #expect(try isLookedAt(scene).count == keys.count)
    }

    @Test func `a file that the store does not show stops no other, and neither does a store`()
        async throws
    {
        let scene = try AssetScene(.s3(.stub(.aws)))
        try await scene.deliver(outputs: 3)
        _ = try await scene.run("holdfast", ["policy", "set", "verify_share", "100%"])
        let keys = try (0...2).map { try scene.key("job-1", $0) }
        let peer = try #require(scene.peer)
        try peer.fault(
            "status",
            [
                "operation": "HeadObject", "key": .string("made/here/" + keys[0]), "status": 400,
                "times": -1,
            ])
        try scene.remove(keys[1])
        let finished = try await night(scene)
        #expect(finished.status == 0, "\(finished.stdout) \(finished.stderr)")
        #expect(finished.stderr.contains("file 0 of job-1"), "\(finished.stderr)")
        #expect(try scene.object(keys[1]) == scene.made("job-1", 1))
        // The books are closed also when the store is not there at all.
        try peer.settings(["vanished": true])
        let next = try await night(scene, "+50h")
        #expect(next.status == 0, "\(next.stdout) \(next.stderr)")
        #expect(next.stdout.contains("closed"), "\(next.stdout)")
    }

    /// A store that is not the one that the files are in would make everything look lost, also where
    /// the night's share is two files.
    @Test func `a store in which most is missing is one condition, and nothing is fetched`()
        async throws
    {
        let scene = try AssetScene(.s3(.stub(.aws)))
        try await scene.deliver(outputs: 30)
        for ordinal in 0..<30 { try scene.remove(scene.key("job-1", ordinal)) }
        let finished = try await night(scene)
        #expect(finished.status == 1)
        #expect(finished.stderr.contains("HOLDFAST_STORAGE_URL"), "\(finished.stderr)")
        #expect(try scene.deeds() == [])
        #expect(try scene.everything() == [])
    }
}
