import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Executables whose standard streams were closed by whoever started them: what they open next must
/// not take the place of one, or their own words would go into the database's connection.
@Suite struct ClosedStreams {
    static let closings: [String] = (0..<8).map { bits in
        ["<&-", ">&-", "2>&-"].enumerated().filter { bits & (1 << $0.offset) != 0 }
            .map(\.element).joined(separator: " ")
    }

    private func run(
        _ name: String, _ arguments: [String], _ closing: String, _ line: RescueLine
    ) async throws -> Finished {
        try await Executable.run(
            "/bin/sh",
            arguments: ["-c", "exec \"$0\" \"$@\" \(closing)", try Executable.path(name)]
                + arguments,
            environment: line.environment(), timeout: .seconds(60))
    }

    @Test(arguments: closings)
    func `every executable does its work without them`(_ closing: String) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        for name in ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler"] {
            for form in ["text", "json"] {
                let finished = try await run(name, ["--verbose", "--output", form], closing, line)
                #expect(finished.status == 0, "\(name): \(finished.stderr)")
            }
        }
        try line.checkDelivered("job-1", task: "task-1")
        let received = try await run(
            "callback-receiver", ["--provider", "kie", "--verbose"], closing, line)
        #expect(received.status == 0, "\(received.stderr)")
        #expect(try line.value("SELECT count(*) FROM holdfast.callback") == "2")
        let status = try await run("holdfast", ["status"], closing, line)
        #expect(status.status == 0, "\(status.stderr)")
        let failure = try await run("holdfast", ["job", "show", "nope"], closing, line)
        #expect(failure.status == 66, "\(failure.stderr)")
        let wrong = try await run("stuck-sweeper", ["--nope"], closing, line)
        #expect(wrong.status == 64, "\(wrong.stderr)")
        let help = try await run("provider-simulator", ["--help"], closing, line)
        #expect(help.status == 0)
    }

    @Test(arguments: closings)
    func `a web server that gives the receiver none gets its callback kept`(
        _ closing: String
    ) async throws {
        let line = try RescueLine()
        let finished = try await Executable.run(
            "/bin/sh",
            arguments: ["-c", "exec \"$0\" \(closing)", try Executable.path("callback-receiver")],
            environment: line.environment([
                "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "PATH_INFO": "/kie",
                "QUERY_STRING": "job=job-1", "CONTENT_LENGTH": "2",
            ]), input: Array("{}".utf8), timeout: .seconds(60))
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(try line.value("SELECT count(*) FROM holdfast.callback") == "1")
    }
}
