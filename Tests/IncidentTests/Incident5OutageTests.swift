import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// Twenty-minute videos behind a five-minute limit: a day without answers, a day
/// without cron.
@Suite(.serialized) struct Incident5Outages {
    /// Ten jobs in every state in which somebody waits for a provider, whose tasks all finished.
    private func waiting(_ line: RescueLine) throws -> [String] {
        try line.liftRates()
        for n in 1...4 {
            let isKling = n.isMultiple(of: 2)
            let provider = isKling ? "kling" : "kie"
            let endpoint = isKling ? "image2video" : "market"
            try line.open(
                "submitted-\(n)", provider: provider, endpoint: endpoint,
                taskID: "task-submitted-\(n)")
            try line.open(
                "running-\(n)", provider: provider, endpoint: endpoint,
                taskID: "task-running-\(n)")
            try line.sql(
                "UPDATE holdfast.job SET state = 'running' WHERE job_id = \("running-\(n)")")
            try line.open(
                "waited-\(n)", provider: provider, endpoint: endpoint,
                taskID: "task-waited-\(n)")
            try line.sql("SELECT holdfast.mark_timed_out(\("waited-\(n)"))")
        }
        return (1...4).flatMap { ["submitted-\($0)", "running-\($0)", "waited-\($0)"] }
    }

