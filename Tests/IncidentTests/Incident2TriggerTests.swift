import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// What is done about a job that provably never reached the provider.
extension Incident2 {
    static let triggerSecret = "simulator-trigger-secret"

    private func trigger(_ line: RescueLine, _ id: String = "job-1") throws -> JSONValue {
        try line.simulator.get("/control/counts")["triggers"]?[id] ?? .null
    }

    /// Runs the sweeper at each of these minutes.
    private func sweep(_ line: RescueLine, _ minutes: [Int]) async throws {
        for minute in minutes { _ = try await line.run("stuck-sweeper", offset: "+\(minute)m") }
    }

    /// In whatever column of whatever table, with the secret in it.
    private func tablesThatHold(_ text: String, _ line: RescueLine) throws -> [String] {
        let names = try line.sql(
            """
            SELECT tablename FROM pg_tables WHERE schemaname = 'holdfast' ORDER BY 1
            """
        ).map { try $0.text("tablename") }
        return try names.filter { name in
            try line.text(
                """
                SELECT count(*) FROM holdfast.\(raw: name) t
                WHERE strpos(t::text, \(text)) > 0
                """) != "0"
        }
    }

    // MARK: I-2b

    /// At 2 minutes, then 2, 4 and 8 after each try; a run in between does nothing.
    @Test func `I-2b a job that was never sent is retriggered, three times at most`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try await sweep(line, [1])
        try expectTriggers(line, 0)
        for (run, minutes) in [[3, 4], [6, 8], [11, 18]].enumerated() {
            let report = try await line.report("stuck-sweeper", offset: "+\(minutes[0])m")
            #expect(report["outcomes"] == ["retriggered": 1])
            try await sweep(line, [minutes[0], minutes[1]])
            try expectTriggers(line, run + 1)
            #expect(try line.outcome("job-1") == "created/held")
        }
        let seen = try trigger(line)
        #expect(seen["statuses"] == [202, 202, 202])
        #expect(seen["keys"] == ["job-1/1", "job-1/2", "job-1/3"])
        #expect(
            seen["bodies"]
                == [
                    ["job_id": "job-1", "attempt": 1], ["job_id": "job-1", "attempt": 2],
                    ["job_id": "job-1", "attempt": 3],
                ])
        try await sweep(line, [20, 30, 120])
        try expectTriggers(line, 3)
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        #expect(try line.polls("job-1") == 0)
    }

    @Test func `I-2b a trigger that works brings the job to its end`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try await sweep(line, [3])
        try expectTriggers(line, 1)
        // What the application does when it is triggered.
        try line.sql("SELECT holdfast.mark_submitting('job-1')")
        try line.order(taskID: "task-1")
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        try await line.minute(offset: "+9m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        try expectTriggers(line, 1)
    }

    @Test func `I-2b the secret goes into the header that the application wants`() async throws {
        let line = try RescueLine()
        _ = try line.simulator.post(
            "/control/trigger", json: ["header": "x-start-token", "secret": "another secret"])
        try line.open("job-1", taskID: nil)
        _ = try await line.run(
            "stuck-sweeper", offset: "+3m",
            [
                "HOLDFAST_RETRIGGER_HEADER": "x-start-token",
                "HOLDFAST_RETRIGGER_SECRET": "another secret",
            ])
        #expect(try trigger(line)["statuses"] == [202])
    }

    /// The incident itself: the secret that the instance has is not the application's.
    @Test(arguments: [["--verbose"], ["--output", "json"], ["--log-format", "json", "--verbose"]])
    func `I-2b a 401 from the application is reported as what it is, without the secret`(
        _ flags: [String]
    ) async throws {
        let line = try RescueLine()
        _ = try line.simulator.post("/control/trigger", json: ["secret": "what it really is"])
        try line.open("job-1", taskID: nil)
        let finished = try await line.run("stuck-sweeper", flags, offset: "+3m")
        #expect(finished.status == 78)
        #expect(finished.stderr.contains("job-1"))
        #expect(finished.stderr.contains("401"))
        #expect(finished.stderr.contains("HOLDFAST_RETRIGGER_SECRET"))
        #expect(!(finished.stdout + finished.stderr).contains(Self.triggerSecret))
        #expect(try tablesThatHold(Self.triggerSecret, line) == [])
        #expect(try trigger(line)["statuses"] == [401])
        #expect(try line.outcome("job-1") == "created/held")
        // The search finds what is there.
        #expect(try tablesThatHold("account-job-1", line) == ["account", "job", "transfer"])
    }

    @Test func `I-2b an application that is down is asked again, three times in all`() async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        for (fault, minutes) in [("server_error_rate", 3), ("down", 6), ("cut_rate", 11)] {
            try line.fault(["provider": "trigger", fault: fault == "down" ? true : 1])
            let finished = try await line.run("stuck-sweeper", offset: "+\(minutes)m")
            #expect(finished.status == 69, "\(fault) \(finished.stderr)")
            #expect(finished.stderr.contains("HOLDFAST_RETRIGGER_URL"), "\(finished.stderr)")
            #expect(!(finished.stdout + finished.stderr).contains(Self.triggerSecret))
            #expect(try line.outcome("job-1") == "created/held")
            try line.heal("trigger")
        }
        #expect(try line.count("requests", "trigger") == 3)
        try await sweep(line, [20, 40])
        #expect(try line.count("requests", "trigger") == 3)
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
    }

    /// The try is committed before it is made, so that a crash cannot make it twice.
    @Test func `I-2b a crash between the try and its answer counts the try`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: nil)
        try line.bePatient()
        try line.fault(["provider": "trigger", "delay_ms": 100_000])
        let victim = try line.begin("stuck-sweeper", offset: "+3m")
        try await line.waitUntil("the trigger is asked") {
            try line.count("requests", "trigger") == 1
        }
        victim.kill(SIGKILL)
        _ = await victim.wait()
        try line.heal("trigger")
        try await sweep(line, [4])
        #expect(try line.count("requests", "trigger") == 1)
        try await sweep(line, [6, 11, 20, 30])
        #expect(try line.count("requests", "trigger") == 3)
        #expect(Set(try keys(line)) == ["job-1/1", "job-1/2", "job-1/3"])
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
    }

    private func keys(_ line: RescueLine) throws -> [String] {
        try trigger(line)["keys"]?.array?.compactMap(\.text) ?? []
    }

    @Test func `I-2b twenty at once make each try once`() async throws {
        let line = try RescueLine()
        try line.setPolicy("max_runs", "20")
        try line.open("job-1", taskID: nil)
        for minutes in [3, 6, 11, 20] {
            let finished = try await line.atOnce(20, "stuck-sweeper", offset: "+\(minutes)m")
            #expect(finished.allSatisfy { $0.status == 0 })
        }
        #expect(try keys(line) == ["job-1/1", "job-1/2", "job-1/3"])
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.violations() == [])
    }

    // MARK: I-2c

    private static let configured: [String: String?] = [:]
    private static let withoutTrigger: [String: String?] = [
        "HOLDFAST_RETRIGGER_URL": nil, "HOLDFAST_RETRIGGER_SECRET": nil,
    ]

    /// A job that failed as `never_submitted`.
    private func giveUp(_ line: RescueLine, _ changes: [String: String?] = [:]) async throws {
        try line.open("job-1", taskID: nil)
        for minutes in [3, 6, 11, 20] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minutes)m", changes)
        }
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
    }

    /// Also where nobody can be triggered: then it is the time that runs out.
    @Test(arguments: [configured, withoutTrigger])
    func `I-2c after the last try the hold is voided, once`(
        _ changes: [String: String?]
    ) async throws {
        let line = try RescueLine()
        try await giveUp(line, changes)
        for offset in ["+21m", "+2h", "+30h"] { try await line.minute(offset: offset, changes) }
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        #expect(try line.violations() == [])
    }

    /// What a late success comes to, and what the customer has after it.
    @Test(arguments: [
        ("charge", false, "late_charged", ["hold 100", "void 100", "charge 100"], "0/0/100"),
        ("charge", true, "waived", ["hold 100", "void 100"], "0/100/0"),
        ("waive", false, "waived", ["hold 100", "void 100"], "100/0/0"),
    ])
    func `I-2c a task id that turns up later starts a watch, and its success follows the policy`(
        _ policy: String, _ isEmpty: Bool, _ credits: String, _ transfers: [String],
        _ balance: String
    ) async throws {
        let line = try RescueLine()
        try line.setPolicy("late_success", policy)
        try await giveUp(line)
        if isEmpty {
            // What came back is spent on something else meanwhile.
            try line.open("job-2", account: "account-job-1", credits: 0, taskID: nil)
            try line.sql(
                """
                SELECT holdfast.open_job('job-3', 'account-job-1', 'kie', 'm', 'video', 100)
                """)
        }
        try line.order(taskID: "task-1", JSONObject([.init(key: "polls_until_done", value: 1)]))
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        _ = try await line.run("orphan-recoverer", offset: "+21m")
        #expect(try line.polls("task-1") == 1)
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        for name in [
            "orphan-recoverer", "storage-mirrorer", "orphan-recoverer", "storage-mirrorer",
        ] {
            #expect(try await line.run(name, offset: "+27m").status == 0)
        }
        #expect(try line.outcome("job-1") == "delivered/\(credits)")
        #expect(try line.transfers("job-1") == transfers)
        #expect(try line.balance("account-job-1") == balance)
        #expect(try line.status("job-1").texts("asset_urls").count == 1)
        #expect(try line.violations() == [])
    }

    @Test func `I-2c a late task that fails moves nothing`() async throws {
        let line = try RescueLine()
        try await giveUp(line)
        try line.order(taskID: "task-1", JSONObject([.init(key: "outcome", value: "fail")]))
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        for offset in ["+21m", "+27m", "+33m"] { try await line.minute(offset: offset) }
        #expect(try line.polls("task-1") == 1)
        #expect(try line.outcome("job-1") == "failed/voided/never_submitted")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
    }
}
