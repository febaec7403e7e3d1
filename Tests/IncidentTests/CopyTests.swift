import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A copy of a database, beside the running original and with the original's settings.
@Suite struct CopiedDatabases {
    /// How the copy was made.
    enum Way: String, CaseIterable, CustomTestStringConvertible {
        case dump, template
        var testDescription: String { rawValue }
    }

    static let commands = [
        "stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler",
    ]

    @Test(arguments: Way.allCases)
    func `a copy asks, calls and writes nobody until it is said to be another`(
        _ way: Way
    ) async throws {
        let line = try RescueLine()
        try await CopyScene.fill(line)
        let copy = try await CopyScene.copy(line, way)
        let before = try CopyScene.traces(line)
        let books = try CopyScene.rows(copy)
        for command in Self.commands {
            for arguments in [[], ["--dry-run"]] {
                let run = try await line.run(
                    command, arguments, offset: "+30m", ["HOLDFAST_DATABASE_URL": copy.url])
                #expect(run.status == 78, "\(command) \(arguments): \(run.stderr)")
                #expect(run.stderr.contains(line.database.name), "\(run.stderr)")
                #expect(run.stderr.contains(copy.name))
                #expect(run.stderr.contains("holdfast installation moved"))
                #expect(run.stderr.contains("holdfast installation copy NAME"))
            }
        }
        for arguments in [
            ["job", "sync", "stuck"], ["job", "requeue", "stuck"],
            ["policy", "set", "stuck_after", "5m"],
        ] {
            let run = try await line.run(
                "holdfast", arguments, ["HOLDFAST_DATABASE_URL": copy.url])
            #expect(run.status == 78, "\(arguments): \(run.stderr)")
        }
        #expect(try CopyScene.traces(line) == before)
        #expect(try CopyScene.rows(copy) == books)
        let status = try await line.run("holdfast", ["status"], ["HOLDFAST_DATABASE_URL": copy.url])
        #expect(status.status == 0)
        #expect(status.stdout.hasPrefix("stopped: "), "\(status.stdout)")
        let doctor = try await line.run("holdfast", ["doctor"], ["HOLDFAST_DATABASE_URL": copy.url])
        #expect(doctor.status == 78)

        // The original works on meanwhile.
        #expect(try await line.run("stuck-sweeper", offset: "+30m").status == 0)
        let asked = try CopyScene.traces(line)

        let said = try await line.run(
            "holdfast", ["installation", "copy", "staging"], ["HOLDFAST_DATABASE_URL": copy.url])
        #expect(said.status == 0, "\(said.stderr)")
        let open = try copy.connect().query(
            """
            SELECT job_id, blocked, blocked_reason FROM holdfast.job
            WHERE state NOT IN ('delivered', 'failed') ORDER BY job_id
            """)
        #expect(try open.map { try $0.text("blocked") } == ["person", "person", "person"])
        #expect(
            try open.allSatisfy {
                try $0.text("blocked_reason").contains(
                    "a copy of installation \(line.database.name)")
            })
        // Its store is still the original's.
        try copy.connect().execute(
            "UPDATE holdfast.job SET blocked = NULL, blocked_reason = NULL WHERE job_id = 'ready'")
        let refused = try await line.run(
            "storage-mirrorer", offset: "+30m", ["HOLDFAST_DATABASE_URL": copy.url])
        #expect(refused.status == 78)
        #expect(refused.stderr.contains(line.database.name), "\(refused.stderr)")
        #expect(refused.stderr.contains("installation staging"))
        #expect(refused.stderr.contains("HOLDFAST_STORAGE_URL to another prefix"))
        #expect(try CopyScene.traces(line) == asked)
        let own = NSTemporaryDirectory() + "holdfast-own-" + RunID.make()
        defer { try? FileManager.default.removeItem(atPath: own) }
        let mirrored = try await line.run(
            "storage-mirrorer", offset: "+30m",
            ["HOLDFAST_DATABASE_URL": copy.url, "HOLDFAST_STORAGE_URL": "file://" + own])
        #expect(mirrored.status == 0, "\(mirrored.stderr)")
        #expect(FileManager.default.fileExists(atPath: own + "/.holdfast/installation"))
        #expect(try line.violations() == [])
    }

    @Test func `moved ends it for the original in a new place, and stops the one it left`()
        async throws
    {
        let line = try RescueLine()
        try await CopyScene.fill(line)
        let copy = try await CopyScene.copy(line, .template)
        let there = ["HOLDFAST_DATABASE_URL": copy.url]
        let dry = try await line.run("holdfast", ["installation", "moved", "--dry-run"], there)
        #expect(dry.status == 0)
        #expect(try await line.run("stuck-sweeper", offset: "+30m", there).status == 78)
        let said = try await line.run(
            "holdfast", ["installation", "moved", "--reason", "new server"], there)
        #expect(said.status == 0, "\(said.stderr)")
        let mirrored = try await line.run("storage-mirrorer", offset: "+30m", there)
        #expect(mirrored.status == 0, "\(mirrored.stderr)")
        #expect(
            try copy.connect().query("SELECT state FROM holdfast.job WHERE job_id = 'ready'")
                .single().text("state") == "delivered")
        // Who works on all the same at the old place is told of the new one.
        let old = try await line.run("stuck-sweeper", offset: "+30m")
        #expect(old.status == 78)
        #expect(old.stderr.contains(copy.name) && old.stderr.contains(line.database.name))
        #expect(old.stderr.contains("holdfast installation moved"))
        let audit = try copy.connect().query(
            "SELECT actor, detail FROM holdfast.installation_event WHERE act = 'moved'"
        ).single()
        #expect(try audit.text("actor").hasPrefix("person:"))
        #expect(try audit.text("detail") == "new server")
    }

    @Test func `settings that name another installation are refused, and so is a copy's old name`()
        async throws
    {
        let line = try RescueLine()
        let first = try await line.run("stuck-sweeper", [], ["HOLDFAST_INSTALLATION": "production"])
        #expect(first.status == 0, "\(first.stderr)")
        let named = try await line.run("stuck-sweeper", [], ["HOLDFAST_INSTALLATION": "staging"])
        #expect(named.status == 78)
        #expect(named.stderr.contains("staging") && named.stderr.contains("production"))
        #expect(named.stderr.contains("holdfast installation moved"))
        #expect(named.stderr.contains("holdfast installation copy staging"))
        #expect(try await line.run("stuck-sweeper").status == 0)
        let same = try await line.run("holdfast", ["installation", "copy", "production"])
        #expect(same.status == 78)
        let moved = try await line.run(
            "holdfast", ["installation", "moved"], ["HOLDFAST_INSTALLATION": "staging"])
        #expect(moved.status == 0)
        #expect(
            try await line.run("stuck-sweeper", [], ["HOLDFAST_INSTALLATION": "staging"]).status
                == 0)
    }

    @Test func `a copy calls no trigger until retriggering is set anew`() async throws {
        let line = try RescueLine()
        try line.open("before", taskID: nil)
        #expect(
            try await line.run("holdfast", ["installation", "copy", "staging"]).status == 0)
        try line.open("after", taskID: nil)
        #expect(try await line.run("stuck-sweeper", offset: "+3m").status == 0)
        #expect(try CopyScene.triggers(line) == 0)
        #expect(try line.outcome("before") == "created/held/blocked=person")
        #expect(try line.outcome("after") == "created/held")
        let allowed = try await line.run("holdfast", ["installation", "allow", "retrigger"])
        #expect(allowed.status == 0, "\(allowed.stderr)")
        try line.sql("UPDATE holdfast.job SET next_poll_at = now() WHERE job_id = 'after'")
        #expect(try await line.run("stuck-sweeper", offset: "+3m").status == 0)
        #expect(try CopyScene.triggers(line) == 1)
    }

    /// What may be where our marker was.
    static let markers: [(String, String?, String)] = [
        ("gone", nil, "has lost its"), ("empty", "", "has nothing in its"),
        ("garbage", "{]", "2 bytes that no installation wrote"),
        ("huge", String(repeating: "x", count: 100_000), "more than 4096 bytes"),
        (
            "another's",
            #"{"holdfast":"installation","installation_id":"1-2","name":"other","database":{"name":"app","oid":"7","system_identifier":null}}"#,
            "belongs to installation other (1-2), database app (oid 7)"
        ),
    ]

    @Test(arguments: markers, ["store", "state"])
    func `a marker that is not ours stops the run, names both sides, and loses nothing`(
        _ marker: (String, String?, String), _ place: String
    ) async throws {
        let line = try RescueLine()
        let state = NSTemporaryDirectory() + "holdfast-state-" + RunID.make()
        defer { try? FileManager.default.removeItem(atPath: state) }
        let settings = ["HOLDFAST_STATE_DIR": state]
        try await CopyScene.fill(line, settings)
        let file = (place == "store" ? line.assets : state) + "/.holdfast/installation"
        #expect(FileManager.default.fileExists(atPath: file))
        if let text = marker.1 {
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        } else {
            try FileManager.default.removeItem(atPath: file)
        }
        let before = try CopyScene.traces(line)
        // The recoverer has nothing to do here, and an idle minute looks at no marker.
        for command in Self.commands where command != "orphan-recoverer" {
            let run = try await line.run(command, offset: "+30m", settings)
            #expect(run.status == 78, "\(command): \(run.stderr)")
            #expect(run.stderr.contains(marker.2), "\(run.stderr)")
            #expect(run.stderr.contains("installation \(line.database.name)"))
            #expect(run.stderr.contains("holdfast installation moved"))
            #expect(run.stderr.contains("holdfast installation copy NAME"))
        }
        #expect(try CopyScene.traces(line) == before)
        #expect(try line.outcome("ready") == "succeeded/held")
        let moved = try await line.run("holdfast", ["installation", "moved"], settings)
        guard marker.0 != "another's" else { return #expect(moved.status == 78) }
        #expect(moved.status == 0, "\(moved.stderr)")
        let run = try await line.run("storage-mirrorer", offset: "+30m", settings)
        #expect(run.status == 0, "\(run.stderr)")
        #expect(try line.outcome("ready") == "delivered/captured")
    }

    @Test func `a store that is away stops only what needs it`() async throws {
        let peer = try S3Peer(.stub(.aws))
        let line = try RescueLine(bucket: peer)
        try await CopyScene.fill(line)
        #expect(try peer.object("made/here/.holdfast/installation") != nil)
        try peer.fault("status", ["status": 503, "times": -1])
        let swept = try await line.run("stuck-sweeper", offset: "+30m")
        // Whether commits were lost cannot be told meanwhile, which is said; the rest goes on.
        #expect(swept.status == 69 && swept.stderr.contains("lost commits"), "\(swept.stderr)")
        #expect(try line.outcome("stuck") == "succeeded/held")
        let mirrored = try await line.run("storage-mirrorer", offset: "+30m")
        #expect(mirrored.status == 69, "\(mirrored.stderr)")
    }
}

