import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A database that lost commits which it had acknowledged.
@Suite(.serialized) struct Rewinds {
    /// The application starts the job again because it was asked to, and that is lost.
    private func submitLost(_ scene: RewindScene, _ provider: String = "kie") async throws {
        let endpoint = provider == "kling" ? "text2video" : provider == "luma" ? "" : "market"
        try await scene.warmUp()
        try scene.line.open("job-1", provider: provider, endpoint: endpoint, taskID: nil)
        try await scene.remember()
        let first = try await scene.report("stuck-sweeper")
        #expect(first["outcomes"] == ["retriggered": 1], "\(first)")
        #expect(try scene.triggers() == 1)
        try scene.line.sql("SELECT holdfast.mark_submitting('job-1')")
        try scene.line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        try scene.line.order(
            provider: provider, endpoint: endpoint, taskID: "task-1", externalID: "job-1")
        try await scene.rewind()
    }

    @Test func `at KIE a job is not sent again, is named, and ends by what anybody tells`()
        async throws
    {
        let scene = try RewindScene()
        try await submitLost(scene)
        let line = scene.line
        let noticed = try await scene.report("stuck-sweeper", offset: "+7m")
        #expect(noticed["outcomes"] == ["still_running": 1])
        #expect(noticed["exit_status"]?.int == 1)
        let said = RewindScene.signs(noticed)
        #expect(said.count == 1)
        for words in ["lost commits since", "host ", "mark ", "holdfast rewind show"] {
            #expect(said.first?.contains(words) ?? false, "\(words): \(said)")
        }
        #expect(try scene.held() == ["job-1"])
        // An event is said once.
        let again = try await scene.report("stuck-sweeper", offset: "+13m")
        #expect(RewindScene.signs(again) == [] && again["exit_status"]?.int == 0)
        let shown = try await scene.run("holdfast", ["rewind", "show"])
        #expect(shown.status == 0 && shown.stdout.contains("job-1"), "\(shown.stdout)")
        // One deadline later it is a person's.
        let over = try await scene.report("stuck-sweeper", offset: "+80m")
        #expect(over["outcomes"] == ["submission_unknown": 1], "\(over)")
        #expect(try line.outcome("job-1") == "created/held/blocked=submission_unknown")
        #expect(
            try line.value("SELECT blocked_reason FROM holdfast.job WHERE job_id = 'job-1'")
                .hasPrefix("rewind: "))
        #expect(try scene.triggers() == 1)
        // The application tells it once more.
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-1')")
        #expect(try scene.held() == [])
        try await scene.minute(offset: "+90m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(
            try line.value("SELECT count(*) FROM holdfast.rewind WHERE closed_at IS NULL") == "0")
        #expect(try line.violations() == [] && scene.triggers() == 1)
    }

    @Test func `a provider that can be asked by our own id lets the job go by itself`() async throws
    {
        let scene = try RewindScene()
        try await submitLost(scene, "kling")
        let line = scene.line
        let found = try await scene.report("stuck-sweeper", offset: "+7m")
        #expect(found["outcomes"] == ["succeeded": 1] && RewindScene.signs(found).count == 1)
        // Named before it was found, and let go by what came of it.
        #expect(try line.value("SELECT count(*) FROM holdfast.rewind_job") == "1")
        try await scene.minute(offset: "+14m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try scene.triggers() == 1 && scene.held() == [])
        #expect(try line.violations() == [])
    }

    @Test func `one of which the provider knows nothing is sent again in the same run`()
        async throws
    {
        let scene = try RewindScene()
        try await scene.warmUp()
        try scene.line.open("job-1", provider: "kling", endpoint: "text2video", taskID: nil)
        try await scene.remember()
        try scene.line.open("other", taskID: "task-other")
        try await scene.minute()
        #expect(try scene.triggers() == 1)
        try await scene.rewind()
        let noticed = try await scene.report("stuck-sweeper", offset: "+9m")
        #expect(RewindScene.signs(noticed).count == 1)
        #expect(noticed["outcomes"] == ["retriggered": 1], "\(noticed)")
        #expect(try scene.line.count("lookups", "kling:job-1") == 2)
        #expect(
            try scene.line.value("SELECT how FROM holdfast.rewind_job WHERE job_id = 'job-1'")
                == "looked_up")
    }

    @Test func `before any retrigger the provider is asked, with or without a rewind`() async throws
    {
        let line = try RescueLine()
        try line.open("job-1", provider: "kling", endpoint: "text2video", taskID: nil)
        try line.order(
            provider: "kling", endpoint: "text2video", taskID: "task-1", externalID: "job-1",
            JSONObject([.init(key: "polls_until_done", value: 5)]))
        let report = try await line.report("stuck-sweeper", offset: "+3m")
        #expect(report["outcomes"] == ["adopted": 1])
        #expect(try line.simulator.get("/control/counts")["triggers"]?["job-1"] == nil)
        let dry = try await line.report("stuck-sweeper", ["--dry-run"], offset: "+3m")
        #expect(dry["exit_status"]?.int == 0)
    }

    @Test func `no watch ends in a void, a job outside the gap goes on, and a person lets go`()
        async throws
    {
        let scene = try RewindScene()
        let line = scene.line
        let running = JSONObject([.init(key: "polls_until_done", value: 1000)])
        try line.open("job-1", taskID: "task-1", task: running)
        try line.open("old", taskID: nil)
        try line.sql(
            """
            UPDATE holdfast.job SET created_at = created_at - interval '1 hour',
                next_poll_at = created_at - interval '58 minutes' WHERE job_id = 'old'
            """)
        try line.sql("DELETE FROM holdfast.job_event WHERE job_id = 'old'")
        try await scene.warmUp()
        try line.sql(
            "UPDATE holdfast.job SET leased_at = created_at, retriggers = 0 WHERE job_id = 'old'")
        try line.sql("DELETE FROM holdfast.job_event WHERE job_id = 'old'")
        try await scene.remember()
        // A second task is marked, and forgotten.
        try line.sql("SELECT holdfast.mark_submitted('job-1', 'task-2')")
        try line.open("other", taskID: "task-other")
        try await scene.minute()
        try await scene.rewind()
        try await scene.minute(offset: "+70m")
        #expect(try scene.held().contains("job-1"))
        #expect(try line.status("job-1").text("state") == "timed_out")
        try await scene.minute(offset: "+26h")
        try await scene.minute(offset: "+27h")
        #expect(try line.outcome("job-1") == "timed_out/held/blocked=submission_unknown")
        let dry = try await scene.run(
            "holdfast", ["rewind", "release", "--job", "job-1", "--reason", "looked", "--dry-run"])
        #expect(dry.status == 0 && dry.stdout.contains("would be let go: job-1"), "\(dry.stderr)")
        #expect(try scene.held().contains("job-1"))
        let freed = try await scene.run(
            "holdfast", ["rewind", "release", "--job", "job-1", "--reason", "looked"])
        #expect(try freed.status == 0 && !scene.held().contains("job-1"), "\(freed.stderr)")
        #expect(
            try line.value(
                """
                SELECT detail FROM holdfast.job_event
                WHERE job_id = 'job-1' AND deed = 'rewind-release'
                """
            ).contains("looked"))
        try await scene.minute(offset: "+28h")
        #expect(try line.outcome("job-1") == "abandoned/voided")
        #expect(try line.violations() == [])
    }

    @Test func `while marks cannot be read those three wait, and nothing else`() async throws {
        let scene = try RewindScene()
        let line = scene.line
        let state = try #require(scene.state)
        try await scene.warmUp()
        try line.open("job-1", taskID: nil)
        try line.open("job-2", taskID: "task-2")
        try FileManager.default.moveItem(atPath: state + "/.holdfast", toPath: state + "/away")
        try Data("in the way".utf8).write(to: URL(fileURLWithPath: state + "/.holdfast"))
        let report = try await scene.report("stuck-sweeper", offset: "+8m")
        #expect(report["outcomes"] == ["still_running": 1, "succeeded": 1], "\(report)")
        let said = report["errors"]?.array?.first { $0["code"]?.text == "marks_unreadable" }
        #expect(said?["message"]?.text?.contains(state) ?? false, "\(report)")
        #expect(try scene.triggers() == 0 && scene.held() == [])
        try await scene.minute(offset: "+9m")
        #expect(try line.outcome("job-2") == "delivered/captured")
        try FileManager.default.removeItem(atPath: state + "/.holdfast")
        try FileManager.default.moveItem(atPath: state + "/away", toPath: state + "/.holdfast")
        _ = try await scene.run("stuck-sweeper", offset: "+11m")
        #expect(try scene.triggers() == 1)
    }

    @Test(arguments: [
        "{", "", #"{"host":"x","marks":[[1,"a"]]}"#, String(repeating: "x", count: 9000),
    ])
    func `garbage in a mark stops those three, and is written anew by a person's word`(
        _ garbage: String
    ) async throws {
        let scene = try RewindScene()
        try await scene.warmUp()
        try scene.line.open("job-1", taskID: nil)
        let path = try #require(scene.marks(in: scene.line.assets).first)
        try Data(garbage.utf8).write(to: URL(fileURLWithPath: path))
        let report = try await scene.report("stuck-sweeper", offset: "+8m")
        #expect(report["outcomes"] == ["still_running": 1] && report["exit_status"]?.int == 1)
        let said = report["errors"]?.array?.first?["message"]?.text ?? ""
        #expect(
            said.contains("mark-") && said.contains("holdfast rewind release --reason"), "\(said)")
        let freed = try await scene.run(
            "holdfast", ["rewind", "release", "--reason", "somebody's editor"])
        #expect(freed.status == 0 && freed.stdout.contains("written anew"), "\(freed.stderr)")
        _ = try await scene.run("stuck-sweeper", offset: "+10m")
        #expect(try scene.triggers() == 1)
    }

    @Test func `an older state folder, and one that is empty, are no sign`() async throws {
        let scene = try RewindScene()
        let line = scene.line
        let state = try #require(scene.state)
        try await scene.warmUp()
        let mark = try #require(scene.marks(in: state).first)
        let old = try Data(contentsOf: URL(fileURLWithPath: mark))
        for number in 1...3 {
            try line.open("more-\(number)", taskID: "task-more-\(number)")
            try await scene.minute(offset: "+\(6 + number)m")
        }
        try line.open("job-1", taskID: nil)
        try line.open("job-2", taskID: nil)
        try old.write(to: URL(fileURLWithPath: mark))
        let report = try await scene.report("stuck-sweeper", ["--job", "job-1"], offset: "+12m")
        #expect(report["outcomes"] == ["retriggered": 1] && RewindScene.signs(report) == [])
        try FileManager.default.removeItem(atPath: mark)
        let next = try await scene.report("stuck-sweeper", offset: "+13m")
        #expect(next["outcomes"] == ["retriggered": 1] && RewindScene.signs(next) == [], "\(next)")
        #expect(try line.value("SELECT count(*) FROM holdfast.rewind") == "0")
    }

    /// Only the application's commits were lost: no mark is missing, and the server tells.
    @Test func `another timeline is a sign, once`() async throws {
        let scene = try RewindScene(state: false)
        try await scene.warmUp()
        try scene.line.open("job-1", taskID: nil)
        try scene.line.sql("UPDATE holdfast.mark SET timeline = 'FFFFFFF0'")
        let noticed = try await scene.report("stuck-sweeper", offset: "+8m")
        #expect(noticed["outcomes"] == ["still_running": 1])
        #expect(
            RewindScene.signs(noticed).first?.contains("timeline FFFFFFF0") ?? false, "\(noticed)")
        #expect(try scene.held() == ["job-1"] && scene.triggers() == 0)
        let again = try await scene.report("stuck-sweeper", offset: "+15m")
        #expect(RewindScene.signs(again) == [])
        // A second failover finds it again.
        try scene.line.sql("UPDATE holdfast.mark SET timeline = 'FFFFFFF1'")
        let twice = try await scene.report("stuck-sweeper", offset: "+22m")
        #expect(RewindScene.signs(twice).count == 1)
        #expect(try scene.line.value("SELECT count(*) FROM holdfast.rewind") == "1")
    }

    /// A command of a page that is refused costs somebody time at three in the morning.
    @Test(arguments: ["runbooks/database-rewound.md", "docs/operate/restore.md"])
    func `the commands of the pages do what they say`(_ page: String) async throws {
        let scene = try RewindScene()
        try await submitLost(scene)
        _ = try await scene.run("stuck-sweeper", offset: "+7m")
        #expect(try scene.held() == ["job-1"])
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../" + page)
        let programs = [
            "holdfast ", "stuck-sweeper", "orphan-recoverer", "storage-mirrorer",
            "ledger-reconciler",
        ]
        let commands = try String(contentsOf: path, encoding: .utf8).split(separator: "\n")
            .filter { page.hasPrefix("runbooks") || $0.hasPrefix("    ") }
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { line in programs.contains { line.hasPrefix($0) } && !line.contains(" > ") }
        #expect(commands.count >= 10)
        for command in commands {
            let finished = try await scene.run(
                "/bin/sh", ["-c", "job=job-1; task=task-1; why=tested; \(command)"], offset: "+8m",
                ["PATH": Executable.folder + ":/usr/bin:/bin"])
            let isFinding = command.contains("doctor") || command.contains("reconciler")
            #expect(
                finished.status == 0 || (isFinding && finished.status == 1),
                "\(command): \(finished.status) \(finished.stderr)")
        }
        #expect(try scene.held() == [])
        #expect(try scene.line.violations() == [])
    }

    /// Real servers: a standby that is promoted behind its primary, and a restore to a point in time.
    @Test func `a failover and a restore, of scripts check-rewinds`() async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../scripts/check-rewinds").path
        let seed = Int.random(in: 1...100_000)
        let finished = try await Executable.run(
            script, arguments: ["--failovers", "1", "--restores", "1", "--seed", "\(seed)"],
            environment: [
                "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
                "HOLDFAST_BUILT": Executable.folder,
            ])
        #expect(finished.status == 0, "seed \(seed): \(finished.stdout)\(finished.stderr)")
    }

    @Test func `idle minutes raise nothing and read nothing`() async throws {
        let scene = try RewindScene()
        try await scene.warmUp()
        let before = try scene.line.value("SELECT counter FROM holdfast.mark")
        let path = try #require(scene.marks(in: scene.line.assets).first)
        try Data("garbage".utf8).write(to: URL(fileURLWithPath: path))
        for name in ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"] {
            let finished = try await scene.run(name, offset: "+30m")
            #expect(finished.status == 0 && finished.stderr == "", "\(finished.stderr)")
        }
        #expect(try scene.line.value("SELECT counter FROM holdfast.mark") == before)
    }
}
