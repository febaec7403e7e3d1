import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// An application that leaves a transaction open holds up its own customer, and nobody else.
@Suite struct HeldAccountTests {
    private func line(jobs: Int, outcome: String = "fail") throws -> RescueLine {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...jobs {
            try line.open(
                "job-\(n)", taskID: "task-\(n)",
                task: JSONObject([.init(key: "outcome", value: .string(outcome))]))
        }
        return line
    }

    /// An open purchase of the customer of `job-1`.
    private func purchase(_ line: RescueLine) throws -> Connection {
        let holder = try line.database.connect(role: "holdfast_app")
        try holder.execute("BEGIN")
        try holder.execute("SELECT holdfast.grant_credits('account-job-1', 5, 'left open')")
        return holder
    }

    private func run(_ line: RescueLine, _ name: String, _ offset: String) async throws -> Finished
    {
        try await Executable.run(
            name, environment: line.environment(offset: offset), timeout: .seconds(25))
    }

    @Test func `a run settles everybody else, and names who is held up for long`() async throws {
        let line = try line(jobs: 12)
        let holder = try purchase(line)
        let finished = try await run(line, "stuck-sweeper", "+6m")
        #expect(!finished.isOverdue)
        #expect(finished.status == 0, "\(finished.stderr)")
        for n in 2...12 { #expect(try line.outcome("job-\(n)") == "failed/voided/provider_failed") }
        #expect(
            try line.text(
                "SELECT concat_ws(' ', state, claims, lease_owner) FROM holdfast.job WHERE job_id = 'job-1'"
            ) == "submitted 0")
        #expect(try line.polls("task-1") == 1)

        let later = try await run(line, "stuck-sweeper", "+12m")
        #expect(later.status == 1, "\(later.stderr)")
        #expect(later.stderr.contains("job-1") && later.stderr.contains("account-job-1"))
        #expect(later.stderr.contains("pg_stat_activity"))
        for command in ["status", "doctor"] {
            let shown = try await line.run("holdfast", [command], offset: "+12m")
            #expect(
                shown.stdout.contains("held up") && shown.stdout.contains("account-job-1"),
                "\(shown.stdout)")
        }
        let again = try await run(line, "stuck-sweeper", "+14m")
        #expect(again.status == 0, "\(again.stderr)")

        try holder.execute("COMMIT")
        _ = try await run(line, "stuck-sweeper", "+16m")
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
        #expect(try line.violations() == [])
    }

    @Test func `files are stored, and the job is delivered when its account is free`() async throws
    {
        let line = try line(jobs: 3, outcome: "succeed")
        _ = try await run(line, "stuck-sweeper", "+6m")
        let holder = try purchase(line)
        let finished = try await run(line, "storage-mirrorer", "+6m")
        #expect(!finished.isOverdue)
        #expect(finished.status == 0, "\(finished.stderr)")
        for n in 2...3 { #expect(try line.outcome("job-\(n)") == "delivered/captured") }
        #expect(try line.outcome("job-1") == "succeeded/held")
        #expect(
            try line.text("SELECT state FROM holdfast.asset WHERE job_id = 'job-1'") == "stored")
        let later = try await run(line, "storage-mirrorer", "+12m")
        #expect(later.status == 1, "\(later.stderr)")
        #expect(later.stderr.contains("account-job-1"))
        try holder.execute("COMMIT")
        _ = try await run(line, "storage-mirrorer", "+14m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.violations() == [])
    }

    @Test func `released moves of other accounts go on`() async throws {
        let line = try line(jobs: 3)
        try line.setPolicy("brake_jobs", "account=0,provider=0,total=0")
        _ = try await run(line, "stuck-sweeper", "+6m")
        #expect(try line.outcome("job-1") == "submitted/held/blocked=brake")
        try line.sql("SELECT holdfast.release_brakes(NULL, NULL, NULL, 'anna')")
        let holder = try purchase(line)
        let finished = try await run(line, "orphan-recoverer", "+6m")
        #expect(!finished.isOverdue)
        #expect(finished.status == 0, "\(finished.stderr)")
        for n in 2...3 { #expect(try line.outcome("job-\(n)") == "failed/voided/provider_failed") }
        try holder.execute("COMMIT")
        _ = try await run(line, "orphan-recoverer", "+7m")
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
    }

    /// A customer who buys all the time is settled beside the purchases.
    @Test(arguments: ["fail", "succeed"])
    func `the busiest customer is not starved`(_ outcome: String) async throws {
        let line = try RescueLine()
        try line.liftRates()
        try line.setPolicy("brake_jobs", "off")
        for n in 1...40 {
            try line.open(
                "job-\(n)", account: "busy", taskID: "task-\(n)",
                task: JSONObject([.init(key: "outcome", value: .string(outcome))]))
        }
        try line.sql("SELECT holdfast.grant_credits('busy', 100000, 'more')")
        let isDelivery = outcome == "succeed"
        if isDelivery { _ = try await run(line, "stuck-sweeper", "+6m") }
        let isOver = Switch()
        let buyer = Thread {
            guard let connection = try? line.database.connect(role: "holdfast_app") else { return }
            var n = 0
            while !isOver.isOn {
                n += 1
                // The account is free for a moment between two purchases.
                _ = try? connection.transaction {
                    try connection.execute(
                        """
                        SELECT holdfast.open_job(\("more-\(n)"), 'busy', 'kie', 'm', 'video', 1),
                            pg_sleep(0.09)
                        """)
                }
            }
        }
        buyer.start()
        let finished = try await run(
            line, isDelivery ? "storage-mirrorer" : "stuck-sweeper", "+6m")
        isOver.turnOn()
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(
            try line.text(
                """
                SELECT count(*)::text FROM holdfast.job
                WHERE task_id IS NOT NULL AND credit_state IN ('voided', 'captured')
                """
            ) == "40")
        #expect(try line.violations() == [])
    }

    private final class Switch: @unchecked Sendable {
        private let lock = NSLock()
        private var value = false
        var isOn: Bool { lock.withLock { value } }
        func turnOn() { lock.withLock { value = true } }
    }
}
