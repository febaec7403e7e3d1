import Core
import Postgres
import TestSupport
import Testing

/// KIE: finished, paid for, not in the library: the URL expired before we came.
@Suite(.serialized) struct Incident3Losses {
    @Test func `I-3d a URL that expired is refreshed once, and the file delivered`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", outputs: 2, taskID: "task-1",
            task: .init([.init(key: "files_expired", value: true)]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["outcomes"]?["refreshed"]?.int == 2, "\(JSON.write(report))")
        #expect(report["outcomes"]?["stored"]?.int == 2)
        #expect(report["exit_status"]?.int == 0)
        #expect(try line.asked("refreshes", "task-1/0") == 1)
        #expect(try line.asked("refreshes", "task-1/1") == 1)
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test func `I-3d two hosts refresh twenty expired URLs once each`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...20 {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: .init([.init(key: "files_expired", value: true)]))
        }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        _ = try await line.twoHosts("storage-mirrorer", offset: "+6m")
        for n in 1...20 {
            #expect(try line.asked("refreshes", "task-\(n)/0") == 1)
            try line.checkDelivered("job-\(n)", task: "task-\(n)")
        }
        #expect(try line.violations() == [])
    }

    /// The rate of the provider holds for refreshes as well: what it does not let through waits.
    @Test func `I-3d refreshes beyond the provider's rate wait and are not lost`() async throws {
        let line = try RescueLine()
        for n in 1...15 {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: .init([.init(key: "files_expired", value: true)]))
        }
        try line.setPolicy("rate", "0.02", provider: "kie")
        try line.setPolicy("rate_burst", "5", provider: "kie")
        for minutes in stride(from: 6, through: 126, by: 10) {
            try await line.minute(offset: "+\(minutes)m")
        }
        for n in 1...15 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
        #expect(try line.violations() == [])
    }

    /// Ways in which a file is gone for certain: refused by its source, before and after a refresh.
    @Test(arguments: [
        ("kie", "gone", false), ("kie", "gone", true), ("kie", "expired", true),
        ("kie", "expired", false), ("kling", "gone", true), ("kling", "expired", true),
    ])
    func `I-3d a file that is gone is lost honestly, and the night's report says so`(
        _ provider: String, _ fault: String, _ isRefreshable: Bool
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", provider: provider, endpoint: provider == "kie" ? "market" : "image2video",
            taskID: "task-1",
            task: .init([
                .init(key: "file_fault", value: .string(fault)),
                .init(key: "refreshable", value: .bool(isRefreshable)),
            ]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["exit_status"]?.int == 1)
        #expect(report["outcomes"]?["lost"]?.int == 1)
        #expect(report["outcomes"]?["failed"]?.int == 1)
        #expect(report["credits"]?["voided"]?.int == 100)
        #expect(report["errors"]?.array?.first?["code"] == "file_lost")
        #expect(report["errors"]?.array?.first?["job_id"] == "job-1")
        #expect(try line.outcome("job-1") == "failed/voided/result_lost")
        #expect(try line.balance("account-job-1") == "100/0/0")
        if provider == "kie" { #expect(try line.asked("refreshes", "task-1/0") == 1) }

        // Later runs have nothing more to do, and nothing more to say.
        for finished in try await line.minute(offset: "+1h") {
            #expect(finished.status == 0 && finished.stdout == "")
        }
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(line.storedFiles() == [])
        try await checkPaidNotCharged(line)
        #expect(try line.violations() == [])
    }

    /// Paid by us and not charged: listed night after night as one and the same break.
    private func checkPaidNotCharged(_ line: RescueLine) async throws {
        let night = try await line.run("ledger-reconciler", offset: "+26h")
        #expect(night.status == 1)
        #expect(night.stdout.contains("provider-billed-failed-job job-1"), "\(night.stdout)")
        #expect(night.stdout.contains("result_lost"))
        let next = try await line.report("ledger-reconciler", offset: "+50h")
        #expect(next["exit_status"]?.int == 1)
        #expect(next["outcomes"]?["breaks_open"]?.int == 1)
        #expect(next["outcomes"]?["breaks_found"] == nil)
        let broken = next["breaks"]?.array?.first
        #expect(broken?["kind"] == "provider-billed-failed-job")
        #expect(broken?["subject"] == "job-1")
        #expect(broken?["credits"]?.int == 100)
        #expect(broken?["invariant"]?.bool == false)
    }

    @Test func `I-3d two hosts void the holds of twenty lost files once each`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...20 {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: .init([.init(key: "file_fault", value: "gone")]))
        }
        try await line.twoHostsMinute(offset: "+6m")
        try await line.twoHostsMinute(offset: "+1h")
        for n in 1...20 {
            #expect(try line.outcome("job-\(n)") == "failed/voided/result_lost")
            #expect(try line.transfers("job-\(n)") == ["hold 100", "void 100"])
        }
        #expect(try line.violations() == [])
    }

    @Test func `I-3d a mirrorer that dies while it asks for a fresh URL loses nothing`()
        async throws
    {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "files_expired", value: true)]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.fault(["provider": "kie", "hang_rate": 1])
        try await line.crash("storage-mirrorer", offset: "+6m", when: "it asks for a fresh URL") {
            try line.asked("in_flight", "kie") == 1
        }
        try line.checkUndecided("job-1", "succeeded/held")
        try line.fault(["provider": "all", "clear": true])
        try await line.minute(offset: "+9m")
        try line.checkDelivered("job-1", task: "task-1")
    }

    // MARK: Never lost

    /// A source that answers 401, 403, 404 or 410 is not the last word while the provider cannot
    /// say whether it has another one.
    @Test(
        arguments: [
            ["provider": "kie", "down": true], ["provider": "kie", "unauthorized_rate": 1],
            ["provider": "kie", "server_error_rate": 1],
            ["provider": "kie", "rate_limited_rate": 1, "retry_after_seconds": 5],
            ["provider": "kie", "cut_rate": 1],
        ] as [JSONValue])
    func `I-3d without a word from the provider an expired file is not lost`(
        _ fault: JSONValue
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "files_expired", value: true)]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.fault(fault)
        for offset in ["+6m", "+1h", "+1d", "+8d"] {
            let report = try await line.report("storage-mirrorer", offset: offset)
            #expect(report["outcomes"]?["retry_later"]?.int == 1, "\(JSON.write(report))")
            try line.checkUndecided("job-1", "succeeded/held")
        }
        try line.fault(["provider": "all", "clear": true])
        _ = try await line.run("storage-mirrorer", offset: "+9d")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3d a file whose provider is switched off is not lost`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "files_expired", value: true)]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let off = ["HOLDFAST_KIE_API_KEY": nil as String?]
        let report = try await line.report("storage-mirrorer", offset: "+6m", off)
        #expect(report["outcomes"]?["retry_later"]?.int == 1)
        try line.checkUndecided("job-1", "succeeded/held")
        _ = try await line.run("storage-mirrorer", offset: "+1h")
        try line.checkDelivered("job-1", task: "task-1")
    }

    /// Troubles of the way there: whatever the source's state, they say nothing about the file.
    @Test(arguments: ["server_error", "hang", "cut", "redirect_private"])
    func `I-3d a source in trouble never loses a file, however long it lasts`(
        _ fault: String
    ) async throws {
        let line = try RescueLine()
        try line.setPolicy("transfer_limit", "1s")
        try line.open(
            "job-1", taskID: "task-1",
            task: .init([.init(key: "file_fault", value: .string(fault))]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        for offset in ["+6m", "+1h", "+1d", "+30d"] {
            _ = try await line.run("storage-mirrorer", offset: offset)
            try line.checkUndecided("job-1", "succeeded/held")
        }
        // It is not forgotten either: the night lists its hold as past its time.
        let night = try await line.report("ledger-reconciler", offset: "+30d")
        #expect(night["exit_status"]?.int == 1)
        #expect(night["breaks"]?.array?.map { $0["kind"]?.text } == ["hold-past-timeout"])
        try line.order(taskID: "task-1", .init([.init(key: "file_fault", value: "none")]))
        _ = try await line.run("storage-mirrorer", offset: "+31d")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3d a source in a private network never loses a file`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let strict = ["HOLDFAST_EGRESS_ALLOW": nil as String?]
        for offset in ["+6m", "+1d"] {
            let report = try await line.report("storage-mirrorer", offset: offset, strict)
            #expect(report["exit_status"]?.int == 1)
            #expect(report["errors"]?.array?.first?["code"] == "blocked_address")
            let message = report["errors"]?.array?.first?["message"]?.text ?? ""
            #expect(message.contains("HOLDFAST_EGRESS_ALLOW"), "\(message)")
            try line.checkUndecided("job-1", "succeeded/held")
        }
        #expect(try line.asked("files", "task-1/0") == 0)
        _ = try await line.run("storage-mirrorer", offset: "+2d")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3d a store that is away never loses a file`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "file_fault", value: "gone")]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let away = ["HOLDFAST_STORAGE_URL": "file:///dev/null/assets" as String?]
        let finished = try await line.run("storage-mirrorer", offset: "+6m", away)
        #expect(finished.status == 78)
        try line.checkUndecided("job-1", "succeeded/held")
        #expect(try line.value("SELECT claims FROM holdfast.asset") == "0")
    }

    // MARK: Several files

    /// Two files of the job's own task, and one of another that is gone.
    private func threeWithOneGone(_ line: RescueLine) throws {
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
        #expect(urls.count == 3)
        try line.sql("SELECT holdfast.finish_job('job-1', 'succeeded', \(urls)::text[])")
    }

    @Test func `I-3d of three files one is lost, and the customer pays two thirds`() async throws {
        let line = try RescueLine()
        try threeWithOneGone(line)
        let report = try await line.report("storage-mirrorer", offset: "+1m")
        #expect(report["exit_status"]?.int == 1)
        #expect(report["outcomes"]?["stored"]?.int == 2)
        #expect(report["outcomes"]?["lost"]?.int == 1)
        #expect(report["outcomes"]?["delivered"]?.int == 1)
        #expect(report["credits"]?["captured"]?.int == 66)
        #expect(report["credits"]?["voided"]?.int == 34)
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 66", "void 34"])
        #expect(try line.balance("account-job-1") == "34/0/66")
        #expect(try line.status("job-1").texts("asset_urls").count == 2)
        #expect(try line.violations() == [])
    }

    @Test func `I-3d where partial results are refused, one lost file gives all credits back`()
        async throws
    {
        let line = try RescueLine()
        try line.setPolicy("partial", "fail")
        try threeWithOneGone(line)
        _ = try await line.run("storage-mirrorer", offset: "+1m")
        #expect(try line.outcome("job-1") == "failed/voided/result_lost")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        #expect(try line.violations() == [])
    }

    @Test func `I-3d a lost file waits for the others before anything is settled`() async throws {
        let line = try RescueLine()
        try threeWithOneGone(line)
        try line.fault(["provider": "files", "task_id": "task-1", "server_error_rate": 1])
        _ = try await line.run("storage-mirrorer", offset: "+1m")
        #expect(try line.outcome("job-1") == "succeeded/held")
        #expect(try line.transfers("job-1") == ["hold 100"])
        try line.fault(["provider": "all", "clear": true])
        _ = try await line.run("storage-mirrorer", offset: "+1h")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 66", "void 34"])
    }
}