    /// Nothing was ended, voided or refunded.
    private func checkUntouched(_ line: RescueLine, _ ids: [String], _ when: String) throws {
        for id in ids {
            let state = id.prefix { $0 != "-" } == "waited" ? "timed_out" : id.prefix { $0 != "-" }
            #expect(try line.status(id).text("state") == state, "\(id) \(when)")
            #expect(try line.transfers(id) == ["hold 100"], "\(id) \(when)")
        }
        #expect(
            try line.value(
                "SELECT count(*) FROM holdfast.transfer WHERE kind NOT IN ('grant', 'hold')")
                == "0", "\(when)")
        #expect(try line.violations() == [], "\(when)")
    }

    /// What a provider that is "down" may look like from here.
    @Test(
        arguments: [
            ["provider": "all", "down": true], ["provider": "all", "server_error_rate": 1],
            ["provider": "all", "unauthorized_rate": 1], ["provider": "all", "cut_rate": 1],
            ["provider": "all", "rate_limited_rate": 1],
            [
                "provider": "all", "rate_limited_rate": .number("0.25"),
                "server_error_rate": .number("0.25"),
                "cut_rate": .number("0.25"), "unauthorized_rate": .number("0.25"),
            ],
        ] as [JSONValue])
    func `I-5h a provider that is away for a day costs nobody a job`(
        _ fault: JSONValue
    ) async throws {
        let line = try RescueLine(simulatorArguments: ["--seed", "20261121"])
        let ids = try waiting(line)
        try line.fault(fault)
        for hour in [1, 2, 6, 12, 18, 23] {
            for finished in try await line.minute(offset: "+\(hour)h") {
                #expect([0, 69, 78].contains(finished.status), "\(hour)h: \(finished.stderr)")
            }
            try checkUntouched(line, ids, "+\(hour)h")
        }
        try line.fault(["provider": "all", "clear": true])
        // The breakers let go with one request at a time.
        try await line.minute(offset: "+1410m")
        try await line.minute(offset: "+1420m")
        try await line.minute(offset: "+1430m")
        for id in ids { try line.checkDelivered(id, task: "task-\(id)") }
        let night = try await line.run("ledger-reconciler", offset: "+25h")
        #expect(night.status == 0, "\(night.stdout)")
    }

    /// Answers that nobody can understand are no answers either.
    @Test(arguments: ["html", "empty", "cut_json", "unknown_state", "other_task", "duplicate_keys"])
    func `I-5h a day of answers that make no sense costs nobody a job`(
        _ shape: String
    ) async throws {
        let line = try RescueLine()
        let ids = try waiting(line)
        for id in ids {
            try line.answer(about: id, shaped: shape)
        }
        for hour in [1, 2, 12, 23] {
            try await line.minute(offset: "+\(hour)h")
            try checkUntouched(line, ids, "+\(hour)h")
        }
        for id in ids {
            try line.answer(about: id, shaped: "normal")
        }
        for minutes in [1410, 1420, 1430] { try await line.minute(offset: "+\(minutes)m") }
        for id in ids { try line.checkDelivered(id, task: "task-\(id)") }
    }

    @Test func `I-5h a watch that ends in silence waits for a person, with its hold`() async throws
    {
        let line = try RescueLine()
        let ids = try waiting(line)
        // Every job is asked about in each round; an open breaker would spare most of them.
        try line.setPolicy("breaker_failures", "1000000")
        try line.fault(["provider": "all", "down": true])
        for hour in [1, 6, 12, 18, 24, 28, 32, 36, 40, 44] {
            try await line.minute(offset: "+\(hour)h")
            try checkUntouched(line, ids, "+\(hour)h")
        }
        for n in 1...4 {
            #expect(try line.outcome("waited-\(n)") == "timed_out/held/blocked=person")
        }
        try line.fault(["provider": "all", "clear": true])
        for minutes in [2700, 2710, 2720] { try await line.minute(offset: "+\(minutes)m") }
        // The providers answer, so that those that waited for a person are asked again by themselves.
        for id in ids { try line.checkDelivered(id, task: "task-\(id)") }
        let night = try await line.report("ledger-reconciler", offset: "+46h")
        #expect(night["breaks"]?.array?.isEmpty != false, "\(JSON.write(night))")
    }

    @Test(arguments: ["+26h", "+8d"])
    func `I-5h cron slept, and afterwards everything is delivered`(_ wake: String) async throws {
        let line = try RescueLine()
        let ids = try waiting(line)
        try await line.minute(offset: wake)
        for id in ids { try line.checkDelivered(id, task: "task-\(id)") }
        #expect(try line.violations() == [])
    }

    @Test func `I-5h cron slept while tasks still run: held, and delivered when they finish`()
        async throws
    {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "polls_until_done", value: 2)]))
        try await line.minute(offset: "+26h")
        // The deadline is long over, and ends nothing but our patience.
        try line.checkUndecided("job-1", "timed_out/held")
        try await line.minute(offset: "+27h")
        try line.checkUndecided("job-1", "timed_out/held")
        try await line.minute(offset: "+28h")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-5h two hosts wake at once after a day, and one dies`() async throws {
        let line = try RescueLine()
        let ids = try waiting(line)
        try line.fault(["provider": "all", "hang_rate": 1])
        try await line.crash("stuck-sweeper", offset: "+26h", when: "polls are open") {
            try line.asked("in_flight", "kie") > 0
        }
        try await line.crash("orphan-recoverer", offset: "+26h", when: "polls are open") {
            try line.asked("in_flight", "kling") > 0
        }
        try line.fault(["provider": "all", "clear": true])
        try await line.twoHostsMinute(offset: "+1563m")
        try await line.twoHostsMinute(offset: "+1570m")
        for id in ids { try line.checkDelivered(id, task: "task-\(id)") }
        #expect(try line.violations() == [])
    }

    @Test func `I-5h a store that is away for a day loses no file and frees no credits`()
        async throws
    {
        let line = try RescueLine()
        let ids = try waiting(line)
        let away = ["HOLDFAST_STORAGE_URL": "file:///dev/null/assets" as String?]
        for hour in stride(from: 1, through: 25, by: 4) {
            try await line.minute(offset: "+\(hour)h", away)
        }
        for id in ids { try line.checkUndecided(id, "succeeded/held") }
        try await line.minute(offset: "+26h")
        for id in ids { try line.checkDelivered(id, task: "task-\(id)") }
    }
}

extension RescueLine {
    /// Changes the shape of the answers about a job's task.
    fileprivate func answer(about id: String, shaped shape: String) throws {
        try simulator.post(
            "/control/tasks", json: ["task_id": .string("task-\(id)"), "shape": .string(shape)])
    }
}
