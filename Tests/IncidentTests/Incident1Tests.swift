import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// Kling: intermittent 401, and finished tasks that stay "processing".
@Suite(.serialized) struct Incident1 {
    /// A Kling job whose task the simulator knows.
    func open(
        _ line: RescueLine, _ id: String = "job-1", taskID: String = "task-1",
        task: JSONObject = JSONObject()
    ) throws {
        try line.open(id, provider: "kling", endpoint: "image2video", taskID: taskID, task: task)
    }

    private func polls(_ line: RescueLine, _ taskID: String = "task-1") throws -> Int {
        try line.polls(taskID, provider: "kling")
    }

    func isDelivered(_ line: RescueLine, _ id: String = "job-1") throws {
        #expect(try line.outcome(id) == "delivered/captured")
        #expect(try line.transfers(id) == ["hold 100", "capture 100"])
        #expect(try line.balance("account-\(id)") == "0/0/100")
    }

    // MARK: I-1a

    /// With two places, as by default, and with a place for each of them.
    @Test(arguments: [2, 20])
    func `I-1a twenty sweepers at once ask once and settle once`(_ places: Int) async throws {
        let line = try RescueLine()
        try line.setPolicy("max_runs", "\(places)")
        try open(line)
        try line.fault(["provider": "kling", "delay_ms": 500])
        let sweeps = try await line.atOnce(20, "stuck-sweeper", offset: "+6m")
        #expect(sweeps.allSatisfy { $0.status == 0 && $0.stderr.isEmpty }, "\(sweeps)")
        #expect(sweeps.count { !$0.stdout.isEmpty } == 1)
        #expect(try polls(line) == 1)
        let mirrors = try await line.atOnce(20, "storage-mirrorer", offset: "+6m")
        #expect(mirrors.allSatisfy { $0.status == 0 && $0.stderr.isEmpty }, "\(mirrors)")
        try isDelivered(line)
        #expect(try line.count("files", "task-1/0") == 1)
        #expect(try line.violations() == [])
    }

    @Test func `I-1a twenty at once ask a running task once for each threshold`() async throws {
        let line = try RescueLine()
        try line.setPolicy("max_runs", "20")
        try open(line, task: JSONObject([.init(key: "polls_until_done", value: 2)]))
        for (round, minutes) in [6, 12, 18].enumerated() {
            _ = try await line.atOnce(20, "stuck-sweeper", offset: "+\(minutes)m")
            #expect(try polls(line) == round + 1)
        }
        try await line.minute(offset: "+18m")
        try isDelivered(line)
        #expect(try polls(line) == 3)
    }

    @Test func `I-1a a sweeper killed between question and answer costs one lease`() async throws {
        let line = try RescueLine()
        try line.setPolicy("max_runs", "20")
        try line.bePatient()
        try open(line)
        try line.fault(["provider": "kling", "delay_ms": 100_000])
        let victim = try line.begin("stuck-sweeper", offset: "+6m")
        try await line.waitUntil("the task is asked about") { try polls(line) == 1 }
        victim.kill(SIGKILL)
        #expect(await victim.wait().signal == SIGKILL)
        try line.heal("kling")
        // The lease is two minutes long: nobody asks before its end, and one does after it.
        _ = try await line.atOnce(20, "stuck-sweeper", offset: "+7m")
        #expect(try polls(line) == 1)
        #expect(try line.outcome("job-1") == "submitted/held")
        _ = try await line.atOnce(20, "stuck-sweeper", offset: "+9m")
        #expect(try polls(line) == 2)
        try await line.minute(offset: "+9m")
        try isDelivered(line)
        #expect(try line.violations() == [])
    }

    // MARK: I-1b

