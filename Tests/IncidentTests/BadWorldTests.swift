import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// A world that is wrong around settings that are right: keys that are refused, disks that are
/// full, databases that go away, and signals.
@Suite(.serialized) struct BadWorld {
    // MARK: Keys

    @Test func `a provider without credentials keeps its jobs, and the others go on`() async throws
    {
        let scene = try BadInputScene()
        let line = scene.line
        let off = ["HOLDFAST_KIE_API_KEY": nil as String?]
        for name in BadInputScene.jobs.dropLast() {
            let finished = try await scene.run(name, [], off)
            #expect(finished.status == 0, "\(name): \(finished.stderr)")
            try scene.checkSecrets(finished, name)
        }
        #expect(try line.outcome("stuck") == "submitted/held")
        #expect(try line.outcome("waited") == "timed_out/held")
        #expect(try line.outcome("created") == "created/held")
        #expect(try line.polls("task-stuck") == 0)
        #expect(try line.outcome("stuck-kling") == "delivered/captured")
        // A file that the provider named is fetched without asking it again.
        #expect(try line.outcome("finished") == "delivered/captured")
        _ = try await scene.run("stuck-sweeper")
        #expect(try line.outcome("stuck") == "succeeded/held")
    }

    /// A streak of refusals that opens the breaker is an alarm; one refusal is not, because Kling
    /// refuses good tokens now and then.
    @Test(
        arguments: [
            ("stuck-sweeper", "HOLDFAST_KIE_API_KEY", "kie"),
            ("orphan-recoverer", "HOLDFAST_KIE_API_KEY", "kie"),
            ("stuck-sweeper", "HOLDFAST_KLING_SECRET_KEY", "kling"),
        ], [false, true])
    func `refused credentials name their variable and move nothing`(
        _ one: (name: String, variable: String, provider: String), _ isJSON: Bool
    ) async throws {
        let scene = try BadInputScene()
        let line = scene.line
        try line.liftRates()
        let ids = (1...8).map { "job-\($0)" }
        for id in ids {
            try line.open(
                id, provider: one.provider,
                endpoint: one.provider == "kie" ? "market" : "image2video", taskID: "task-\(id)")
            if one.name == "orphan-recoverer" {
                try line.sql("SELECT holdfast.mark_timed_out(\(id))")
            }
        }
        let facts: SQL =
            """
            SELECT string_agg(j::text, '|' ORDER BY j.job_id) FROM (
                SELECT job_id, state, blocked, credit_state, error_code, captured, voided
                FROM holdfast.job WHERE provider = \(one.provider)) j
            """
        let money: SQL =
            "SELECT string_agg(t::text, '|' ORDER BY t.sequence) FROM holdfast.transfer t"
        let before = try [line.value(facts), line.value(money)]
        let finished = try await scene.run(
            one.name, ["--provider", one.provider] + (isJSON ? ["--output", "json"] : []),
            [one.variable: "canary-wrong-key-0006"])
        #expect(finished.status == 78, "\(finished.stderr)")
        #expect(finished.stderr.contains(one.variable), "\(finished.stderr)")
        #expect(!(finished.stdout + finished.stderr).contains("canary-wrong-key"))
        try scene.checkSecrets(finished, one.name)
        if isJSON {
            let codes = try scene.checkJSON(finished, one.name)["errors"]?.array?
                .compactMap { $0["code"]?.text }
            #expect(codes?.contains("credentials_refused") == true, "\(finished.stdout)")
        }
        #expect(try [line.value(facts), line.value(money)] == before)
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job WHERE lease_until IS NOT NULL") == "0"
        )
        // With the right key, and past the breaker's pause, they go on where they were.
        for offset in ["+30m", "+40m"] {
            let next = try await Executable.run(
                one.name, arguments: ["--provider", one.provider],
                environment: try scene.environment(["HOLDFAST_CLOCK_OFFSET": offset]))
            #expect(next.status == 0, "\(next.stderr)")
        }
        for id in ids { #expect(try line.outcome(id) == "succeeded/held") }
    }

    // MARK: Disks

