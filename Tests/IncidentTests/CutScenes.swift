import Core
import Foundation
import Postgres
import TestSupport

/// Every program and every command that writes, each with work that takes all of its ways.
extension CutScene {
    static let all = runs + commands

    static func named(_ name: String) -> [CutScene] {
        name == "all" ? all : all.filter { $0.name == name }
    }

    private static func task(_ members: [JSONObject.Member]) -> JSONObject { JSONObject(members) }
    private static let failing = task([.init(key: "outcome", value: "fail")])
    private static let endless = task([.init(key: "outcome", value: "never")])
    private static let gone = task([
        .init(key: "file_fault", value: "gone"), .init(key: "refreshable", value: false),
    ])

    // MARK: What cron and the web server run

    private static let runs: [CutScene] = [
        CutScene(name: "stuck-sweeper", program: "stuck-sweeper") { world in
            let line = world.line
            try line.setPolicy("brake_jobs", "account=1")
            try line.open("good", taskID: "task-good")
            try line.open(
                "kling", provider: "kling", outputs: 2, endpoint: "image2video",
                taskID: "task-kling")
            try line.open("slow", taskID: "task-slow", task: endless)
            for n in 1...2 {
                try line.open("bad-\(n)", account: "shared", taskID: "task-\(n)", task: failing)
            }
            try line.open("nowhere", taskID: nil)
            try line.open("unanswered", taskID: nil)
            try line.sql("SELECT holdfast.mark_submitting('unanswered')")
            // Three runs ended with it in their hands.
            try line.open("deadly", taskID: "task-deadly")
            try line.sql("UPDATE holdfast.job SET claims = 3 WHERE job_id = 'deadly'")
            try line.open("called", taskID: "task-called")
            try line.open("spooled", taskID: "task-spooled")
            for (job, isAway) in [("called", false), ("spooled", true)] {
                let away: [String: String?] =
                    isAway ? ["HOLDFAST_DATABASE_URL": ReceiverScene.nobody] : [:]
                _ = try await line.run(
                    "callback-receiver", [],
                    world.changes.merging(callback(job)) { $1 }.merging(away) { $1 },
                    input: body(job))
            }
        },
        CutScene(name: "orphan-recoverer", program: "orphan-recoverer", minutes: (28, 38)) {
            world in
            let line = world.line
            try line.setPolicy("brake_jobs", "account=1")
            try line.open(
                "first", provider: "kling", outputs: 1, endpoint: "image2video",
                taskID: "task-first")
            try await line.minute(offset: "+6m")
            try line.order(provider: "kling", endpoint: "image2video", taskID: "stray-task")
            _ = try await line.run("orphan-recoverer", offset: "+12m")
            try line.open("late", taskID: "task-late")
            try line.open("late-slow", taskID: "task-late-slow", task: endless)
            for n in 1...2 {
                try line.open("bad-\(n)", account: "shared", taskID: "task-\(n)", task: failing)
            }
            for job in ["late", "late-slow", "bad-1", "bad-2"] {
                try line.sql("SELECT holdfast.mark_timed_out(\(job))")
            }
            try line.open("returned", taskID: "task-returned")
            try line.sql("SELECT holdfast.return_credits('returned', 'the customer asked')")
        },
        CutScene(name: "storage-mirrorer", program: "storage-mirrorer") { world in
            let line = world.line
            for n in 1...3 { try line.open("good-\(n)", taskID: "task-\(n)") }
            try line.open(
                "kling", provider: "kling", outputs: 2, endpoint: "image2video",
                taskID: "task-kling")
            try line.open("lost", taskID: "task-lost", task: gone)
            try line.open("deadly", taskID: "task-deadly")
            _ = try await line.run("stuck-sweeper", offset: "+6m")
            try line.sql("UPDATE holdfast.asset SET claims = 3 WHERE job_id = 'deadly'")
        },
        CutScene(
            name: "ledger-reconciler", program: "ledger-reconciler", arguments: ["--apply"],
            minutes: (1560, 1570)
        ) { world in
            let line = world.line
            try line.open("good", taskID: "task-good")
            try line.open("bad", taskID: "task-bad", task: failing)
            try line.open("lost", taskID: "task-lost", task: gone)
            try line.open("stopped", taskID: "task-stopped", task: endless)
            try await line.minute(offset: "+6m")
            try line.sql(
                """
                UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'for the night'
                WHERE job_id = 'stopped'
                """)
        },
        CutScene(
            name: "callback-receiver", program: "callback-receiver", input: body("called"),
            changes: callback("called"), statuses: [0], next: ("stuck-sweeper", [])
        ) { world in
            try world.line.open("called", taskID: "task-called")
        },
    ]