    /// The provider takes longer to answer than the second that a token is made for, so that two
    /// requests about one task can only have the same token if one was kept.
    @Test func `I-1b a 401 on half of all polls fails no job and delays none`() async throws {
        let seed = SeededGenerator.chosenSeed() & 0xffff_ffff
        let line = try RescueLine(simulatorArguments: ["--seed", "\(seed)"])
        try line.liftRates()
        let numbers = 1...40
        for n in numbers { try open(line, "job-\(n)", taskID: "task-\(n)") }
        try line.fault([
            "provider": "kling", "unauthorized_rate": .number("0.5"), "delay_ms": 1100,
        ])
        var asked = Dictionary(uniqueKeysWithValues: numbers.map { ("task-\($0)", 0) })
        for run in 0..<10 {
            let waiting = try line.sql(
                "SELECT task_id FROM holdfast.job WHERE state <> 'succeeded' ORDER BY job_id"
            ).map { try $0.text("task_id") }
            if waiting.isEmpty { break }
            // A minute apart while the longest wait is a minute, then as far as any wait goes.
            let minutes = run < 4 ? 6 + run : 9 + (run - 3) * 5
            let finished = try await line.run("stuck-sweeper", offset: "+\(minutes)m")
            #expect(finished.status == 0, "\(finished.stderr) seed=\(seed)")
            #expect(finished.stderr == "", "seed=\(seed)")
            let counts = try line.simulator.get("/control/counts")["polls"]
            for (task, before) in asked {
                let now = Int(counts?["kling:\(task)"]?.int ?? 0)
                let allowed = waiting.contains(task) ? 1...3 : 0...0
                #expect(allowed.contains(now - before), "\(task), run \(run), seed=\(seed)")
                asked[task] = now
            }
            let wrong = try line.text(
                """
                SELECT count(*) FROM holdfast.job
                WHERE state NOT IN ('submitted', 'succeeded') OR blocked IS NOT NULL
                    OR credit_state <> 'held'
                """)
            #expect(wrong == "0", "run \(run), seed=\(seed)")
        }
        try expectFreshTokens(line, seed)
        try line.heal("kling")
        try await line.minute(offset: "+50m")
        for n in numbers { try isDelivered(line, "job-\(n)") }
        #expect(try line.count("faults", "kling:unauthorized") > 0, "seed=\(seed)")
        #expect(try line.violations() == [])
    }

    /// No request about a task bears the Authorization of the one before it.
    private func expectFreshTokens(_ line: RescueLine, _ seed: UInt64) throws {
        var last: [String: String] = [:]
        let log = try line.simulator.get("/control/requests?limit=10000")["requests"]?.array ?? []
        for request in log {
            guard let path = request["path"]?.text, path.contains("image2video/") else { continue }
            let token = try #require(request["authorization"]?.text)
            #expect(last[path] != token, "\(path) seed=\(seed)")
            last[path] = token
        }
        #expect(last.count == 40)
    }

    /// One in eight runs over a single job meets three refusals in a row: no reason to call anybody.
    @Test func `I-1b a short streak of 401 alerts nobody`() async throws {
        let line = try RescueLine()
        try open(line)
        try line.fault(["provider": "kling", "unauthorized_rate": 1, "count": 6])
        for minutes in [6, 7] {
            let finished = try await line.run("stuck-sweeper", offset: "+\(minutes)m")
            #expect(finished.status == 0)
            #expect(finished.stderr == "")
            #expect(finished.stdout == "")
        }
        #expect(try polls(line) == 6)
        try await line.minute(offset: "+8m")
        try isDelivered(line)
    }

    @Test(arguments: [
        ("unauthorized_rate", 78, "HOLDFAST_KLING_ACCESS_KEY"), ("server_error_rate", 69, "kling"),
        ("cut_rate", 69, "kling"),
    ])
    func `I-1b a long unbroken streak opens the breaker, and it closes by itself`(
        _ fault: String, _ status: Int32, _ named: String
    ) async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...40 { try open(line, "job-\(n)", taskID: "task-\(n)") }
        try line.fault(["provider": "kling", fault: 1])
        let opened = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(opened.status == status, "\(opened.stderr)")
        #expect(opened.stderr.contains("kling is left alone for 15"), "\(opened.stderr)")
        #expect(opened.stderr.contains(named), "\(opened.stderr)")
        #expect(!opened.stderr.contains("simulator-kling-secret-key"))
        let asked = try line.count("poll_total", "kling")
        #expect((20...120).contains(asked))
        let untouched: SQL = """
            SELECT count(*) FROM holdfast.job
            WHERE state = 'submitted' AND credit_state = 'held' AND blocked IS NULL
            """
        #expect(try line.text(untouched) == "40")

