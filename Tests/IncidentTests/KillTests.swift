import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// SIGKILL at random moments: the end state is that of an undisturbed run.
@Suite struct Kills {
    /// Rounds and kills in each: 10 times 12 kills, each against a fresh world.
    static let rounds = 10
    static let killsPerRound = 12

    static let executables = [
        "stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler",
    ]

    /// What each job of a round is, and how it ends when nobody disturbs it.
    static let fates: [(name: String, end: String, transfers: [String])] = [
        ("success", "delivered/captured", ["hold 100", "capture 100"]),
        ("kling", "delivered/captured", ["hold 100", "capture 100"]),
        ("partial", "delivered/captured", ["hold 100", "capture 50", "void 50"]),
        ("failure", "failed/voided/provider_failed", ["hold 100", "void 100"]),
        ("late", "delivered/captured", ["hold 100", "capture 100"]),
        ("latefail", "failed/voided/provider_failed", ["hold 100", "void 100"]),
        ("returned", "delivered/late_charged", ["hold 100", "void 100", "charge 100"]),
        ("lost", "failed/voided/result_lost", ["hold 100", "void 100"]),
    ]

    @Test(arguments: 0..<rounds)
    func `killed at random moments, the end state is the same`(_ round: Int) async throws {
        let seed = SeededGenerator.chosenSeed() &+ UInt64(round)
        var chance = SeededGenerator(seed: seed)
        let line = try world()
        var minutes = 6
        for _ in 0..<Self.killsPerRound {
            // Past the lease of whatever the last kill left behind.
            minutes += 3
            let victim = try Executable.start(
                Self.executables[Int.random(in: 0..<4, using: &chance)],
                environment: line.environment(offset: "+\(minutes)m"))
            // The moment is the experiment, not a wait for something.
            usleep(UInt32.random(in: 2000...90_000, using: &chance))
            victim.kill(SIGKILL)
            _ = await victim.wait()
            #expect(try line.violations() == [], "\(chance)")
        }
        for _ in 0..<2 {
            minutes += 6
            try await line.minute(offset: "+\(minutes)m")
        }
        try check(line, "\(chance)")
    }

    /// Three jobs of each fate, with a provider that takes its time.
    private func world() throws -> RescueLine {
        let line = try RescueLine()
        try line.sql(
            """
            INSERT INTO holdfast.policy (key, value) VALUES
                ('claim_limit', '1000'), ('rate', '1000'), ('rate_burst', '1000'),
                ('deadline', '30h')
            """)
        for n in 1...3 {
            for fate in Self.fates {
                let id = "\(fate.name)-\(n)"
                let isKling = fate.name == "kling"
                let fails = fate.name == "failure" || fate.name == "latefail"
                var task: [JSONObject.Member] = [
                    .init(key: "outcome", value: fails ? "fail" : "succeed"),
                    .init(key: "file_bytes", value: 200_000),
                ]
                if fate.name == "lost" {
                    task.append(.init(key: "file_fault", value: "gone"))
                    task.append(.init(key: "refreshable", value: false))
                }
                if fate.name == "partial" { task.append(.init(key: "outputs", value: 1)) }
                try line.open(
                    id, provider: isKling ? "kling" : "kie",
                    outputs: isKling || fate.name == "partial" ? 2 : 1,
                    endpoint: isKling ? "image2video" : "market", taskID: "task-\(id)",
                    task: JSONObject(task))
                if fate.name.hasPrefix("late") {
                    try line.sql("SELECT holdfast.mark_timed_out(\(id))")
                }
                if fate.name == "returned" {
                    try line.sql("SELECT holdfast.return_credits(\(id), 'the customer asked')")
                }
            }
        }
        try line.fault(["provider": "all", "delay_ms": 5])
        return line
    }

    private func check(_ line: RescueLine, _ seed: String) throws {
        var files: Set<String> = []
        for row in try line.sql(
            "SELECT object_key, sha256, bytes FROM holdfast.asset WHERE state = 'stored'")
        {
            let key = try row.text("object_key")
            let stored = try Data(contentsOf: URL(fileURLWithPath: line.assets + "/" + key))
            #expect(stored.count == (try row.int("bytes")), "\(key) \(seed)")
            files.insert(key)
        }
        for n in 1...3 {
            for fate in Self.fates {
                let id = "\(fate.name)-\(n)"
                #expect(try line.outcome(id) == fate.end, "\(id) \(seed)")
                #expect(try line.transfers(id) == fate.transfers, "\(id) \(seed)")
            }
        }
        // Nothing half-written is left, hidden or not.
        let left =
            FileManager.default.enumerator(atPath: line.assets)?
            .compactMap { $0 as? String }
            // A probe of the store is no file of a job, and neither is a marker.
            .filter {
                $0.contains(".") && !$0.contains(".probe-") && !$0.hasPrefix(".holdfast")
            } ?? []
        #expect(Set(left) == files, "\(seed)")
        #expect(try line.violations() == [], "\(seed)")
    }
}
