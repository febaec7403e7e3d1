import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// `holdfast asset refetch`: files that were there, brought back while their source still lives.
@Suite(.serialized) struct AssetRefetchTests {
    private static let refetch = ["refetch", "--job", "job-1"]

    @Test(arguments: StoreKind.all)
    func `a vanished object comes back, and job and credits stay as they are`(
        _ store: StoreKind
    ) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, key, made) = (try scene.books(), try scene.key(), try scene.made())
        #expect(try scene.object(key) == made)
        try scene.remove(key)

        let seen = try await scene.asset(["verify"])
        #expect(seen["exit_status"]?.int == 1)
        #expect(seen["files"]?.array?.first?["finding"] == "missing")
        let repair = seen["files"]?.array?.first?["repair"]?.text ?? ""
        #expect(repair == "holdfast asset refetch --job job-1 --ordinal 0")

        let words = repair.split(separator: " ").dropFirst().map(String.init)
        let finished = try await scene.run("holdfast", words)
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stderr == "")
        #expect(
            finished.stdout.contains("its object was missing; stored as \(key), the same 50000"),
            "\(finished.stdout)")
        #expect(try scene.object(key) == made)
        #expect(try scene.key() == key)
        #expect(try scene.books() == books)
        #expect(try await scene.asset(["verify"])["exit_status"]?.int == 0)
        let deeds = try scene.deeds()
        #expect(deeds.count == 2 && deeds.allSatisfy { $0.hasPrefix("person:") }, "\(deeds)")
        #expect(deeds.last?.hasSuffix("the same bytes as before") == true)
        try scene.checkClean([key])

        // Once more: nothing to do, nothing done.
        let again = try await scene.run("holdfast", ["asset"] + Self.refetch)
        #expect(again.status == 1)
        #expect(again.stderr.contains("nothing was changed"), "\(again.stderr)")
        #expect(try scene.deeds() == deeds)
        let story = try await scene.run("holdfast", ["job", "show", "job-1"])
        #expect(story.stdout.contains("refetch: file 0 is fetched again"), "\(story.stdout)")
    }

    @Test(arguments: StoreKind.all)
    func `an object that differs is never overwritten`(_ store: StoreKind) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, key, made) = (try scene.books(), try scene.key(), try scene.made())
        for (number, text) in ["somebody else's", "and another's"].enumerated() {
            let was = try scene.key()
            try scene.replace(was, text)
            let foreign = try scene.object(was)
            let seen = try await scene.asset(["verify"])["files"]?.array?.first
            #expect(seen?["finding"] == "differs")
            #expect(seen?["expected"]?["sha256"]?.text.map { "50000 \($0)" } == made)
            #expect(seen?["found"]?["bytes"]?.int == Int64(text.utf8.count))

            let done = try await scene.asset(Self.refetch)
            #expect(done["exit_status"]?.int == 0, "\(JSON.write(done))")
            let name = "account-job-1/video/job-1_0-\(number + 1).mp4"
            #expect(done["files"]?.array?.first?["object_key"]?.text == name)
            #expect(try scene.key() == name)
            #expect(try scene.object(name) == made)
            #expect(try scene.object(was) == foreign)
            #expect(
                try line(scene).texts("asset_urls").first?.hasSuffix("job-1_0-\(number + 1).mp4")
                    == true)
        }
        #expect(try scene.books() == books)
        #expect(try await scene.asset(["verify"])["exit_status"]?.int == 0)
        try scene.checkClean([
            key, "account-job-1/video/job-1_0-1.mp4", "account-job-1/video/job-1_0-2.mp4",
        ])
    }

    private func line(_ scene: AssetScene) throws -> Row { try scene.line.status("job-1") }

    @Test(arguments: StoreKind.all, [false, true])
    func `when the source has it no more everything stays as it was`(
        _ store: StoreKind, _ wasLost: Bool
    ) async throws {
        let scene = try AssetScene(store)
        if wasLost {
            try scene.line.open(
                "job-1", taskID: "task-job-1",
                task: .init([
                    .init(key: "file_fault", value: "gone"),
                    .init(key: "refreshable", value: true),
                ]))
            try await scene.line.minute(offset: "+6m", scene.changes)
            #expect(try scene.line.outcome("job-1") == "failed/voided/result_lost")
        } else {
            try await scene.deliver()
            try scene.remove(try scene.key())
            try scene.line.change("task-job-1", ["file_fault": "gone"])
        }
        let (books, row) = (try scene.books(), try scene.row())
        let finished = try await scene.run("holdfast", ["asset"] + Self.refetch)
        #expect(finished.status == 1)
        #expect(finished.stdout.contains("HTTP 404"), "\(finished.stdout)")
        #expect(finished.stdout.contains("the source has it no more"), "\(finished.stdout)")
        #expect(try scene.books() == books)
        #expect(try scene.row() == row)
        #expect(try scene.deeds().last?.contains("cannot be fetched again") == true)
        try scene.checkClean([])
    }

    @Test(arguments: StoreKind.all)
    func `an address that has expired is refreshed first`(_ store: StoreKind) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver()
        let (books, key) = (try scene.books(), try scene.key())
        try scene.remove(key)
        try scene.line.change("task-job-1", ["files_expired": true])
        let done = try await scene.asset(Self.refetch)
        #expect(done["exit_status"]?.int == 0, "\(JSON.write(done))")
        #expect(try scene.object(key) == scene.made())
        #expect(try scene.books() == books)
        try scene.checkClean([key])
    }

    @Test(arguments: StoreKind.all)
    func `a lost file that its source has again is stored, and nothing is charged for it`(
        _ store: StoreKind
    ) async throws {
        let scene = try AssetScene(store)
        try scene.line.open(
            "job-1", outputs: 2, taskID: "task-job-1",
            task: .init([.init(key: "file_fault", value: "gone")]))
        try await scene.line.minute(offset: "+6m", scene.changes)
        #expect(try scene.line.outcome("job-1") == "failed/voided/result_lost")
        let books = try scene.books()
        try scene.line.change("task-job-1", ["file_fault": "none"])
        let one = try await scene.asset(Self.refetch + ["--ordinal", "1"])
        #expect(one["exit_status"]?.int == 0, "\(JSON.write(one))")
        #expect(one["files"]?.array?.count == 1)
        #expect(try line(scene).texts("asset_urls").count == 1)
        let all = try await scene.asset(Self.refetch)
        #expect(all["files"]?.array?.map { $0["outcome"]?.text } == ["stored", "fine"])
        #expect(try line(scene).texts("asset_urls").count == 2)
        for ordinal in 0...1 {
            #expect(try scene.object(scene.key("job-1", ordinal)) == scene.made("job-1", ordinal))
        }
        #expect(try scene.books() == books)
        try scene.checkClean([try scene.key("job-1", 0), try scene.key("job-1", 1)])
    }

    /// The money is not settled yet, so the ordinary rules hold.
    @Test(arguments: StoreKind.all)
    func `a job that is not settled goes on with the file that is there again`(
        _ store: StoreKind
    ) async throws {
        let scene = try AssetScene(store)
        try scene.line.open("job-1", outputs: 2, taskID: "task-job-1")
        _ = try await scene.run("stuck-sweeper", offset: "+6m")
        _ = try await scene.run("storage-mirrorer", ["--limit", "1"], offset: "+6m")
        let stored = Int(
            try scene.line.value("SELECT ordinal FROM holdfast.asset WHERE state = 'stored'"))
        let ordinal = try #require(stored)
        let key = try scene.key("job-1", ordinal)
        try scene.remove(key)
        let done = try await scene.asset(Self.refetch + ["--ordinal", "\(ordinal)"])
        #expect(done["exit_status"]?.int == 0, "\(JSON.write(done))")
        #expect(try scene.object(key) == scene.made("job-1", ordinal))
        // The other file was named by nobody, and came along with its job.
        #expect(try scene.line.outcome("job-1") == "delivered/captured")
        #expect(try scene.line.transfers("job-1") == ["hold 100", "capture 100"])
        try scene.checkClean([try scene.key("job-1", 0), try scene.key("job-1", 1)])
    }

    // MARK: Refusals

    @Test func `it refuses what cannot be done, and says why`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        try scene.line.open("waits", taskID: nil)
        try scene.line.open("blocked", taskID: "task-blocked")
        _ = try await scene.run("stuck-sweeper", ["--job", "blocked"])
        try scene.line.sql(
            """
            UPDATE holdfast.asset SET state = 'lost' WHERE job_id = 'blocked'
            """)
        try scene.line.sql(
            """
            UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'look'
            WHERE job_id = 'blocked'
            """)
        let (books, row) = (try scene.books(), try scene.row())
        func check(
            _ arguments: [String], _ status: Int32, _ words: String,
            _ more: [String: String?] = [:], _ place: SourceLocation = #_sourceLocation
        ) async throws {
            let finished = try await scene.run("holdfast", ["asset", "refetch"] + arguments, more)
            let said = finished.stdout + finished.stderr
            #expect(finished.status == status, "\(said)", sourceLocation: place)
            #expect(said.contains(words), "\(said)", sourceLocation: place)
        }
        try await check(["--job", "nobody's"], 66, "nobody's")
        try await check(["--job", "job-1", "--ordinal", "7"], 66, "has no file 7")
        try await check(["--job", "job-1", "--ordinal", "-1"], 64, "--ordinal")
        try await check(["--job", "job-1"], 1, "nothing was changed")
        try await check(["--job", "waits"], 1, "has no files: it is created")
        try await check(["--job", "blocked"], 1, "its job is blocked")
        try await check([], 64, "--job")
        try scene.remove(try scene.key())
        try await check(
            ["--job", "job-1"], 1, "HOLDFAST_KIE_API_KEY", ["HOLDFAST_KIE_API_KEY": nil])
        try await check(
            ["--job", "job-1"], 78, "HOLDFAST_STORAGE_URL", ["HOLDFAST_STORAGE_URL": nil])
        #expect(try scene.books() == books)
        #expect(try scene.row() == row)
        #expect(try scene.deeds() == [])
        #expect(try scene.deeds("blocked") == [])
    }

    @Test func `a source that is down for a while is work left for later`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        let (books, row, key) = (try scene.books(), try scene.row(), try scene.key())
        try scene.remove(key)
        try scene.line.change("task-job-1", ["file_fault": "server_error"])
        let finished = try await scene.run("holdfast", ["asset"] + Self.refetch)
        #expect(finished.status == 69)
        #expect(finished.stdout.contains("HTTP 500"), "\(finished.stdout)")
        #expect(try scene.books() == books)
        #expect(try scene.row() == row)
        // Cron does not take up what a person began.
        _ = try await scene.run("storage-mirrorer", offset: "+1h")
        #expect(try scene.object(key) == "nothing")
        try scene.line.change("task-job-1", ["file_fault": "none"])
        #expect(try await scene.asset(Self.refetch)["exit_status"]?.int == 0)
        #expect(try scene.object(key) == scene.made())
        try scene.checkClean([key])
    }

    /// The login of the executables may do it, and the one that may only read may look.
    @Test func `the roles of the database cover it`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        try scene.remove(try scene.key())
        let jobs = ["HOLDFAST_DATABASE_URL": try scene.line.database.url(role: "holdfast_jobs")]
        let report = ["HOLDFAST_DATABASE_URL": try scene.line.database.url(role: "holdfast_report")]
        for role in [jobs, report] {
            #expect(try await scene.run("holdfast", ["asset", "list"], role).status == 0)
            #expect(try await scene.run("holdfast", ["asset", "verify"], role).status == 1)
        }
        #expect(try await scene.run("holdfast", ["asset"] + Self.refetch, jobs).status == 0)
        #expect(try scene.object(scene.key()) == scene.made())
    }
}