        // While it is open the provider is left alone, and that alone is no news.
        try line.sql("UPDATE holdfast.job SET next_poll_at = clock_timestamp()")
        let left = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(left.status == 0)
        #expect(left.stdout + left.stderr == "")
        #expect(try line.count("poll_total", "kling") == asked)
        #expect(try line.text(untouched) == "40")

        // Still down after the pause: one request finds that out, and the pause doubles.
        let tried = try await line.run("stuck-sweeper", offset: "+8m")
        #expect(tried.status == status, "\(tried.stderr)")
        #expect(tried.stderr.contains("kling is left alone for 30"), "\(tried.stderr)")
        #expect(try line.count("poll_total", "kling") <= asked + 3)

        try line.heal("kling")
        try await line.minute(offset: "+14m")
        for n in 1...40 { try isDelivered(line, "job-\(n)") }
        #expect(
            try line.text(
                """
                SELECT failures || ' ' || openings || ' ' || (paused_until IS NULL)
                FROM holdfast.provider WHERE provider = 'kling'
                """) == "0 0 true")
        #expect(try line.violations() == [])
    }

    // MARK: I-1c

    @Test(
        arguments: ["kling", "kie"], ["normal", "array", "array_with_neighbours", "data_string"])
    func `I-1c the right element is found in whatever shape data has`(
        _ provider: String, _ shape: String
    ) async throws {
        let line = try RescueLine()
        // Ids above 2^53 whose neighbours are the same number to whoever reads doubles.
        let task = "836284750284756993"
        try line.open(
            "job-1", provider: provider, endpoint: provider == "kie" ? "market" : "image2video",
            taskID: task, task: JSONObject([.init(key: "shape", value: .string(shape))]))
        try await line.minute(offset: "+6m")
        try isDelivered(line)
        #expect(try line.polls(task, provider: provider) == 1)
        let named = try line.status("job-1").texts("result_urls")
        #expect(!named.isEmpty && named.allSatisfy { $0.contains(task) })
    }

    /// The neighbours succeeded and failed; neither is ours.
    @Test(
        arguments: ["kling", "kie"],
        [
            "array_without_match", "other_task", "no_urls", "html", "empty", "cut_json",
            "duplicate_keys", "unknown_state",
        ])
    func `I-1c an answer that is not about the task changes nothing until it is`(
        _ provider: String, _ shape: String
    ) async throws {
        let line = try RescueLine()
        let (task, endpoint) = ("836284750284756993", provider == "kie" ? "market" : "image2video")
        try line.open(
            "job-1", provider: provider, endpoint: endpoint, taskID: task,
            task: JSONObject([.init(key: "shape", value: .string(shape))]))
        for (run, minutes) in [6, 12, 18].enumerated() {
            let report = try await line.report("stuck-sweeper", offset: "+\(minutes)m")
            #expect(report["outcomes"] == ["unknown": 1])
            #expect(report["exit_status"]?.int == 0)
            #expect(try line.outcome("job-1") == "submitted/held")
            #expect(
                try line.text(
                    """
                    SELECT string_agg(DISTINCT state, ' ') || ' ' || count(*)
                    FROM holdfast.observation
                    """) == "unknown \(run + 1)")
        }
        try line.order(
            provider: provider, endpoint: endpoint, taskID: task,
            JSONObject([.init(key: "shape", value: "normal")]))
        for minutes in [24, 25] { try await line.minute(offset: "+\(minutes)m") }
        try isDelivered(line)
        #expect(try line.polls(task, provider: provider) == 4)
        #expect(try line.violations() == [])
    }
}
