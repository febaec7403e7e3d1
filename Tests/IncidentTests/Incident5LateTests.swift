import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// Twenty-minute videos behind a five-minute limit: finished after the credits were
/// given back.
@Suite(.serialized) struct Incident5Late {
    /// How the hold came to be voided before the task finished.
    enum Return: String, CaseIterable, Sendable {
        /// By us, at the end of the watch window, on a healthy answer.
        case window
        /// By the application, after it gave up waiting.
        case application
        /// By the application, while we were still asking.
        case early
    }

    /// Plays a job up to the moment at which its hold is voided and its task not finished.
    private func returned(
        _ line: RescueLine, _ how: Return, id: String = "job-1", task: String = "task-1"
    ) async throws {
        try line.open(id, taskID: task, task: .init([.init(key: "outcome", value: "never")]))
        try await line.minute(offset: "+6m")
        switch how {
        case .early: break
        case .application: try line.sql("SELECT holdfast.mark_timed_out(\(id))")
        case .window: try await line.minute(offset: "+61m")
        }
        if how == .window {
            try await line.minute(offset: "+26h")
            #expect(try line.outcome(id) == "abandoned/voided")
        } else {
            try line.sql("SELECT holdfast.return_credits(\(id), 'the customer asked')")
        }
        #expect(try line.transfers(id) == ["hold 100", "void 100"])
        #expect(try line.balance("account-\(id)") == "100/0/0")
    }

