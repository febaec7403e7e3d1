import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// `holdfast asset verify`: whether the store still has what the database promises.
@Suite(.serialized) struct AssetVerifyTests {
    @Test(arguments: StoreKind.all)
    func `it finds what is missing and what differs, and writes nothing`(
        _ store: StoreKind
    ) async throws {
        let scene = try AssetScene(store)
        try await scene.deliver(outputs: 4)
        let keys = try (0...3).map { try scene.key("job-1", $0) }
        try scene.remove(keys[1])
        try scene.replace(keys[2], "somebody else's")
        let rows = try (0...3).map { try scene.row("job-1", $0) }
        let (books, files) = (try scene.books(), try scene.everything())

        let finished = try await scene.run("holdfast", ["asset", "verify"])
        #expect(finished.status == 1)
        #expect(finished.stderr == "")
        for words in [
            "missing  \(keys[1])", "differs  \(keys[2])", "found    15 bytes, sha256 ",
            "holdfast asset refetch --job job-1 --ordinal 1",
            "holdfast asset refetch --job job-1 --ordinal 2",
            "verified 4 of 4 stored files", "1 differs, 1 missing, 2 ok",
        ] {
            #expect(finished.stdout.contains(words), "\(words) in \(finished.stdout)")
        }
        #expect(!finished.stdout.contains("ok  "))
        let loud = try await scene.run("holdfast", ["asset", "verify", "--verbose"])
        #expect(loud.stdout.contains("ok  \(keys[0])"), "\(loud.stdout)")

        let object = try await scene.asset(["verify", "--all"])
        #expect(
            object["findings"] == ["ok": 2, "missing": 1, "differs": 1, "unreadable": 0])
        #expect(object["verified"]?.int == 4 && object["stored"]?.int == 4)
        #expect(object["bytes_read"]?.int == 100_015)
        let bad = object["files"]?.array ?? []
        #expect(Set(bad.map { $0["finding"]?.text }) == ["missing", "differs"])
        #expect(bad.allSatisfy { $0["expected"]?["bytes"]?.int == 50_000 })

