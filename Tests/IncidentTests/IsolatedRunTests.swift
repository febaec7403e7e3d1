import Core
import Postgres
import TestSupport
import Testing

/// The programs against a database whose transactions begin at another isolation level.
@Suite struct IsolatedRuns {
    @Test(arguments: ["repeatable read", "serializable"])
    func `five programs at once end well, and each job is settled once`(level: String) async throws
    {
        let line = try RescueLine()
        for number in 1...12 {
            try line.open("j\(number)", account: "a", taskID: "t\(number)", task: JSONObject())
        }
        try line.sql(
            """
            ALTER DATABASE \(raw: line.database.name)
            SET default_transaction_isolation = '\(raw: level)'
            """)
        for round in 0..<3 {
            let offset = "+\(6 + round)m"
            let ended = try await withThrowingTaskGroup(of: Finished.self) { group in
                for name in [
                    "stuck-sweeper", "storage-mirrorer", "storage-mirrorer", "orphan-recoverer",
                ] {
                    group.addTask { try await line.run(name, offset: offset) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for run in ended { #expect(run.status == 0, "round \(round): \(run.stderr)") }
        }
        for number in 1...12 {
            #expect(try line.outcome("j\(number)") == "delivered/captured")
        }
        let violations = try line.sql("SELECT * FROM holdfast.invariant_violation")
        #expect(violations.isEmpty)
        let doctor = try await line.run("holdfast", ["doctor"])
        #expect(
            doctor.stdout.contains("default_transaction_isolation is \(level)")
                && doctor.stdout.contains(
                    "ALTER DATABASE \(line.database.name) RESET default_transaction_isolation"),
            "\(doctor.stdout)")
    }
}
