import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Callbacks whose proof is wrong are called refused, by the run, by doctor and in their own story.
@Suite struct RefusedCallbacks {
    private static let secret = ["HOLDFAST_CALLBACK_SECRET": "the-secret-of-this-host" as String?]

    private func line(wrong: Int, missing: Int, right: Int) throws -> RescueLine {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let tag = String(repeating: "ab", count: 32)
        for n in 0..<wrong {
            try line.callBack(
                #"{"data":{"taskId":"task-1"},"n":\#(n)}"#, query: "job=job-1&tag=\(tag)")
        }
        for n in 0..<missing { try line.callBack(#"{"data":{"taskId":"task-1"},"m":\#(n)}"#) }
        for n in 0..<right {
            try line.callBack(
                #"{"data":{"taskId":"task-1"},"r":\#(n)}"#,
                query: "secret=the-secret-of-this-host")
        }
        return line
    }

    @Test(arguments: [
        (2, 0, 0, "2 callbacks refused (tag wrong)", 1),
        (0, 2, 0, "2 callbacks refused (no proof)", 1),
        (1, 1, 0, "2 callbacks refused (1 no proof, 1 tag wrong)", 1),
        (1, 0, 3, "1 callbacks refused (tag wrong)", 0),
        (2, 0, 1, "2 callbacks refused (tag wrong)", 1),
        // One alone may be a stranger's.
        (1, 0, 0, "1 callbacks refused (tag wrong)", 0),
    ])
    func `the run says so, with 1 when it is most of them`(
        _ wrong: Int, _ missing: Int, _ right: Int, _ words: String, _ status: Int32
    ) async throws {
        let line = try line(wrong: wrong, missing: missing, right: right)
        let finished = try await line.run("stuck-sweeper", [], Self.secret)
        #expect(finished.stdout.contains(words), "\(finished.stdout)")
        #expect(finished.status == status, "\(finished.stderr)")
        if status == 1 {
            #expect(finished.stderr.contains("HOLDFAST_CALLBACK_SECRET"), "\(finished.stderr)")
            #expect(
                finished.stderr.contains("holdfast callback list --result refused --provider kie"),
                "\(finished.stderr)")
        } else {
            #expect(finished.stderr == "")
        }
    }

    @Test func `the outcome keeps its key`() async throws {
        let line = try line(wrong: 2, missing: 0, right: 0)
        try line.callBack(
            #"{"data":{"taskId":"task-nobody"}}"#, query: "secret=the-secret-of-this-host")
        let object = try await line.report("stuck-sweeper", [], Self.secret)
        #expect(object["outcomes"]?["callbacks_unmatched"]?.int == 3)
        #expect(object["errors"]?.array?.first?["code"]?.text == "callbacks_refused")
        #expect(object["exit_status"]?.int == 1)
    }

    @Test func `doctor warns, and the callback says what to do`() async throws {
        let line = try line(wrong: 20, missing: 0, right: 0)
        _ = try await line.run("stuck-sweeper", [], Self.secret)
        let doctor = try await line.run("holdfast", ["doctor"], Self.secret)
        #expect(
            doctor.stdout.contains(
                "warn  callbacks of kie: the last 20 were all refused: HOLDFAST_CALLBACK_SECRET "
                    + "differs from the application's"), "\(doctor.stdout)")
        let id = try line.value("SELECT max(callback_id) FROM holdfast.callback")
        let shown = try await line.run("holdfast", ["callback", "show", id], Self.secret)
        #expect(shown.stdout.contains("was made with another secret"), "\(shown.stdout)")
        #expect(shown.stdout.contains("holdfast callback replay \(id) --force"), "\(shown.stdout)")
        // One that is believed ends the warning.
        try line.callBack(
            #"{"data":{"taskId":"task-1"}}"#, query: "secret=the-secret-of-this-host")
        _ = try await line.run("stuck-sweeper", [], Self.secret)
        let healthy = try await line.run("holdfast", ["doctor"], Self.secret)
        #expect(!healthy.stdout.contains("all refused"), "\(healthy.stdout)")
    }
}