        #expect(try (0...3).map { try scene.row("job-1", $0) } == rows)
        #expect(try scene.books() == books)
        #expect(try scene.everything() == files)
        if let peer = scene.peer, peer.kind != .rclone {
            // Since the delivery nothing was asked of the store but to be read.
            let methods = try peer.log().suffix(12).map { $0["method"]?.text }
            #expect(Set(methods) == ["GET"])
        }
    }

    @Test func `a sample is chosen by chance, and all of them come in pages`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        // 1200 files that are nowhere, some of them stored in the same instant.
        try scene.line.sql(
            """
            INSERT INTO holdfast.asset (job_id, ordinal, provider, state, source_url, object_key,
                sha256, bytes, public_url, next_attempt_at, created_at, stored_at, expires_by)
            SELECT 'job-1', n, 'kie', 'stored', 'https://example.com/', 'a/video/job-1_' || n
                || '.mp4', repeat('0', 64), 1, 'https://example.com/', clock_timestamp(),
                clock_timestamp(), now() - (n / 700) * interval '1 day', now()
            FROM generate_series(1, 1200) n
            """)
        let sample = try await scene.run("holdfast", ["asset", "verify"])
        #expect(sample.stdout.contains("verified 100 of 1201 stored files"), "\(sample.stdout)")
        func chosen(_ arguments: [String]) async throws -> Set<Int64> {
            let files = try await scene.asset(["verify"] + arguments)["files"]?.array ?? []
            return Set(files.compactMap { $0["ordinal"]?.int })
        }
        let (one, other) = (
            try await chosen(["--sample", "30"]), try await chosen(["--sample", "30"])
        )
        #expect(one.count >= 29 && one != other)
        let all = try await scene.asset(["verify", "--all"])
        #expect(all["verified"]?.int == 1201)
        #expect(all["findings"]?["ok"]?.int == 1 && all["findings"]?["missing"]?.int == 1200)
        #expect(all["files"]?.array?.count == 1000 && all["has_more"] == true)
        let text = try await scene.run("holdfast", ["asset", "verify", "--all"])
        #expect(text.stdout.split(separator: "\n").count { $0.hasPrefix("missing  ") } == 1200)
        let recent = try await scene.asset(["verify", "--all", "--since", "12h"])
        #expect(recent["verified"]?.int == 700 && recent["stored"]?.int == 700)
        // A named job is verified whole.
        #expect(try await scene.asset(["verify", "--job", "job-1"])["verified"]?.int == 1201)
    }

    @Test func `nothing stored is nothing wrong`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        let fresh = try AssetScene(.folder)
        for arguments in [[], ["--all"], ["--sample", "5"]] {
            let object = try await fresh.asset(["verify"] + arguments)
            #expect(object["exit_status"]?.int == 0)
            #expect(object["verified"]?.int == 0)
        }
        for (arguments, status) in [
            (["--job", "nobody's"], 66), (["--all", "--sample", "3"], 64), (["--sample", "0"], 64),
            (["--since", "yesterday"], 64),
        ] {
            let finished = try await scene.run("holdfast", ["asset", "verify"] + arguments)
            #expect(finished.status == Int32(status), "\(arguments): \(finished.stderr)")
        }
    }

    /// An object is not missing because the store cannot be asked.
    @Test func `a store that is not there is no finding`() async throws {
        let scene = try AssetScene(.s3(.stub(.aws)))
        try await scene.deliver(outputs: 3)
        let peer = try #require(scene.peer)
        func check(
            _ status: Int64, _ words: String, _ more: [String: String?] = [:],
            _ place: SourceLocation = #_sourceLocation
        ) async throws {
            let object = try await scene.asset(["verify"], more)
            #expect(object["exit_status"]?.int == status, sourceLocation: place)
            let said = object["errors"]?.array?.first?["message"]?.text ?? ""
            #expect(said.contains(words), "\(said)", sourceLocation: place)
            #expect(object["findings"]?["missing"]?.int ?? 0 == 0, sourceLocation: place)
        }
        let nobody = try #require(scene.changes["HOLDFAST_STORAGE_URL"] ?? nil)
            .replacingOccurrences(of: ":\(peer.port)", with: ":9")
        try await check(69, "cannot read", ["HOLDFAST_STORAGE_URL": nobody])
        try await check(78, "SECRET", ["HOLDFAST_S3_SECRET_ACCESS_KEY": "another"])
        try await check(78, "HOLDFAST_STORAGE_URL", ["HOLDFAST_STORAGE_URL": nil])
        try await check(
            78, "volume mounted", ["HOLDFAST_STORAGE_URL": "file:///nonexistent/holdfast"])
        // A failure that passes is waited for.
        try peer.fault("status", ["operation": "GetObject", "times": 2])
        #expect(try await scene.asset(["verify"])["exit_status"]?.int == 0)
        try peer.deleteBucket()
        try await check(78, "create the bucket")
    }

    /// A command of a runbook that is refused costs somebody time at three in the morning.
    @Test func `the commands of the runbook do what it says`() async throws {
        let scene = try AssetScene(.folder)
        try await scene.deliver()
        try scene.remove(try scene.key())
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../runbooks/files-about-to-expire.md")
        let commands = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { $0.hasPrefix("holdfast asset ") }
        #expect(commands.count == 6)
        for command in commands {
            let finished = try await scene.run(
                "/bin/sh", ["-c", "job=job-1; file=0; \(command)"],
                ["PATH": Executable.folder + ":/usr/bin:/bin"])
            // The object is missing until it is fetched.
            let isRepaired = try scene.object(scene.key()) != "nothing"
            let finds = command.contains(" verify ") && !isRepaired
            #expect(finished.status == (finds ? 1 : 0), "\(command): \(finished.stderr)")
        }
        #expect(try scene.object(scene.key()) == scene.made())
    }
}
