import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// `holdfast asset list`: which files there are, where, and how long their sources last.
@Suite(.serialized) struct AssetListTests {
    private func names(_ object: JSONValue) -> [String] {
        (object["assets"]?.array ?? []).map {
            "\($0["job_id"]?.text ?? "?")/\($0["ordinal"]?.int ?? -1) \($0["state"]?.text ?? "?")"
        }
    }

    /// Two stored ones, one lost, three pending of which one expires soon and one never.
    private func scene(_ store: StoreKind = .folder, publicBaseURL: String? = nil) async throws
        -> AssetScene
    {
        let scene = try AssetScene(store, publicBaseURL: publicBaseURL)
        try await scene.deliver("old")
        try await scene.deliver("new")
        try scene.line.open(
            "gone", account: "other", taskID: "task-gone",
            task: .init([.init(key: "file_fault", value: "gone")]))
        try await scene.line.minute(offset: "+6m", scene.changes)
        for id in ["soon", "later", "never"] {
            try scene.line.open(id, account: "other", taskID: "task-\(id)")
        }
        _ = try await scene.run("stuck-sweeper", offset: "+6m")
        try scene.line.sql(
            """
            UPDATE holdfast.asset SET source_expires_at = CASE job_id
                WHEN 'soon' THEN clock_timestamp() + interval '1 hour'
                WHEN 'later' THEN clock_timestamp() + interval '9 hours' END,
                expires_by = clock_timestamp() + CASE job_id WHEN 'soon' THEN interval '1 hour'
                    WHEN 'later' THEN interval '9 hours' ELSE interval '1 day' END,
                attempts = 2, error_message = 'the source answered HTTP 500'
            WHERE state = 'pending'
            """)
        return scene
    }

    @Test func `the nearest expiry comes first, then what was stored last`() async throws {
        let scene = try await scene()
        #expect(
            names(try await scene.asset(["list"])) == [
                "soon/0 pending", "later/0 pending", "never/0 pending", "gone/0 lost",
                "new/0 stored", "old/0 stored",
            ])
        #expect(
            names(try await scene.asset(["list", "--state", "stored"]))
                == ["new/0 stored", "old/0 stored"])
        #expect(names(try await scene.asset(["list", "--state", "lost"])) == ["gone/0 lost"])
        #expect(
            names(try await scene.asset(["list", "--expiring", "2h"])) == ["soon/0 pending"])
        #expect(
            names(try await scene.asset(["list", "--expiring", "10h"]))
                == ["soon/0 pending", "later/0 pending"])
        #expect(
            names(try await scene.asset(["list", "--account", "account-old"])) == ["old/0 stored"])
        #expect(
            names(try await scene.asset(["list", "--job", "old", "--job", "soon"]))
                == ["soon/0 pending", "old/0 stored"])
        let cut = try await scene.asset(["list", "--limit", "4"])
        #expect(names(cut).count == 4 && cut["has_more"] == true)
        #expect(names(try await scene.asset(["list", "--limit", "6"])).count == 6)
        #expect(try await scene.asset(["list", "--limit", "6"])["has_more"] == false)
    }

    @Test func `a line says what there is to know, and no secret`() async throws {
        let scene = try await scene()
        let text = try await scene.run("holdfast", ["asset", "list"])
        #expect(text.status == 0, "\(text.stderr)")
        for pattern in [
            "soon +0 +pending .* 127\\.0\\.0\\.1:[0-9]+ +in 59m [0-9]+s +2 +the source answered",
            "gone +0 +lost ",
            "new +0 +stored +video/mp4 +48\\.8 KiB +account-new/video/new_0\\.mp4",
        ] {
            #expect(try text.stdout.contains(Regex(pattern)), "\(pattern) in \(text.stdout)")
        }
        let json = try await scene.run("holdfast", ["asset", "list", "--output", "json"])
        for said in [text.stdout, json.stdout] {
            #expect(!said.contains("?") && !said.contains("/files/"), "\(said)")
        }
        let soon = try JSON.parse(json.stdoutBytes)["assets"]?.array?.first
        #expect(soon?["attempts"]?.int == 2)
        #expect(soon?["source_host"]?.text == "127.0.0.1:\(scene.line.simulator.port)")
        let left = Double(soon?["expires_in_seconds"]?.text ?? "") ?? 0
        #expect(left > 3500 && left <= 3600, "\(left)")
    }

    @Test func `what is not there or makes no sense is refused`() async throws {
        let scene = try AssetScene(.folder)
        #expect(try await scene.run("holdfast", ["asset", "list"]).stdout.contains("no file"))
        let missing = try await scene.run("holdfast", ["asset", "list", "--job", "nobody's"])
        #expect(missing.status == 66)
        #expect(missing.stderr.contains("nobody's"), "\(missing.stderr)")
        for arguments in [
            ["--limit", "0"], ["--state", "odd"], ["--expiring", "2"], ["--sign", "8d"],
            ["--sign", "7d1s"], ["--sign", "0s"],
        ] {
            let finished = try await scene.run("holdfast", ["asset", "list"] + arguments)
            #expect(finished.status == 64, "\(arguments): \(finished.stderr)")
        }
    }

    @Test(arguments: [S3Peer.Kind.stub(.aws), .rclone])
    func `a signed link shows a private object, and only for its time`(
        _ kind: S3Peer.Kind
    ) async throws {
        let scene = try await scene(.s3(kind))
        let files = try await scene.asset(["list", "--sign", "10m"])["assets"]?.array ?? []
        #expect(files.count == 6)
        for file in files {
            let link = file["link"]?.text
            guard file["state"] == "stored" else {
                #expect(link == nil)
                continue
            }
            let url = try #require(link.flatMap { URL(string: $0) })
            #expect(url.query?.contains("X-Amz-Expires=600") == true)
            let port = try #require(url.port)
            let query = url.query(percentEncoded: true) ?? ""
            let path = url.path(percentEncoded: true) + "?" + query
            let answer = try Loopback.request("GET", port: port, path: path)
            #expect(answer.status == 200)
            #expect(Int64(answer.body.count) == file["bytes"]?.int)
            #expect(try scene.line.sha256(answer.body) == file["sha256"]?.text)
            let bare = try Loopback.request(
                "GET", port: port, path: url.path(percentEncoded: true))
            #expect([400, 403].contains(bare.status))
        }
        let text = try await scene.run("holdfast", ["asset", "list", "--sign", "7d"])
        #expect(text.stdout.contains("X-Amz-Expires=604800"), "\(text.stdout)")
    }

    @Test(arguments: StoreKind.all)
    func `with a public address there is nothing to sign`(_ store: StoreKind) async throws {
        let scene = try await scene(store, publicBaseURL: "https://cdn.example.com")
        let files = try await scene.asset(["list", "--sign", "1h", "--state", "stored"])
        let links = files["assets"]?.array?.map { $0["link"]?.text ?? "-" } ?? []
        #expect(links.count == 2)
        #expect(links.allSatisfy { $0.hasPrefix("https://cdn.example.com/") && !$0.contains("?") })
    }
}
