import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// Twenty-minute videos behind a five-minute limit: jobs that end as they should.
@Suite(.serialized) struct Incident5 {
    @Test func `I-5a the customer pays once, for a file that is there`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "polls_until_done", value: 3)]))
        #expect(try line.balance("account-job-1") == "0/100/0")
        // The function that waited was killed after five minutes; the video takes twenty.
        for offset in ["+6m", "+12m", "+18m"] {
            try await line.minute(offset: offset)
            try line.checkUndecided("job-1", "running/held")
        }
        _ = try await line.run("stuck-sweeper", offset: "+24m")
        // Finished, billed to us, and not yet the customer's.
        try line.checkUndecided("job-1", "succeeded/held")
        #expect(try line.balance("account-job-1") == "0/100/0")
        _ = try await line.run("storage-mirrorer", offset: "+24m")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.balance("account-job-1") == "0/0/100")
        let events = try line.sql(
            "SELECT to_state FROM holdfast.job_event WHERE job_id = 'job-1' ORDER BY event_id"
        ).map { try $0.text("to_state") }
        #expect(events == ["created", "submitted", "running", "succeeded", "delivered"])
        // The file first, then the money, and both before anybody is told.
        #expect(
            try line.value(
                """
                SELECT a.stored_at <= t.created_at AND t.created_at <= e.happened_at
                FROM holdfast.asset a JOIN holdfast.transfer t USING (job_id)
                JOIN holdfast.job_event e USING (job_id)
                WHERE t.kind = 'capture' AND e.to_state = 'delivered'
                """) == "t")
        #expect(try line.violations() == [])
    }

    @Test func `I-5a a free job is delivered and nobody pays`() async throws {
        let line = try RescueLine()
        try line.open("job-1", credits: 0, taskID: "task-1")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/none")
        #expect(try line.transfers("job-1") == [])
        try line.checkFiles("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test func `I-5a long jobs, two hosts each minute, and crashes in between`() async throws {
        let chance = SeededGenerator()
        var draw = chance
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...24 {
            try line.open(
                "job-\(n)", account: "account-\(n % 4)",
                provider: n.isMultiple(of: 3) ? "kling" : "kie",
                endpoint: n.isMultiple(of: 3) ? "image2video" : "market", taskID: "task-\(n)",
                task: .init([
                    .init(
                        key: "polls_until_done",
                        value: .integer(Int.random(in: 1...3, using: &draw)))
                ]))
        }
        try line.fault(["provider": "all", "delay_ms": 20])
        for minutes in stride(from: 6, through: 30, by: 6) {
            // One host dies in each round; its jobs wait for the end of its lease.
            let victim = try Executable.start(
                ["stuck-sweeper", "storage-mirrorer"].randomElement(using: &draw)
                    ?? "stuck-sweeper",
                environment: line.environment(offset: "+\(minutes)m"))
            _ = try await line.twoHosts("stuck-sweeper", offset: "+\(minutes)m")
            victim.kill(SIGKILL)
            _ = await victim.wait()
            try await line.twoHostsMinute(offset: "+\(minutes)m")
        }
        try await line.minute(offset: "+36m")
        try await line.minute(offset: "+42m")
        for n in 1...24 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
        for n in 0..<4 { #expect(try line.balance("account-\(n)") == "0/0/600", "\(chance)") }
        #expect(try line.violations() == [], "\(chance)")
    }

    // MARK: I-5b

    @Test(arguments: [
        ("kie", "market", "the content was refused by moderation"),
        ("kie", "veo", "Internal Error, Please try again later."),
        ("kling", "image2video", "Failure to pass the risk control system"),
    ])
    func `I-5b the provider failed: the reason is kept and the credits are whole again`(
        _ provider: String, _ endpoint: String, _ message: String
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", provider: provider, endpoint: endpoint, taskID: "task-1",
            task: .init([
                .init(key: "outcome", value: "fail"),
                .init(key: "message", value: .string(message)),
            ]))
        let report = try await line.report("stuck-sweeper", offset: "+6m")
        #expect(report["outcomes"]?["failed"]?.int == 1)
        #expect(report["credits"]?["voided"]?.int == 100)
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
        #expect(try line.status("job-1").text("error_message") == message)
        #expect(try line.balance("account-job-1") == "100/0/0")
        // The customer can buy again at once.
        try line.sql(
            """
            SELECT holdfast.open_job('job-2', 'account-job-1', \(provider), 'm', 'video', 100)
            """)
        try await line.minute(offset: "+1h")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(line.storedFiles() == [])
        #expect(try line.violations() == [])
    }

    @Test func `I-5b two hosts and a crash void thirty holds once each`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...30 {
            try line.open(
                "job-\(n)", taskID: "task-\(n)", task: .init([.init(key: "outcome", value: "fail")])
            )
        }
        try line.fault(["provider": "kie", "hang_rate": 1])
        try await line.crash("stuck-sweeper", offset: "+6m", when: "polls are open") {
            try line.asked("in_flight", "kie") > 0
        }
        try line.fault(["provider": "all", "clear": true])
        _ = try await line.twoHosts("stuck-sweeper", offset: "+9m")
        _ = try await line.twoHosts("stuck-sweeper", offset: "+20m")
        for n in 1...30 {
            #expect(try line.outcome("job-\(n)") == "failed/voided/provider_failed")
            #expect(try line.transfers("job-\(n)") == ["hold 100", "void 100"])
            #expect(try line.balance("account-job-\(n)") == "100/0/0")
        }
        #expect(try line.violations() == [])
    }

    // MARK: I-5c

    /// Timed out by our deadline, or by the application's own word.
    @Test(arguments: ["deadline", "application"])
    func `I-5c timed out, then finished within the watch window`(_ why: String) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "outcome", value: "never")]))
        if why == "application" {
            try line.sql("SELECT holdfast.mark_timed_out('job-1')")
        } else {
            try await line.minute(offset: "+6m")
            try await line.minute(offset: "+61m")
        }
        try line.checkUndecided("job-1", "timed_out/held")
        for offset in ["+2h", "+12h", "+20h"] {
            try await line.minute(offset: offset)
            try line.checkUndecided("job-1", "timed_out/held")
        }
        try line.order(taskID: "task-1", .init([.init(key: "outcome", value: "succeed")]))
        try await line.minute(offset: "+23h")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.balance("account-job-1") == "0/0/100")
        #expect(try line.violations() == [])
    }

    @Test func `I-5c timed out, then failed within the watch window`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "outcome", value: "fail")]))
        try line.sql("SELECT holdfast.mark_timed_out('job-1')")
        try await line.minute(offset: "+1h")
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
        #expect(try line.balance("account-job-1") == "100/0/0")
    }

    @Test func `I-5c two hosts and a crash deliver twenty timed-out jobs once each`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...20 {
            try line.open("job-\(n)", taskID: "task-\(n)")
            try line.sql("SELECT holdfast.mark_timed_out(\("job-\(n)"))")
        }
        try line.fault(["provider": "kie", "hang_rate": 1])
        try await line.crash("orphan-recoverer", offset: "+1h", when: "polls are open") {
            try line.asked("in_flight", "kie") == 20
        }
        try line.fault(["provider": "all", "clear": true])
        try await line.twoHostsMinute(offset: "+63m")
        try await line.twoHostsMinute(offset: "+70m")
        for n in 1...20 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
        #expect(try line.violations() == [])
    }

    // MARK: I-5e

    @Test func `I-5e of two jobs at once of which one can be paid, one is opened`() async throws {
        let line = try RescueLine()
        for n in 1...20 {
            try line.sql("SELECT holdfast.grant_credits(\("a\(n)"), 100, \("grant \(n)"))")
        }
        let refused = try await withThrowingTaskGroup(of: Int?.self) { group in
            for n in 1...20 {
                for half in ["left", "right"] {
                    group.addTask { try Self.open("\(half)-\(n)", "a\(n)", line) ? nil : n }
                }
            }
            return try await group.reduce(into: [Int]()) { if let n = $1 { $0.append(n) } }
        }
        #expect(refused.sorted() == Array(1...20))
        for n in 1...20 { #expect(try line.balance("a\(n)") == "0/100/0") }
        #expect(try line.value("SELECT count(*) FROM holdfast.job") == "20")
        #expect(try line.violations() == [])
    }

    @Test func `I-5e the same job opened twice at once is one job and one hold`() async throws {
        let line = try RescueLine()
        try line.sql("SELECT holdfast.grant_credits('a', 100, 'grant')")
        let opened = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 1...12 { group.addTask { try Self.open("job-1", "a", line) } }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(opened == 12)
        #expect(try line.transfers("job-1") == ["hold 100"])
        #expect(try line.balance("a") == "0/100/0")
    }

    /// True when the job was opened, false when the account could not pay for it.
    private static func open(_ id: String, _ account: String, _ line: RescueLine) throws -> Bool {
        do {
            try line.sql(
                "SELECT holdfast.open_job(\(id), \(account), 'kie', 'm', 'video', 100)",
                role: "holdfast_app")
            return true
        } catch let error as PostgresError where error.sqlState == "HF001" {
            return false
        }
    }
}
