import Core
import Postgres
import TestSupport
import Testing

/// A task that gives far more files than anybody asked for fills no store.
@Suite struct SurplusOutputs {
    private func run(
        _ line: RescueLine, expected: Int, given: Int, _ policy: String? = nil
    ) async throws -> Finished {
        if let policy { try line.setPolicy("max_outputs", policy) }
        try line.open(
            "job-1", outputs: expected, taskID: "task-1",
            task: .init([.init(key: "outputs", value: .integer(given))]))
        return try await line.run("stuck-sweeper", offset: "+6m")
    }

    @Test(
        arguments: [
            // KIE's market gives a file for each that was asked for, and four are forgiven.
            (1, 5, nil, 5, Int32(0)), (1, 9, nil, 5, 1), (8, 12, nil, 12, 0),
            (1, 9, "2", 2, 1), (1, 9, "9", 9, 0), (1, 9, "auto", 5, 1),
        ] as [(Int, Int, String?, Int, Int32)])
    func `what is beyond the limit is told once, and not stored`(
        _ expected: Int, _ given: Int, _ policy: String?, _ stored: Int, _ status: Int32
    ) async throws {
        let line = try RescueLine()
        let said = try await run(line, expected: expected, given: given, policy)
        #expect(said.status == status, "\(said.stderr)")
        #expect(
            said.stderr.contains("max_outputs") == (status == 1)
                && said.stderr.contains("job-1") == (status == 1), "\(said.stderr)")
        let mirrored = try await line.run("storage-mirrorer", offset: "+6m")
        #expect(mirrored.status == 0, "\(mirrored.stderr)")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.asset WHERE state = 'stored'")
                == "\(stored)")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job_event WHERE deed = 'surplus'")
                == "\(status)")
        #expect(try await line.run("stuck-sweeper", offset: "+7m").status == 0)
        let shown = try await line.run("holdfast", ["job", "show", "job-1"])
        #expect(shown.stdout.contains("surplus") == (status == 1), "\(shown.stdout)")
    }

    @Test(arguments: ["0", "1001", "many"])
    func `the policy takes a number or auto`(_ value: String) async throws {
        let line = try RescueLine()
        let said = try await line.run("holdfast", ["policy", "set", "max_outputs", value])
        #expect(said.status == 64 && said.stderr.contains("auto"), "\(said.stderr)")
    }
}