    private static func body(_ job: String) -> [UInt8] {
        Array(#"{"code": 200, "data": {"taskId": "task-\#(job)"}}"#.utf8)
    }

    private static func callback(_ job: String) -> [String: String?] {
        [
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "PATH_INFO": "/kie",
            "CONTENT_LENGTH": "\(body(job).count)", "CONTENT_TYPE": "application/json",
            "SERVER_PROTOCOL": "HTTP/1.1",
        ]
    }

    // MARK: What people run

    private static func command(
        _ words: String, minutes: (Int, Int) = (6, 16),
        _ prepare: @escaping @Sendable (CutWorld) async throws -> Void = { world in
            try world.line.open("job-1", taskID: "task-1", task: endless)
        }
    ) -> CutScene {
        let arguments = words.split(separator: " ").map { String($0) }
        let name = arguments.prefix { !$0.hasPrefix("-") }.prefix(3).joined(separator: "-")
        return CutScene(
            name: name, program: "holdfast", arguments: arguments, minutes: minutes,
            prepare: prepare)
    }

    private static let commands: [CutScene] = [
        command("setup") { world in
            try world.line.database.connect().script("DROP SCHEMA holdfast CASCADE")
        },
        command("account grant account-job-1 50 --reference a-purchase"),
        command("account adjust account-job-1 20 --reason ticket --reference ticket-1"),
        command("job requeue job-1") { world in
            try world.line.open("job-1", taskID: "task-1", task: endless)
            try world.line.sql(
                "UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'asked too often'")
        },
        command("job dismiss job-1 --reason phantom"),
        command("job abandon job-1 --reason hopeless") { world in
            try world.line.open("job-1", taskID: "task-1", task: endless)
            try world.line.sql("SELECT holdfast.mark_timed_out('job-1')")
        },
        command("job refund job-1 --reason angry"),
        command("job link job-1 --task task-2"),
        command("job sync job-1") { world in try world.line.open("job-1", taskID: "task-1") },
        command("policy set lease 3m"),
        command("policy unset lease") { world in try world.line.setPolicy("lease", "3m") },
        command("policy release-brake --all") { world in
            try world.line.setPolicy("brake_jobs", "account=1")
            for n in 1...2 {
                try world.line.open(
                    "job-\(n)", account: "shared", taskID: "task-\(n)", task: failing)
            }
            _ = try await world.line.run("stuck-sweeper", offset: "+6m")
        },
        command("callback replay 1") { world in
            try world.line.open("called", taskID: "task-called", task: endless)
            _ = try await world.line.run(
                "callback-receiver", [], world.changes.merging(callback("called")) { $1 },
                input: body("called"))
            _ = try await world.line.run("stuck-sweeper")
        },
        command("break resolve 1 --reason known", minutes: (1570, 1580)) { world in
            try world.line.open("job-1", taskID: "task-1", task: endless)
            try world.line.sql(
                "UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'for the night'")
            _ = try await world.line.run("ledger-reconciler", offset: "+1560m")
        },
        command(
            "usage import --provider kie --task-id-column Task --amount-column Credits --unit "
                + "credits --time-column Time FOLDER/usage.csv"
        ) { world in
            let lines = (1...50).map { "2026-11-20 10:00:00,task-\($0),60\n" }.joined()
            try ("Time,Task,Credits\n" + lines).write(
                toFile: world.folder + "/usage.csv", atomically: true, encoding: .utf8)
        },
        command("policy set price 200 --kind video --from 2026-11-20"),
        command(
            "usage top-up --provider kie --amount 1000 --unit credits --at 2026-11-21T10:42:00Z "
                + "--reference invoice-1"),
        command(
            "usage balance --provider kie --amount 900 --unit credits --at 2026-11-22T10:42:00Z"),
        command("asset refetch --job job-1", minutes: (26, 36)) { world in
            try world.line.open("job-1", taskID: "task-1")
            try await world.line.minute(offset: "+6m")
            try FileManager.default.removeItem(atPath: world.line.assets + "/account-job-1")
        },
        command("asset verify", minutes: (26, 36)) { world in
            try world.line.open("job-1", taskID: "task-1")
            try await world.line.minute(offset: "+6m")
        },
    ]
}
