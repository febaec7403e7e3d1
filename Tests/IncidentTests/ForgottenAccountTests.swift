import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A customer asks to be forgotten: what is personal goes, and the books stay.
@Suite struct ForgottenAccounts {
    private static let secret = "the-prompt-about-my-face"

    /// Two customers: one delivered job each, with request, evidence and a callback.
    private func delivered() async throws -> RescueLine {
        let line = try RescueLine()
        for id in ["mine", "theirs"] {
            try line.open(id, account: "account-\(id)", taskID: "task-\(id)")
            try line.sql(
                """
                UPDATE holdfast.job SET request = jsonb_build_object('prompt', \(Self.secret)::text)
                WHERE job_id = \(id)
                """)
            try line.callBack(
                #"{"data":{"taskId":"task-\#(id)","state":"success","note":"\#(Self.secret)"}}"#)
        }
        try await line.minute()
        for id in ["mine", "theirs"] {
            #expect(try line.outcome(id) == "delivered/captured")
            try line.sql(
                "UPDATE holdfast.observation SET evidence = \(Self.secret) WHERE job_id = \(id)")
        }
        return line
    }

    private func forget(
        _ line: RescueLine, _ words: [String] = [], _ changes: [String: String?] = [:]
    ) async throws -> Finished {
        try await line.run("holdfast", ["account", "forget", "account-mine"] + words, changes)
    }

    /// Every text of our tables in which `words` stand.
    private func places(_ line: RescueLine, _ words: String) throws -> [String] {
        try ["job", "asset", "observation", "callback", "job_event", "task"].filter { table in
            try line.value(
                "SELECT count(*) FROM holdfast.\(raw: table) t WHERE t::text LIKE '%\(raw: words)%'"
            ) != "0"
        }
    }

    /// Callbacks that still hold what was sent.
    private func bodies(_ line: RescueLine) throws -> String {
        try line.value(
            "SELECT count(*) FROM holdfast.callback WHERE body <> '' AND job_id IN ('mine', 'theirs')"
        )
    }

    private func objects(_ line: RescueLine) -> [String] {
        (FileManager.default.enumerator(atPath: line.assets)?.compactMap { $0 as? String } ?? [])
            .filter { $0.contains("_0.") }
    }

    @Test func `files, requests, evidence and callbacks go, and the books stay`() async throws {
        let line = try await delivered()
        let books = try line.value(
            "SELECT string_agg(t::text, ' ' ORDER BY sequence) FROM holdfast.transfer t")
        #expect(objects(line).count == 2)

        let plan = try await forget(line, ["--dry-run"])
        #expect(plan.status == 0 && plan.stdout.contains("1 file"), "\(plan.stderr)\(plan.stdout)")
        #expect(objects(line).count == 2)
        #expect(try places(line, Self.secret) == ["job", "observation"])
        #expect(try bodies(line) == "2")

        let done = try await forget(line)
        #expect(done.status == 0, "\(done.stderr)\(done.stdout)")
        for unreachable in ["provider", "back-up", "spool", "reports"] {
            #expect(done.stdout.contains(unreachable), "\(done.stdout)")
        }
        #expect(objects(line).allSatisfy { $0.contains("theirs") } && objects(line).count == 1)
        // What is left is the other customer's.
        #expect(try bodies(line) == "1")
        for table in ["job", "asset", "observation", "callback"] {
            #expect(
                try line.value(
                    """
                    SELECT count(*) FROM holdfast.\(raw: table) t WHERE job_id = 'mine'
                        AND (t::text LIKE '%\(raw: Self.secret)%' OR t::text LIKE '%http%')
                    """) == "0", "\(table)")
        }
        #expect(
            try line.value("SELECT request ->> 'prompt' FROM holdfast.job WHERE job_id = 'theirs'")
                == Self.secret)
        #expect(
            try line.value(
                "SELECT string_agg(t::text, ' ' ORDER BY sequence) FROM holdfast.transfer t")
                == books)
        #expect(try line.outcome("mine") == "delivered/captured")
        #expect(try line.violations() == [])

        let night = try await line.run("ledger-reconciler", offset: "+24h")
        #expect(night.status == 0, "\(night.stderr)\(night.stdout)")
        let again = try await forget(line)
        #expect(again.status == 0 && again.stdout.contains("nothing"), "\(again.stdout)")
        #expect(
            try line.value("SELECT count(*) || ' ' || min(person) FROM holdfast.forgotten_account")
                .hasPrefix("1 person:"))
        // A callback that comes again is not kept.
        try line.callBack(
            #"{"data":{"taskId":"task-mine","state":"success","note":"\#(Self.secret)"}}"#)
        try await line.minute(offset: "+1m")
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.callback WHERE job_id = 'mine'
                    AND convert_from(body, 'UTF8') LIKE '%\(raw: Self.secret)%'
                """) == "0")
    }

    @Test(arguments: ["submitted", "succeeded", "blocked"])
    func `a job that is open stops it, by name`(_ state: String) async throws {
        let line = try await delivered()
        try line.open("open one", account: "account-mine", taskID: "t")
        if state == "succeeded" {
            try line.sql(
                "SELECT holdfast.finish_job('open one', 'succeeded', ARRAY['https://x.example/1'])")
        } else if state == "blocked" {
            try line.sql("UPDATE holdfast.job SET blocked = 'person' WHERE job_id = 'open one'")
        }
        for words in [["--dry-run"], []] {
            let said = try await forget(line, words)
            #expect(said.status == 1, "\(said.stdout)")
            #expect(said.stderr.contains("holdfast job dismiss 'open one'"), "\(said.stderr)")
        }
        #expect(objects(line).count == 2)
        try line.sql("SELECT holdfast.dismiss_job('open one', 'the customer leaves')")
        #expect(try await forget(line).status == 0)
    }

    @Test func `nobody of that name, and a store that is not the one`() async throws {
        let line = try await delivered()
        let nobody = try await line.run("holdfast", ["account", "forget", "nobody"])
        #expect(nobody.status == 66 && nobody.stderr.contains("nobody"), "\(nobody.stderr)")
        // Another folder holds none of the files: nothing is said to be gone.
        let other = NSTemporaryDirectory() + "holdfast-other-" + RunID.make()
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: other) }
        let wrong = try await forget(line, [], ["HOLDFAST_STORAGE_URL": "file://" + other])
        #expect(
            wrong.status == 78 && wrong.stderr.contains("HOLDFAST_STORAGE_URL"), "\(wrong.stderr)")
        #expect(objects(line).count == 2)
        #expect(try line.value("SELECT count(*) FROM holdfast.asset WHERE state = 'stored'") == "2")
    }

    /// Killed between an object and its row: the next time goes on.
    @Test func `what was begun is gone on with`() async throws {
        let line = try await delivered()
        try line.sql("UPDATE holdfast.asset SET state = 'forgotten' WHERE job_id = 'mine'")
        let object = try #require(objects(line).first { $0.contains("mine") })
        try FileManager.default.removeItem(atPath: "\(line.assets)/\(object)")
        let done = try await forget(line)
        #expect(done.status == 0, "\(done.stderr)")
        #expect(
            try line.value(
                "SELECT coalesce(object_key, '') || state FROM holdfast.asset WHERE job_id = 'mine'"
            )
                == "forgotten")
        #expect(try await line.run("ledger-reconciler", offset: "+24h").status == 0)
    }

    @Test func `what was refused goes out of the quarantine as well`() async throws {
        let line = try await delivered()
        let folder = NSTemporaryDirectory() + "holdfast-quarantine-" + RunID.make()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let names = ["mine", "theirs"].map { $0 + String(repeating: "0", count: 26) }
        for (job, name) in zip(["mine", "theirs"], names) {
            _ = FileManager.default.createFile(
                atPath: "\(folder)/\(name).bin", contents: Data("x".utf8))
            try line.sql(
                "INSERT INTO holdfast.quarantined VALUES (\(name), \(job), 0, clock_timestamp())")
            try line.sql(
                """
                INSERT INTO holdfast.refused_file (job_id, ordinal, found_at, type, sha256, bytes,
                    is_whole, head, is_too_large, is_runnable, object_name)
                VALUES (\(job), 0, clock_timestamp(), 'x', 'ab', 1, true, 'x', false, false, \(name))
                """)
        }
        // Its place is not known: everything else goes, and it says what is left.
        let half = try await forget(line)
        #expect(
            half.status == 78 && half.stderr.contains("HOLDFAST_QUARANTINE_URL"), "\(half.stderr)")
        #expect(objects(line).count == 1)
        let doctor = try await line.run("holdfast", ["doctor"])
        #expect(doctor.stdout.contains("holdfast account forget account-mine"), "\(doctor.stdout)")

        let done = try await forget(line, [], ["HOLDFAST_QUARANTINE_URL": "file://" + folder])
        #expect(done.status == 0, "\(done.stderr)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [names[1] + ".bin"])
        for table in ["quarantined", "refused_file"] {
            #expect(
                try line.value("SELECT string_agg(job_id, ' ') FROM holdfast.\(raw: table)")
                    == "theirs")
        }
        #expect(
            try line.value("SELECT files || ' ' || quarantined FROM holdfast.forgotten_account")
                == "1 1")
    }

    @Test func `the doctor tells of account ids that are addresses`() async throws {
        let line = try await delivered()
        #expect(try await !line.run("holdfast", ["doctor"]).stdout.contains("e-mail"))
        try line.sql("SELECT holdfast.grant_credits('anna@example.com', 1, 'g')")
        let said = try await line.run("holdfast", ["doctor"])
        #expect(said.stdout.contains("e-mail") && !said.stdout.contains("anna@"), "\(said.stdout)")
    }
}
