import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// A refetch that dies or meets another: done again, it comes to the same end.
@Suite(.serialized) struct AssetRefetchKills {
    private static let refetch = ["refetch", "--job", "job-1"]
    private static let name = "holdfast asset refetch"

    /// While the bytes come, and when the object is at its key and not recorded yet.
    @Test(arguments: StoreKind.all, [false, true])
    func `killed while it fetches, it is done again`(
        _ store: StoreKind, _ differs: Bool
    ) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, row, key) = (try scene.books(), try scene.row(), try scene.key())
        differs ? try scene.replace(key, "somebody else's") : try scene.remove(key)
        try scene.line.change("task-job-1", ["file_fault": "hang"])
        let asked = try scene.line.asked("files", "task-job-1/0")
        let victim = try scene.start(Self.refetch)
        try scene.line.until("it fetches") {
            try scene.line.asked("files", "task-job-1/0") > asked
        }
        victim.kill(SIGKILL)
        #expect(await victim.wait().signal == SIGKILL)
        try scene.line.cut(Self.name)
        #expect(try scene.row() == row)
        #expect(try scene.books() == books)
        #expect(try scene.line.violations() == [])
        try scene.line.change("task-job-1", ["file_fault": "none"])
        try await checkDoneAgain(scene, key, books, differs: differs)
    }

    @Test(arguments: StoreKind.all, [false, true])
    func `killed before it is recorded, it is done again without another fetch`(
        _ store: StoreKind, _ differs: Bool
    ) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, row, key) = (try scene.books(), try scene.row(), try scene.key())
        differs ? try scene.replace(key, "somebody else's") : try scene.remove(key)
        do {
            let gate = try scene.line.close(.stored)
            let victim = try scene.start(Self.refetch)
            try scene.line.until("it wants to record") { try scene.line.waits(Self.name) }
            victim.kill(SIGKILL)
            #expect(await victim.wait().signal == SIGKILL)
            try scene.line.cut(Self.name)
            _ = consume gate
        }
        #expect(try scene.row() == row)
        #expect(try scene.books() == books)
        let asked = try scene.line.asked("files", "task-job-1/0")
        try await checkDoneAgain(scene, key, books, differs: differs)
        #expect(try scene.line.asked("files", "task-job-1/0") == asked)
    }

    @Test func `parts that a dead refetch had stored are given up`() async throws {
        let scene = try AssetScene(.s3(.stub(.aws)))
        try await scene.deliver(bytes: 40_000_000)
        let (books, key) = (try scene.books(), try scene.key())
        try scene.remove(key)
        try scene.line.change("task-job-1", ["file_fault": "hang"])
        let victim = try scene.start(Self.refetch)
        try scene.line.until("it stores parts") { try scene.peer?.uploads().isEmpty == false }
        victim.kill(SIGKILL)
        _ = await victim.wait()
        try scene.line.cut(Self.name)
        try scene.line.change("task-job-1", ["file_fault": "none"])
        try await checkDoneAgain(scene, key, books, differs: false)
    }

    private func checkDoneAgain(
        _ scene: AssetScene, _ key: String, _ books: String, differs: Bool
    ) async throws {
        // The lease of the dead run stands for two minutes, and is respected.
        let early = try await scene.run("holdfast", ["asset"] + Self.refetch)
        #expect(early.status == 1)
        #expect(early.stdout.contains("leased to another run"), "\(early.stdout)")
        let again = try await scene.run("holdfast", ["asset"] + Self.refetch, offset: "+9m")
        #expect(again.status == 0, "\(again.stderr) \(again.stdout)")
        let end = differs ? "account-job-1/video/job-1_0-1.mp4" : key
        #expect(try scene.key() == end)
        #expect(try scene.object(end) == scene.made())
        #expect(try scene.books() == books)
        #expect(try await scene.asset(["verify"])["exit_status"]?.int == 0)
        try scene.checkClean(differs ? [end, key] : [key])
    }

    @Test(arguments: StoreKind.all)
    func `two people at once bring it back once`(_ store: StoreKind) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver(outputs: 3)
        let books = try scene.books()
        let keys = try (0...2).map { try scene.key("job-1", $0) }
        for key in keys { try scene.remove(key) }
        async let one = scene.run("holdfast", ["asset"] + Self.refetch)
        async let other = scene.run("holdfast", ["asset"] + Self.refetch)
        for finished in try await [one, other] {
            #expect([0, 1].contains(finished.status), "\(finished.stderr) \(finished.stdout)")
        }
        for (ordinal, key) in keys.enumerated() {
            #expect(try scene.object(key) == scene.made("job-1", ordinal))
        }
        #expect(try scene.books() == books)
        try scene.checkClean(keys)
    }

    @Test func `asked to stop it gives its lease back`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        let (row, key) = (try scene.row(), try scene.key())
        try scene.remove(key)
        try scene.line.change("task-job-1", ["file_fault": "hang"])
        let asked = try scene.line.asked("files", "task-job-1/0")
        let stopped = try scene.start(Self.refetch)
        try scene.line.until("it fetches") {
            try scene.line.asked("files", "task-job-1/0") > asked
        }
        stopped.kill(SIGTERM)
        #expect(await stopped.wait().status == 143)
        #expect(try scene.row() == row)
        try scene.line.change("task-job-1", ["file_fault": "none"])
        #expect(try await scene.asset(Self.refetch)["exit_status"]?.int == 0)
        #expect(try scene.object(key) == scene.made())
        try scene.checkClean([key])
    }

    @Test(arguments: StoreKind.all)
    func `killed at random moments, the end is the same`(_ store: StoreKind) async throws {
        let seed = SeededGenerator.chosenSeed()
        var chance = SeededGenerator(seed: seed)
        let scene = try AssetScene(store)
        try await scene.deliver(outputs: 3, bytes: 300_000)
        let books = try scene.books()
        let keys = try (0...2).map { try scene.key("job-1", $0) }
        try scene.remove(keys[0])
        try scene.replace(keys[1], "somebody else's")
        try scene.line.fault(["provider": "all", "delay_ms": 5])
        var minutes = 9
        for _ in 0..<8 {
            let victim = try scene.start(Self.refetch, offset: "+\(minutes)m")
            // The moment is the experiment, not a wait for something.
            usleep(UInt32.random(in: 2000...150_000, using: &chance))
            victim.kill(SIGKILL)
            _ = await victim.wait()
            #expect(try scene.books() == books, "\(seed)")
            #expect(try scene.line.violations() == [], "\(seed)")
            minutes += 3
        }
        _ = try await scene.run("holdfast", ["asset"] + Self.refetch, offset: "+\(minutes)m")
        for ordinal in 0...2 {
            let key = try scene.key("job-1", ordinal)
            #expect(try scene.object(key) == scene.made("job-1", ordinal), "\(key) \(seed)")
        }
        #expect(try scene.key("job-1", 1) == "account-job-1/video/job-1_1-1.mp4", "\(seed)")
        #expect(try scene.books() == books, "\(seed)")
        try scene.checkClean(keys + ["account-job-1/video/job-1_1-1.mp4"])
    }
}
