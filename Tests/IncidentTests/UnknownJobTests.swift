import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// An id that no job bears, as somebody cut it: said so, and nothing is done for the others.
@Suite struct UnknownJobs {
    static let commands: [[String]] = [
        ["stuck-sweeper"], ["orphan-recoverer"], ["storage-mirrorer"],
        ["stuck-sweeper", "--dry-run"], ["orphan-recoverer", "--dry-run"],
        ["storage-mirrorer", "--dry-run"], ["holdfast", "asset", "list"],
        ["holdfast", "asset", "verify"], ["holdfast", "callback", "list"],
    ]

    @Test(arguments: commands, [false, true])
    func `each is named with status 66, and the run does nothing`(
        _ words: [String], _ isJSON: Bool
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        let takesOne = words[0] == "holdfast"
        var arguments = Array(words.dropFirst())
        for id in takesOne ? ["nope-1"] : ["job-1", "nope-1", "nope 2"] {
            arguments += ["--job", id]
        }
        if isJSON { arguments += ["--output", "json"] }
        let finished = try await line.run(words[0], arguments)
        #expect(finished.status == 66, "\(finished.stderr)")
        #expect(finished.stderr.contains("'nope-1'"), "\(finished.stderr)")
        #expect(!finished.stderr.contains("'job-1'"), "\(finished.stderr)")
        if !takesOne { #expect(finished.stderr.contains("'nope 2'"), "\(finished.stderr)") }
        if isJSON {
            let object = try JSON.parse(finished.stdoutBytes)
            #expect(object["exit_status"]?.int == 66)
            #expect(object["errors"]?.array?.first?["code"]?.text == "no_such_job")
        }
        #expect(try line.outcome("job-1") == "submitted/held")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.callback WHERE drained_at IS NULL") == "1"
        )
        #expect(try line.polls("task-1") == 0)
    }

    @Test func `one that is known is worked on`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        for name in ["stuck-sweeper", "storage-mirrorer"] {
            let finished = try await line.run(name, ["--job", "job-1"])
            #expect(finished.status == 0, "\(finished.stderr)")
        }
        try line.checkDelivered("job-1", task: "task-1")
    }
}