/// Jobs in each state that a run acts upon, and what can be seen of acting.
enum CopyScene {
    /// A job that was delivered, so that the store is met, and three that a run would act upon.
    static func fill(_ line: RescueLine, _ settings: [String: String?] = [:]) async throws {
        try line.open("done", taskID: "task-done")
        for _ in 1...2 { try await line.minute(offset: "+6m", settings) }
        #expect(try line.outcome("done") == "delivered/captured")
        try line.open("stuck", taskID: "task-stuck")
        try line.open("unsent", taskID: nil)
        try line.open("ready", taskID: "task-ready")
        #expect(
            try await line.run(
                "stuck-sweeper", ["--job", "ready"], offset: "+6m", settings
            ).status == 0)
        #expect(try line.outcome("ready") == "succeeded/held")
    }

    static func copy(_ line: RescueLine, _ way: CopiedDatabases.Way) async throws
        -> ScratchDatabase
    {
        switch way {
        case .template: try ScratchDatabase(copying: line.database)
        case .dump: try ScratchDatabase(restoring: line.database)
        }
    }

    /// How often the application was called.
    static func triggers(_ line: RescueLine) throws -> Int {
        let triggers = try line.simulator.get("/control/counts")["triggers"]?.object?.members ?? []
        return triggers.reduce(0) { $0 + Int($1.value["count"]?.int ?? 0) }
    }

    /// Everything that others have seen of us: all that the simulator counts, and all files.
    static func traces(_ line: RescueLine) throws -> String {
        let files = FileManager.default.enumerator(atPath: line.assets)?.allObjects ?? []
        return JSON.write(try line.simulator.get("/control/counts"))
            + files.compactMap { $0 as? String }.sorted().joined(separator: " ")
    }

    /// What a run would change.
    static func rows(_ database: ScratchDatabase) throws -> String {
        try database.connect().query(
            """
            SELECT concat_ws(' ', (SELECT string_agg(j::text, ' ' ORDER BY job_id)
                    FROM holdfast.job j),
                (SELECT count(*) FROM holdfast.run), (SELECT count(*) FROM holdfast.transfer),
                (SELECT count(*) FROM holdfast.policy), (SELECT max(set_at) FROM holdfast.policy))
                AS rows
            """
        ).single().text("rows")
    }
}
