import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// KIE: finished, paid for, not in the library: what the customer gets is the file.
@Suite(.serialized) struct Incident3Files {
    /// Around the sizes at which the mirrorer does something else: the first bytes that tell the
    /// type, one block, more than one.
    @Test(arguments: [
        ("mp4", 64), ("mp4", 511), ("png", 512), ("jpg", 513), ("mp3", 16_384), ("mp4", 65_536),
        ("png", 65_537), ("mp4", 3_000_000),
    ])
    func `I-3c every stored file is byte for byte the provider's`(
        _ kind: String, _ bytes: Int
    ) async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", outputs: 3, taskID: "task-1",
            task: .init([
                .init(key: "file_kind", value: .string(kind)),
                .init(key: "file_bytes", value: .integer(bytes)),
            ]))
        try await line.minute(offset: "+6m")
        try line.checkDelivered("job-1", task: "task-1")
        // The name tells what the bytes are, whatever the job was sold as.
        #expect(
            line.storedFiles() == (0..<3).map { "account-job-1/video/job-1_\($0).\(kind)" })
        #expect(try line.violations() == [])
    }

    @Test func `I-3c the provider's URL is never the customer's`() async throws {
        let line = try RescueLine()
        try line.open("job-1", outputs: 2, taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        // Finished at the provider, and the customer has nothing yet and has paid nothing.
        try line.checkUndecided("job-1", "succeeded/held")
        #expect(try line.status("job-1").texts("result_urls") == [])
        #expect(try line.value("SELECT cardinality(result_urls) FROM holdfast.job") == "2")
        _ = try await line.run("storage-mirrorer", offset: "+6m")
        let urls = try line.status("job-1").texts("asset_urls")
        #expect(urls.count == 2)
        for url in urls {
            #expect(url.hasPrefix("https://cdn.example.com/account-job-1/video/job-1_"))
            #expect(!url.contains("127.0.0.1") && !url.contains("?") && !url.contains("token"))
        }
        try line.checkFiles("job-1", task: "task-1")
    }

    @Test func `I-3c one file of three is no delivery`() async throws {
        let line = try RescueLine()
        try line.open("job-1", outputs: 3, taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let first = try await line.report("storage-mirrorer", ["--limit", "1"], offset: "+6m")
        #expect(first["outcomes"]?["stored"]?.int == 1)
        #expect(first["outcomes"]?["delivered"] == nil)
        #expect(try line.outcome("job-1") == "succeeded/held")
        #expect(try line.transfers("job-1") == ["hold 100"])
        _ = try await line.run("storage-mirrorer", offset: "+6m")
        try line.checkDelivered("job-1", task: "task-1")
    }

    /// Bodies that are not the file: none of them is ever delivered, and none loses the job.
    ///
    /// What is no media for longer than `refused_after` waits for a person.
    @Test(arguments: ["html", "empty", "cut", "hang", "server_error", "redirect_private"])
    func `I-3c a body that is not the whole file is never delivered`(_ fault: String) async throws {
        let line = try RescueLine()
        // A source that hangs is cut off by the limit of one transfer.
        try line.setPolicy("transfer_limit", "1s")
        try line.open(
            "job-1", taskID: "task-1",
            task: .init([
                .init(key: "file_fault", value: .string(fault)),
                .init(key: "file_bytes", value: 100_000),
            ]))
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let isNoMedia = ["html", "empty"].contains(fault)
        for offset in ["+6m", "+30m", "+3h"] {
            let report = try await line.report("storage-mirrorer", offset: offset)
            #expect(report["outcomes"]?["retry_later"]?.int == 1, "\(JSON.write(report))")
            #expect(report["outcomes"]?["lost"] == nil)
            try line.checkUndecided(
                "job-1", "succeeded/held" + (isNoMedia && offset == "+3h" ? "/blocked=person" : ""))
            #expect(line.storedFiles() == [])
        }
        try line.order(taskID: "task-1", .init([.init(key: "file_fault", value: "none")]))
        if isNoMedia { try line.sql("SELECT holdfast.requeue_job('job-1', 'anna')") }
        _ = try await line.run("storage-mirrorer", offset: "+6h")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(line.storedFiles().count == 1)
        #expect(try line.violations() == [])
    }

    /// What says that it is a video and is none.
    @Test(arguments: [
        ("video/mp4", "<!DOCTYPE html><html><body>Sign in to continue</body></html>"),
        ("video/mp4", #"{"code":404,"msg":"file not found"}"#),
        ("video/mp4", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"),
        ("image/png", "error code: 1010"), ("application/octet-stream", "no such file"),
        ("text/html", "\u{feff}<html></html>"), ("video/mp4", ""), ("", "gone"),
    ])
    func `I-3c a page that calls itself a video is not stored`(
        _ type: String, _ page: String
    ) async throws {
        let line = try RescueLine()
        let server = try OddServer(type: type, Array(page.utf8))
        // The application knew an address; the provider has never heard of the task.
        try line.open("job-1", taskID: "task-1", task: nil)
        try line.sql(
            "SELECT holdfast.finish_job('job-1', 'succeeded', \([server.url("/0.mp4")])::text[])")
        for offset in ["+1m", "+1h", "+1d"] {
            let report = try await line.report("storage-mirrorer", offset: offset)
            #expect(report["outcomes"]?["retry_later"]?.int == 1, "\(JSON.write(report))")
            try line.checkUndecided(
                "job-1", "succeeded/held" + (offset == "+1d" ? "/blocked=person" : ""))
            #expect(line.storedFiles() == [])
        }
    }

    /// A video whose source broke off, in an answer with just as many bytes as it said.
    @Test(arguments: [300, 100_000])
    func `I-3c a file that breaks off is not stored until it is whole`(
        _ bytes: Int
    ) async throws {
        let line = try RescueLine()
        let video = Self.video(bytes)
        let server = try OddServer(type: "video/mp4", video.dropLast())
        try line.open("job-1", taskID: "task-1", task: nil)
        try line.sql(
            "SELECT holdfast.finish_job('job-1', 'succeeded', \([server.url("/0.mp4")])::text[])")
        for offset in ["+1m", "+1h"] {
            let report = try await line.report("storage-mirrorer", offset: offset)
            #expect(report["outcomes"]?["retry_later"]?.int == 1, "\(JSON.write(report))")
            try line.checkUndecided("job-1", "succeeded/held")
            #expect(line.storedFiles() == [])
            let reason = try line.value("SELECT error_message FROM holdfast.asset")
            #expect(
                reason.contains("an MP4 that ends within its mdat box, 1 byte early"), "\(reason)")
        }
        server.change(type: "video/mp4", video)
        _ = try await line.run("storage-mirrorer", offset: "+1d")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.storedBytes("account-job-1/video/job-1_0.mp4") == video)
    }

    /// A type, a directory of nothing, and so many bytes of frames.
    static func video(_ bytes: Int) -> [UInt8] {
        let boxes: [(String, [UInt8])] = [
            ("ftypisom", [0, 0, 2, 0]), ("moov", []), ("mdat", [UInt8](repeating: 7, count: bytes)),
        ]
        return boxes.flatMap { name, content -> [UInt8] in
            let length = UInt32(name.utf8.count + content.count + 4)
            return withUnsafeBytes(of: length.bigEndian, Array.init) + Array(name.utf8) + content
        }
    }

    @Test func `I-3c a wrong address from the application is mended by the provider's`()
        async throws
    {
        let line = try RescueLine()
        let server = try OddServer(type: "video/mp4", Array("<html>moved</html>".utf8))
        try line.open("job-1", taskID: "task-1")
        try line.sql(
            "SELECT holdfast.finish_job('job-1', 'succeeded', \([server.url("/0.mp4")])::text[])")
        let report = try await line.report("storage-mirrorer", offset: "+1m")
        #expect(report["outcomes"]?["refreshed"]?.int == 1)
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3c a redirect is followed to the file`() async throws {
        let line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: .init([.init(key: "file_fault", value: "redirect")]))
        try await line.minute(offset: "+6m")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3c another object at the key is never overwritten`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let folder = line.assets + "/account-job-1/video"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let theirs = Array("somebody else's file".utf8)
        try Data(theirs).write(to: URL(fileURLWithPath: folder + "/job-1_0.mp4"))

        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["exit_status"]?.int == 1)
        #expect(report["errors"]?.array?.first?["code"] == "object_conflict")
        #expect(try line.storedBytes("account-job-1/video/job-1_0.mp4") == theirs)
        #expect(
            try line.value("SELECT object_key FROM holdfast.asset")
                == "account-job-1/video/job-1_0-1.mp4")
        try line.checkDelivered("job-1", task: "task-1")
    }

    @Test func `I-3c the same object at the key is taken as it is`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try await line.minute(offset: "+6m")
        let key = "account-job-1/video/job-1_0.mp4"
        let before = try line.storedBytes(key)

        // A database restored from an old backup, and the store as it is.
        let restored = try RescueLine()
        try restored.open("job-1", taskID: "task-1")
        let store = ["HOLDFAST_STORAGE_URL": "file://" + line.assets as String?]
        // It knows nothing of the installation that it was: the store is told whose it is now.
        try FileManager.default.removeItem(atPath: line.assets + "/.holdfast")
        _ = try await restored.run("stuck-sweeper", offset: "+6m", store)
        let report = try await restored.report("storage-mirrorer", offset: "+6m", store)
        #expect(report["outcomes"]?["already_stored"]?.int == 1, "\(JSON.write(report))")
        #expect(try restored.outcome("job-1") == "delivered/captured")
        #expect(try line.storedBytes(key) == before)
        #expect(line.storedFiles() == [key])
    }

    @Test func `I-3c an object that was damaged since it was written is not delivered`()
        async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        do {
            let gate = try line.close(.stored)
            try await line.crash("storage-mirrorer", offset: "+6m", when: "the file is there") {
                try line.waits("storage-mirrorer")
            }
            _ = consume gate
        }
        let key = "account-job-1/video/job-1_0.mp4"
        var damaged = try line.storedBytes(key)
        damaged[1000] ^= 1
        try Data(damaged).write(to: URL(fileURLWithPath: line.assets + "/" + key))

        let report = try await line.report("storage-mirrorer", offset: "+9m")
        #expect(report["exit_status"]?.int == 1)
        #expect(report["errors"]?.array?.first?["code"] == "object_conflict")
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.storedBytes(key) == damaged)
        #expect(line.storedFiles() == ["account-job-1/video/job-1_0-1.mp4", key])
    }

    @Test func `I-3c a file larger than the limit waits for a person, who may raise it`()
        async throws
    {
        let line = try RescueLine()
        try line.setPolicy("max_file_bytes", "99999")
        for (id, bytes) in [("within", 99_999), ("beyond", 100_000)] {
            try line.open(
                id, taskID: "task-\(id)",
                task: .init([.init(key: "file_bytes", value: .integer(bytes))]))
        }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let report = try await line.report("storage-mirrorer", offset: "+6m")
        #expect(report["exit_status"]?.int == 1)
        let message = report["errors"]?.array?.first?["message"]?.text ?? ""
        #expect(message.contains("max_file_bytes") && message.contains("beyond/0"), "\(message)")
        try line.checkDelivered("within", task: "task-within")
        #expect(try line.outcome("beyond") == "succeeded/held")
        #expect(line.storedFiles() == ["account-within/video/within_0.mp4"])
        try line.setPolicy("max_file_bytes", "100000")
        _ = try await line.run("storage-mirrorer", offset: "+1h")
        try line.checkDelivered("beyond", task: "task-beyond")
    }

    /// Names from outside stay below the root, and stay apart.
    @Test func `I-3c strange names of jobs and accounts stay inside the store`() async throws {
        let line = try RescueLine()
        let names = ["../../escape", "/etc/passwd", "a b?c#d", ".hidden", "ünï/cödé", "a_0", "A_0"]
        for (n, name) in names.enumerated() {
            try line.open(name, account: "../\(name)", taskID: "task-\(n)")
        }
        try await line.minute(offset: "+6m")
        for (n, name) in names.enumerated() { try line.checkDelivered(name, task: "task-\(n)") }
        #expect(line.storedFiles().count == names.count)
        for path in line.storedFiles() {
            // No part is hidden or leads out, and every name is plain.
            #expect(!path.split(separator: "/").contains { $0.hasPrefix(".") }, "\(path)")
            #expect(path.wholeMatch(of: #/[A-Za-z0-9._=\/-]+/#) != nil, "\(path)")
        }
        let parent = (line.assets as NSString).deletingLastPathComponent
        #expect(!FileManager.default.fileExists(atPath: parent + "/escape"))
    }

    @Test func `I-3c two hosts store sixty files of twenty jobs once`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...20 { try line.open("job-\(n)", outputs: 3, taskID: "task-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        _ = try await line.twoHosts("storage-mirrorer", offset: "+6m")
        #expect(
            try line.text(
                """
                SELECT coalesce(string_agg(concat_ws(' ', job_id, ordinal, state, attempts, claims,
                    lease_until, error_message), '; '), '')
                FROM holdfast.asset WHERE state <> 'stored'
                """) == "")
        for n in 1...20 {
            try line.checkDelivered("job-\(n)", task: "task-\(n)")
            for ordinal in 0..<3 { #expect(try line.asked("files", "task-\(n)/\(ordinal)") == 1) }
        }
        #expect(line.storedFiles().count == 60)
        #expect(try line.violations() == [])
    }
}
