import Core
import Postgres
import TestSupport
import Testing

/// KIE: finished, paid for, not in the library: nobody called, or said too little.
@Suite(.serialized) struct Incident3 {
    @Test func `I-3a without a callback it is delivered within two runs`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.balance("account-job-1") == "0/0/100")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(try line.polls("task-1") == 1)
        #expect(try line.violations() == [])
    }

    /// Each family, just inside its threshold and just outside.
    @Test(arguments: [
        ("kie", "market", "video", 300), ("kie", "veo", "video", 300),
        ("kie", "market", "audio", 180), ("kling", "image2video", "video", 300),
        ("kling", "generations", "image", 120),
    ])
    func `I-3a silence is noticed at the threshold and not before`(
        _ provider: String, _ endpoint: String, _ kind: String, _ threshold: Int
    ) async throws {
        let line = try RescueLine()
        for id in ["early", "late"] {
            try line.open(
                id, provider: provider, kind: kind, endpoint: endpoint, taskID: "task-\(id)")
            #expect(
                try line.value(
                    """
                    SELECT round(extract(epoch FROM next_poll_at - submitted_at))
                    FROM holdfast.job WHERE job_id = \(id)
                    """) == "\(threshold)")
        }
        // Time passes: up to half a minute before the threshold of one, past that of the other.
        try line.sql(
            """
            UPDATE holdfast.job SET next_poll_at = clock_timestamp()
                + CASE job_id WHEN 'early' THEN interval '30 s' ELSE '0' END
            """)
        _ = try await line.run("stuck-sweeper")
        #expect(try line.outcome("early") == "submitted/held")
        #expect(try line.polls("task-early", provider: provider) == 0)
        #expect(try line.outcome("late") == "succeeded/held")
        _ = try await line.run("storage-mirrorer")
        try line.checkDelivered("late", task: "task-late")
        #expect(try line.violations() == [])
    }

    @Test func `I-3a what still runs is asked again after one threshold`() async throws {
        let line = try RescueLine()
        // Hours instead of minutes, so that the time that the test takes does not count.
        try line.setPolicy("stuck_after", "1h")
        try line.setPolicy("deadline", "24h")
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "polls_until_done", value: 2)]))
        try await line.minute(offset: "+61m")
        #expect(try line.outcome("job-1") == "running/held")
        // Within the threshold of the answer, nobody asks.
        try await line.minute(offset: "+90m")
        #expect(try line.polls("task-1") == 1)
        try await line.minute(offset: "+150m")
        #expect(try line.outcome("job-1") == "running/held")
        try await line.minute(offset: "+240m")
        #expect(try line.polls("task-1") == 3)
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3a forty jobs and two hosts, each is polled, fetched and paid once`() async throws
    {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...40 { try line.open("job-\(n)", taskID: "task-\(n)") }
        try await line.twoHostsMinute(offset: "+6m")
        let counts = try line.simulator.get("/control/counts")
        for n in 1...40 {
            #expect(counts["polls"]?["kie:task-\(n)"]?.int == 1)
            #expect(counts["files"]?["task-\(n)/0"]?.int == 1)
            try line.checkDelivered("job-\(n)", task: "task-\(n)")
        }
        #expect(line.storedFiles().count == 40)
        #expect(try line.violations() == [])
    }

    @Test func `I-3a a sweeper that dies with its question open costs one lease time`() async throws
    {
        let line = try RescueLine()
        try line.setPolicy("lease", "1h")
        for n in 1...5 { try line.open("job-\(n)", taskID: "task-\(n)") }
        try line.fault(["provider": "kie", "hang_rate": 1])
        try await line.crash("stuck-sweeper", offset: "+6m", when: "five polls are open") {
            try line.asked("in_flight", "kie") == 5
        }
        try line.fault(["provider": "all", "clear": true])
        // Its leases stand for an hour, and nobody else touches the jobs meanwhile.
        try await line.minute(offset: "+7m")
        for n in 1...5 { try line.checkUndecided("job-\(n)", "submitted/held") }
        try await line.minute(offset: "+70m")
        for n in 1...5 {
            try line.checkDelivered("job-\(n)", task: "task-\(n)")
            #expect(try line.polls("task-\(n)") == 2)
        }
        #expect(try line.violations() == [])
    }

    @Test func `I-3a a sweeper that dies before its answer is written changes nothing`()
        async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        do {
            let gate = try line.close(.answer)
            try await line.crash("stuck-sweeper", offset: "+6m", when: "it wants to write") {
                try line.waits("stuck-sweeper")
            }
            _ = consume gate
        }
        try line.checkUndecided("job-1", "submitted/held")
        try await line.minute(offset: "+9m")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test(arguments: ["hang", "slow"])
    func `I-3a a mirrorer that dies half-way leaves nothing behind`(
        _ fault: String
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1",
            task: .init([
                .init(key: "file_bytes", value: 300_000),
                .init(key: "file_fault", value: .string(fault)),
                .init(key: "file_wait_ms", value: 60_000),
            ]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try await line.crash("storage-mirrorer", offset: "+6m", when: "half a file is there") {
            line.storedFiles().contains { $0.hasSuffix(".part") }
        }
        try line.checkUndecided("job-1", "succeeded/held")
        #expect(line.storedFiles().allSatisfy { $0.hasSuffix(".part") })
        try line.order(taskID: "task-1", .init([.init(key: "file_fault", value: "none")]))
        try await line.minute(offset: "+9m")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(line.storedFiles() == ["account-job-1/video/job-1_0.mp4"])
        #expect(try line.violations() == [])
    }

    /// The file is at its key and the database does not know: the worst moment to die.
    @Test(arguments: [false, true])
    func `I-3a a file that was stored before the crash is delivered, also when its source is gone`(
        isGone: Bool
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        do {
            let gate = try line.close(.stored)
            try await line.crash("storage-mirrorer", offset: "+6m", when: "it wants to deliver") {
                try line.waits("storage-mirrorer")
            }
            _ = consume gate
        }
        #expect(line.storedFiles() == ["account-job-1/video/job-1_0.mp4"])
        try line.checkUndecided("job-1", "succeeded/held")
        if isGone {
            try line.order(
                taskID: "task-1",
                .init([
                    .init(key: "file_fault", value: "gone"),
                    .init(key: "refreshable", value: false),
                ]))
        }
        let report = try await line.report("storage-mirrorer", offset: "+9m")
        #expect(report["outcomes"]?["already_stored"]?.int == 1)
        #expect(report["outcomes"]?["delivered"]?.int == 1)
        #expect(try line.asked("files", "task-1/0") == 1)
        try line.checkDelivered("job-1", task: "task-1")
        #expect(line.storedFiles() == ["account-job-1/video/job-1_0.mp4"])
        #expect(try line.violations() == [])
    }

    // MARK: I-3b

    /// Callbacks that say that it is done, and not where: the poll decides.
    @Test(arguments: [
        #"{"code":200,"msg":"success","data":{"taskId":"task-1","state":"success"}}"#,
        #"{"code":200,"data":{"taskId":"task-1","state":"success","resultJson":"{\"resultUrls\":[]}"}}"#,
        #"{"data":{"task_id":"task-1","callbackType":"complete"}}"#,
        #"{"taskId":"task-1","state":"fail","failMsg":"a lie"}"#,
        #"{"taskId":"task-1","state":"success","resultUrls":["http://127.0.0.1:9/evil.mp4"]}"#,
    ])
    func `I-3b after a callback without URLs the provider is asked for them`(
        _ body: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.callBack(body)
        // At once, not after the threshold.
        try await line.minute()
        #expect(try line.polls("task-1") == 1)
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    @Test func `I-3b Kling's callback without files is asked about as well`() async throws {
        let line = try RescueLine()
        try line.open("job-1", provider: "kling", endpoint: "image2video", taskID: "9001")
        try line.callBack(
            #"{"task_id":"9001","task_status":"succeed","task_result":{}}"#, provider: "kling")
        try await line.minute()
        #expect(try line.polls("9001", provider: "kling") == 1)
        try line.checkDelivered("job-1", task: "9001")
    }

    @Test(arguments: ["kie", "kling"])
    func `I-3b a success that names no file is no success yet`(_ provider: String) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", provider: provider, endpoint: provider == "kie" ? "market" : "image2video",
            taskID: "task-1",
            task: .init([
                .init(key: "shape", value: "no_urls"), .init(key: "shape_polls", value: 2),
            ]))
        try await line.minute(offset: "+6m")
        try line.checkUndecided("job-1", "submitted/held")
        try await line.minute(offset: "+12m")
        try line.checkUndecided("job-1", "submitted/held")
        try await line.minute(offset: "+30m")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.polls("task-1", provider: provider) == 3)
    }

    @Test func `I-3b two hosts and twenty callbacks, each job is asked about once`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...20 {
            try line.open("job-\(n)", taskID: "task-\(n)")
            try line.callBack(#"{"data":{"taskId":"task-\#(n)","state":"success"}}"#)
        }
        _ = try await line.twoHosts("stuck-sweeper", offset: "+1s")
        // Whatever one host had not drained when the other looked for work.
        try await line.minute(offset: "+2s")
        for n in 1...20 {
            #expect(try line.polls("task-\(n)") == 1)
            try line.checkDelivered("job-\(n)", task: "task-\(n)")
        }
        #expect(try line.violations() == [])
    }
}