    /// The task finishes after all, and its callback comes.
    private func finish(_ line: RescueLine, task: String = "task-1") throws {
        try line.order(taskID: task, .init([.init(key: "outcome", value: "succeed")]))
        try line.callBack(#"{"data":{"taskId":"\#(task)","state":"success"}}"#)
    }

    @Test(arguments: Return.allCases)
    func `I-5d finished after the hold was voided: charged, once`(_ how: Return) async throws {
        let line = try RescueLine()
        try await returned(line, how)
        try finish(line)
        try await line.minute(offset: "+27h")
        #expect(try line.outcome("job-1") == "delivered/late_charged")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100", "charge 100"])
        #expect(try line.balance("account-job-1") == "0/0/100")
        try line.checkFiles("job-1", task: "task-1")
        // Callbacks again, runs again, the application again: never twice.
        for n in 1...3 {
            try line.callBack(#"{"data":{"taskId":"task-1","state":"success","n":\#(n)}}"#)
            try await line.minute(offset: "+\(27 + n)h")
        }
        try line.sql(
            "SELECT holdfast.finish_job('job-1', 'succeeded', ARRAY['https://a.example/1'])")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100", "charge 100"])
        #expect(try line.violations() == [])
    }

    /// All or nothing, and never below zero: what the customer has spent meanwhile stays spent.
    @Test(arguments: Return.allCases, [60, 100])
    func `I-5d whoever cannot pay any more is not charged`(
        _ how: Return, _ spent: Int
    ) async throws {
        let line = try RescueLine()
        try await returned(line, how)
        try line.sql(
            """
            SELECT holdfast.open_job('other', 'account-job-1', 'kie', 'm', 'video',
                \(spent)::bigint)
            """)
        // A task that the provider says nothing about: this hold stands.
        try line.sql("SELECT holdfast.mark_submitted('other', 'task-nowhere')")
        try finish(line)
        try await line.minute(offset: "+27h")
        #expect(try line.outcome("job-1") == "delivered/waived")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.status("job-1").int("credits_waived") == 100)
        #expect(try line.status("job-1").int("credits_charged") == 0)
        try line.checkFiles("job-1", task: "task-1")
        // What comes in later is not taken for it either.
        try line.sql("SELECT holdfast.grant_credits('account-job-1', 500, 'more')")
        try await line.minute(offset: "+28h")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.violations() == [])
    }

    @Test(arguments: Return.allCases)
    func `I-5d where the policy waives, nobody is charged`(_ how: Return) async throws {
        let line = try RescueLine()
        try line.setPolicy("late_success", "waive")
        try await returned(line, how)
        try finish(line)
        let reports = try await line.minute(offset: "+27h")
        #expect(reports.allSatisfy { $0.status == 0 })
        #expect(try line.outcome("job-1") == "delivered/waived")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        try line.checkFiles("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test(arguments: Return.allCases)
    func `I-5d failed after the hold was voided moves nothing more`(_ how: Return) async throws {
        let line = try RescueLine()
        try await returned(line, how)
        try line.order(taskID: "task-1", .init([.init(key: "outcome", value: "fail")]))
        try line.callBack(#"{"data":{"taskId":"task-1","state":"fail"}}"#)
        try await line.minute(offset: "+27h")
        #expect(
            try line.outcome("job-1")
                == (how == .window ? "abandoned/voided" : "failed/voided/provider_failed"))
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        #expect(try line.violations() == [])
    }

    /// Late and lost: there is nothing to charge for.
    @Test(arguments: Return.allCases)
    func `I-5d a late result that is lost is not charged`(_ how: Return) async throws {
        let line = try RescueLine()
        try await returned(line, how)
        try line.order(taskID: "task-1", .init([.init(key: "file_fault", value: "gone")]))
        try finish(line)
        try await line.minute(offset: "+27h")
        #expect(try line.outcome("job-1") == "failed/voided/result_lost")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        let night = try await line.run("ledger-reconciler", offset: "+50h")
        #expect(night.status == 1)
        #expect(night.stdout.contains("provider-billed-failed-job job-1"))
        #expect(try line.violations() == [])
    }

    @Test func `I-5d a partial late result is charged by its share`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", outputs: 3, taskID: "task-1", task: .init([.init(key: "outputs", value: 2)]))
        try line.sql("SELECT holdfast.return_credits('job-1', 'the customer asked')")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/late_charged")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100", "charge 66"])
        #expect(try line.balance("account-job-1") == "34/0/66")
    }

    @Test func `I-5d after a late charge the application's refund is the last word`() async throws {
        let line = try RescueLine()
        try await returned(line, .application)
        try finish(line)
        try await line.minute(offset: "+1h")
        for _ in 1...3 { try line.sql("SELECT holdfast.return_credits('job-1', 'goodwill')") }
        try await line.minute(offset: "+2h")
        #expect(try line.outcome("job-1") == "delivered/refunded")
        #expect(
            try line.transfers("job-1") == ["hold 100", "void 100", "charge 100", "refund 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        #expect(try line.violations() == [])
    }

    @Test func `I-5d two hosts charge twenty late results once each, also after a crash`()
        async throws
    {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...20 {
            try line.open("job-\(n)", taskID: "task-\(n)")
            try line.sql("SELECT holdfast.mark_timed_out(\("job-\(n)"))")
            try line.sql("SELECT holdfast.return_credits(\("job-\(n)"), 'gave up')")
        }
        try line.fault(["provider": "kie", "hang_rate": 1])
        try await line.crash("orphan-recoverer", offset: "+1h", when: "all polls are open") {
            try line.asked("in_flight", "kie") == 20
        }
        try line.fault(["provider": "kie", "clear": true])
        _ = try await line.twoHosts("orphan-recoverer", offset: "+63m")
        try line.fault(["provider": "files", "hang_rate": 1])
        try await line.crash("storage-mirrorer", offset: "+63m", when: "all transfers are open") {
            try line.asked("in_flight", "files") == 20
        }
        try line.fault(["provider": "files", "clear": true])
        try await line.twoHostsMinute(offset: "+66m")
        for n in 1...20 {
            #expect(try line.outcome("job-\(n)") == "delivered/late_charged")
            #expect(try line.transfers("job-\(n)") == ["hold 100", "void 100", "charge 100"])
            #expect(try line.balance("account-job-\(n)") == "0/0/100")
        }
        #expect(try line.violations() == [])
    }

    /// Two late results of one account that can pay for one of them.
    @Test func `I-5d two late results at once cannot take one purse twice`() async throws {
        let line = try RescueLine()
        for n in 1...2 {
            try line.open("job-\(n)", account: "shared", taskID: "task-\(n)")
            try line.sql("SELECT holdfast.return_credits(\("job-\(n)"), 'gave up')")
        }
        try line.sql(
            "SELECT holdfast.open_job('other', 'shared', 'kie', 'm', 'video', 100)")
        try await line.twoHostsMinute(offset: "+6m")
        let outcomes = try [line.outcome("job-1"), line.outcome("job-2")].sorted()
        #expect(outcomes == ["delivered/late_charged", "delivered/waived"])
        #expect(try line.balance("shared").hasPrefix("0/"))
        #expect(try line.violations() == [])
    }

    // MARK: Paid when it succeeded

    @Test func `I-5d where credits are captured on success, a lost file is refunded, once`()
        async throws
    {
        let line = try RescueLine()
        try line.setPolicy("capture_at", "succeeded")
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "file_fault", value: "gone")]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(try line.outcome("job-1") == "succeeded/captured")
        #expect(try line.balance("account-job-1") == "0/0/100")
        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["credits"]?["refunded"]?.int == 100)
        try await line.twoHostsMinute(offset: "+1h")
        #expect(try line.outcome("job-1") == "failed/refunded/result_lost")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100", "refund 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        let night = try await line.run("ledger-reconciler", offset: "+26h")
        #expect(night.status == 1)
        #expect(night.stdout.contains("provider-billed-failed-job job-1"))
        #expect(try line.violations() == [])
    }

    @Test func `I-5d where credits are captured on success, delivery moves none`() async throws {
        let line = try RescueLine()
        try line.setPolicy("capture_at", "succeeded")
        try line.open("job-1", taskID: "task-1")
        try await line.minute(offset: "+6m")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test func `I-5d captured on success and one of three files lost: its share is refunded`()
        async throws
    {
        let line = try RescueLine()
        try line.setPolicy("capture_at", "succeeded")
        try line.open(
            "job-1", outputs: 3, taskID: "task-1", task: .init([.init(key: "outputs", value: 2)]))
        try line.order(
            taskID: "task-2",
            .init([
                .init(key: "file_fault", value: "gone"), .init(key: "refreshable", value: false),
            ]))
        var urls: [String] = []
        for task in ["task-1", "task-2"] {
            let files = try line.simulator.get("/control/tasks/\(task)")["files"]?.array ?? []
            urls += files.compactMap { $0["url"]?.text }
        }
        try line.sql("SELECT holdfast.finish_job('job-1', 'succeeded', \(urls)::text[])")
        _ = try await line.run("storage-mirrorer", offset: "+1m")
        #expect(try line.outcome("job-1") == "delivered/refunded")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100", "refund 34"])
        #expect(try line.balance("account-job-1") == "34/0/66")
        #expect(try line.violations() == [])
    }
}