    @Test func `a storage folder that cannot be written claims nothing`() async throws {
        let scene = try BadInputScene()
        // A link that leads nowhere: a volume that is not mounted.
        let path = scene.folder + "/assets"
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: scene.folder + "/not-mounted/assets")
        let before = try scene.fingerprint()
        for arguments in [[], ["--output", "json"]] {
            let finished = try await scene.run(
                "storage-mirrorer", arguments, ["HOLDFAST_STORAGE_URL": "file://" + path])
            #expect(finished.status == 78, "\(finished.stderr)")
            #expect(finished.stderr.contains(path), "\(finished.stderr)")
            if !arguments.isEmpty { try scene.checkJSON(finished, "storage-mirrorer") }
            try scene.checkSecrets(finished, "storage-mirrorer")
        }
        #expect(try scene.fingerprint() == before)
        #expect(try scene.line.value("SELECT max(claims) FROM holdfast.asset") == "0")
        #expect(
            try scene.line.value(
                "SELECT count(*) FROM holdfast.run WHERE finished_at IS NULL OR exit_status <> 78")
                == "0")
    }

    /// The limit of a process on the size of a file stands for a full disk: writes fail in the same
    /// place, half-way through a file.
    @Test(arguments: [false, true])
    func `a full disk gives every lease back, and the next run goes on`(
        isJSON: Bool
    ) async throws {
        let scene = try BadInputScene()
        let line = scene.line
        for task in ["task-stuck", "9001"] {
            try line.simulator.post(
                "/control/tasks", json: ["task_id": .string(task), "file_bytes": 300_000])
        }
        for n in 1...6 {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: .init([.init(key: "file_bytes", value: 300_000)]))
        }
        _ = try await scene.run("stuck-sweeper")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job WHERE state = 'succeeded'") == "9")
        let path = try Executable.path("storage-mirrorer")
        // 40 blocks: room for what proves that the folder can be written, and for no file.
        let finished = try await Executable.run(
            "/bin/sh",
            arguments: [
                "-c", "ulimit -f 40; exec \"$0\" \"$@\"", path,
                isJSON ? "--output=json" : "--output=text",
            ], environment: try scene.environment())
        #expect(finished.status == 69, "\(finished.stderr)")
        #expect(finished.stderr.contains("free space"), "\(finished.stderr)")
        try scene.checkSecrets(finished, "storage-mirrorer")
        if isJSON {
            let object = try scene.checkJSON(finished, "storage-mirrorer")
            #expect(object["errors"]?.array?.first?["code"] == "disk_full")
        }
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.asset
                WHERE lease_until IS NOT NULL OR lease_owner IS NOT NULL OR claims > 0
                """) == "0", "leases are still held")
        #expect(line.storedFiles() == [], "half-written files are left")
        #expect(
            try line.value("SELECT exit_status FROM holdfast.run ORDER BY started_at DESC") == "69")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.asset WHERE state <> 'pending'") == "0")
        // At once, without waiting for any lease.
        let next = try await scene.run("storage-mirrorer")
        #expect(next.status == 0, "\(next.stderr)")
        for n in 1...6 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
    }

    @Test(arguments: BadInputScene.jobs)
    func `an answer that cannot be written is not taken for one that was`(
        _ name: String
    ) async throws {
        let scene = try BadInputScene()
        let finished = try await Executable.run(
            "/bin/sh",
            arguments: ["-c", "exec \"$0\" --output json >/dev/full", try Executable.path(name)],
            environment: try scene.environment())
        #expect(finished.status == 69, "\(finished.stderr)")
        #expect(finished.stderr.contains("standard output cannot be written"))
    }

    // MARK: Databases

    @Test(arguments: ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"])
    func `a database that goes away in the middle ends the run and loses nothing`(
        _ name: String
    ) async throws {
        let scene = try BadInputScene()
        do {
            // Half-way through the transaction that settles what was learned.
            let gate = try scene.line.close(name == "storage-mirrorer" ? .stored : .answer)
            let running = try Executable.start(
                name, arguments: ["--output", "json"], environment: try scene.environment())
            try scene.line.until("it wants to write") { try scene.line.waits(name) }
            try scene.line.cut(name)
            let finished = await running.wait()
            #expect(finished.status == 75, "\(finished.stderr)")
            try scene.checkJSON(finished, name)
            try scene.checkSecrets(finished, name)
            _ = consume gate
        }
        for offset in ["+9m", "+15m"] {
            try await scene.line.minute(offset: offset, try scene.environment().asChanges)
        }
        for job in ["stuck", "stuck-kling", "waited", "finished"] {
            #expect(try scene.line.outcome(job) == "delivered/captured", "\(job)")
            #expect(try scene.line.transfers(job) == ["hold 100", "capture 100"], "\(job)")
        }
        #expect(try scene.line.violations() == [])
    }

    // MARK: Signals

    @Test(arguments: ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"], [SIGTERM, SIGINT])
    func `a signal in the middle gives the leases back and finishes the run's record`(
        _ name: String, _ signal: Int32
    ) async throws {
        let scene = try BadInputScene()
        let line = scene.line
        try line.fault(["provider": "all", "hang_rate": 1])
        let running = try Executable.start(
            name, arguments: ["--output", "json"], environment: try scene.environment())
        let area = name == "storage-mirrorer" ? "files" : "kie"
        try line.until("it asks") { try line.asked("in_flight", area) > 0 }
        running.kill(signal)
        let finished = await running.wait()
        #expect(finished.status == 128 + signal, "\(finished.stderr)")
        #expect(finished.signal == nil, "it must end by itself")
        try scene.checkJSON(finished, name)
        try scene.checkSecrets(finished, name)
        for table in ["job", "asset"] {
            #expect(
                try line.value(
                    """
                    SELECT count(*) FROM holdfast.\(raw: table)
                    WHERE lease_until IS NOT NULL OR claims > 0
                    """) == "0", "\(table)")
        }
        #expect(
            try line.value(
                """
                SELECT string_agg(exit_status::text, ',') FROM holdfast.run
                WHERE finished_at IS NOT NULL
                """) == "\(128 + signal)")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.run_slot WHERE run_id IS NOT NULL") == "0"
        )
        // Another host may take over this very moment.
        try line.fault(["provider": "all", "clear": true])
        let next = try await scene.run(name)
        #expect(next.status == 0, "\(next.stderr)")
        switch name {
        case "stuck-sweeper": #expect(try line.outcome("stuck") == "succeeded/held")
        case "orphan-recoverer": #expect(try line.outcome("waited") == "succeeded/held")
        default: #expect(try line.outcome("finished") == "delivered/captured")
        }
    }

    @Test func `a signal ends the reconciler after its statement`() async throws {
        let scene = try BadInputScene()
        let holder = try scene.line.database.connect()
        try holder.execute("BEGIN")
        try holder.execute("LOCK TABLE holdfast.break IN ACCESS EXCLUSIVE MODE")
        let running = try Executable.start(
            "ledger-reconciler", arguments: ["--output", "json"],
            environment: try scene.environment())
        try scene.line.until("it wants to write") {
            try scene.line.waits("ledger-reconciler")
        }
        running.kill(SIGTERM)
        try holder.execute("ROLLBACK")
        let finished = await running.wait()
        #expect(finished.status == 143, "\(finished.stderr)")
        try scene.checkJSON(finished, "ledger-reconciler")
        #expect(try scene.line.value("SELECT exit_status FROM holdfast.run") == "143")
    }

    /// Everything logged, in every form: no secret in any line.
    @Test(arguments: ["text", "logfmt", "json"])
    func `the most talkative run tells no secret`(_ format: String) async throws {
        let scene = try BadInputScene()
        let line = scene.line
        try line.order(taskID: "task-waited", .init([.init(key: "files_expired", value: true)]))
        try line.open(
            "gone", taskID: "task-gone", task: .init([.init(key: "file_fault", value: "gone")]))
        try line.open(
            "odd", taskID: "task-odd", task: .init([.init(key: "shape", value: "cut_json")]))
        try line.open(
            "refused", taskID: "task-refused",
            task: .init([
                .init(key: "outcome", value: "fail"),
                .init(
                    key: "message",
                    value: .string(
                        "https://cdn.example.com/a.mp4?token=sim%2F0 is not allowed; "
                            + "Authorization: Bearer \(BadInputScene.canaries[0])")),
            ]))
        try line.fault(["provider": "kie", "task_id": "task-stuck", "unauthorized_rate": 1])
        for name in BadInputScene.jobs {
            let finished = try await scene.run(
                name, ["--verbose", "--log-format", format, "--output", "json"])
            #expect([0, 1].contains(finished.status), "\(name): \(finished.stderr)")
            try scene.checkJSON(finished, name)
            try scene.checkSecrets(finished, name)
        }
        #expect(try line.outcome("gone") == "failed/voided/result_lost")
        #expect(try line.outcome("refused") == "failed/voided/provider_failed")
        // The canaries were alive: the addresses have their queries, the evidence had our inputs.
        #expect(
            try line.value("SELECT source_url FROM holdfast.asset WHERE job_id = 'gone'")
                .contains("token=sim%2F"))
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.observation
                WHERE evidence LIKE '%"param":"[redacted]"%'
                """) != "0")
    }
}

extension [String: String] {
    /// As changes to another environment.
    fileprivate var asChanges: [String: String?] {
        var changes: [String: String?] = [:]
        for (name, value) in self where !name.contains("CLOCK_OFFSET") { changes[name] = value }
        return changes
    }
}
