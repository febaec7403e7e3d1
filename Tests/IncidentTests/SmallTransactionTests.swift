import Core
import Postgres
import TestSupport
import Testing

/// An application that wants a job, an account or a task of a run's transaction waits for its end: so
/// few of them are in one.
@Suite struct SmallTransactionTests {
    private static let jobs = 60

    private func line() throws -> RescueLine {
        let line = try RescueLine()
        try line.liftRates()
        try line.setPolicy("brake_jobs", "off")
        for n in 1...Self.jobs {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: JSONObject([.init(key: "outcome", value: "fail")]))
        }
        return line
    }

    /// How many rows of a table one transaction wrote at most.
    private func most(_ line: RescueLine, _ table: String) throws -> Int {
        try line.sql(
            """
            SELECT max(n) AS most FROM (
                SELECT count(*) AS n FROM holdfast.\(raw: table) GROUP BY xmin::text) t
            """
        ).single().int("most")
    }

    private func sweep(_ line: RescueLine) async throws {
        let finished = try await Executable.run(
            "stuck-sweeper", environment: line.environment(offset: "+6m"), timeout: .seconds(25))
        #expect(finished.status == 0, "\(finished.stderr)")
    }

    @Test func `a run writes few verdicts in one transaction`() async throws {
        let line = try line()
        try await sweep(line)
        #expect(
            try line.text("SELECT count(*)::text FROM holdfast.job WHERE state = 'failed'")
                == "\(Self.jobs)")
        #expect(try most(line, "job") <= 20)
        #expect(try line.violations() == [])
    }

    @Test func `a run reads few callbacks in one transaction`() async throws {
        let line = try line()
        for n in 1...Self.jobs {
            try line.sql(
                """
                SELECT holdfast.record_callback('kie', '{}', '',
                    convert_to(\("{\"data\": {\"taskId\": \"task-\(n)\"}}"), 'UTF8'))
                """)
        }
        try await sweep(line)
        #expect(try most(line, "callback") <= 20)
        #expect(
            try line.text("SELECT count(*)::text FROM holdfast.callback WHERE result = 'matched'")
                == "\(Self.jobs)")
    }
}
