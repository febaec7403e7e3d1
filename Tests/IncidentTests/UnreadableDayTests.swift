import Core
import Postgres
import TestSupport
import Testing

/// A day on which a provider answers HTML with 200, and the day after.
@Suite struct UnreadableDays {
    private func open(_ line: RescueLine, _ jobs: Int, accounts: Int = 10) throws {
        try line.liftRates()
        for n in 1...jobs {
            try line.open("job-\(n)", account: "account-\(n % accounts)", taskID: "task-\(n)")
        }
    }

    private func blocked(_ line: RescueLine) throws -> String {
        try line.value("SELECT count(*) FROM holdfast.job WHERE blocked IS NOT NULL")
    }

    @Test func `two hundred jobs live through a day of HTML with 200`() async throws {
        let line = try RescueLine()
        try open(line, 200)
        try line.shape("kie", "html")
        for hour in [1, 2, 6, 12, 18, 24, 30] {
            for name in ["stuck-sweeper", "orphan-recoverer"] {
                let finished = try await line.run(name, offset: "+\(hour)h")
                #expect([0, 69].contains(finished.status), "\(hour)h \(finished.stderr)")
            }
            #expect(try blocked(line) == "0", "+\(hour)h")
        }
        let status = try await line.run("holdfast", ["status"], offset: "+30h")
        #expect(status.stdout.contains("unreadable"), "\(status.stdout)")
        #expect(status.stdout.contains("200 jobs"), "\(status.stdout)")
        let doctor = try await line.run("holdfast", ["doctor"], offset: "+30h")
        #expect(doctor.stdout.contains("cannot be read"), "\(doctor.stdout)")
        #expect(
            try line.value(
                "SELECT count(*) FROM holdfast.transfer WHERE kind NOT IN ('grant', 'hold')") == "0"
        )
        try line.shape("kie", "normal")
        try await line.minute(offset: "+1801m")
        try await line.minute(offset: "+1802m")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job WHERE state = 'delivered'") == "200")
        let healed = try await line.run("holdfast", ["status"], offset: "+1802m")
        #expect(!healed.stdout.contains("unreadable"), "\(healed.stdout)")
        #expect(try line.violations() == [])
    }

    @Test func `a watch does not run out while its provider cannot be read`() async throws {
        let line = try RescueLine()
        try open(line, 4)
        for n in 1...4 {
            try line.change("task-\(n)", ["polls_until_done": 1000])
            try line.sql("SELECT holdfast.mark_timed_out(\("job-\(n)"))")
        }
        try line.shape("kie", "html")
        for hour in [1, 10, 20, 26, 30] {
            _ = try await line.run("orphan-recoverer", offset: "+\(hour)h")
        }
        try line.shape("kie", "normal")
        // The window was a day; nobody could read anything for 29 hours of it.
        _ = try await line.run("orphan-recoverer", offset: "+1805m")
        for n in 1...4 { #expect(try line.outcome("job-\(n)") == "timed_out/held") }
        // What was left of it runs on, and then it ends.
        _ = try await line.run("orphan-recoverer", offset: "+60h")
        for n in 1...4 { #expect(try line.outcome("job-\(n)") == "abandoned/voided") }
    }

    @Test func `a job whose answer alone cannot be read waits for a person after its deadline`()
        async throws
    {
        let line = try RescueLine()
        try open(line, 5)
        for n in 1...5 { try line.change("task-\(n)", ["polls_until_done": 1000]) }
        try line.change("task-1", ["shape": "html"])
        for minute in [6, 12, 30, 50] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minute)m")
            #expect(try blocked(line) == "0", "+\(minute)m")
        }
        let run = try await line.run("stuck-sweeper", offset: "+65m")
        #expect(run.status == 1, "\(run.stderr)")
        #expect(run.stderr.contains("job-1"), "\(run.stderr)")
        #expect(try line.outcome("job-1") == "submitted/held/blocked=person")
        let why = try line.value("SELECT blocked_reason FROM holdfast.job WHERE job_id = 'job-1'")
        #expect(why.contains("HTML"), "\(why)")
        // The others are read all the time, which is no reason to try this one again.
        for minute in [70, 75, 80] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minute)m")
            #expect(try line.outcome("job-1") == "submitted/held/blocked=person")
        }
        #expect(try line.polls("task-1") <= 8)
    }

    @Test func `jobs that were blocked alone are asked again when the provider is readable`()
        async throws
    {
        let line = try RescueLine()
        try open(line, 2)
        try line.shape("kie", "html")
        for minute in [6, 20, 65, 90] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minute)m")
        }
        #expect(try blocked(line) == "2")
        try line.shape("kie", "normal")
        _ = try await line.run("stuck-sweeper", offset: "+95m")
        #expect(try blocked(line) == "2")
        // Another job of the family shows that it can be read again.
        try line.open("job-3", taskID: "task-3")
        _ = try await line.run("stuck-sweeper", offset: "+101m")
        _ = try await line.run("stuck-sweeper", offset: "+102m")
        for n in 1...3 { #expect(try line.outcome("job-\(n)") == "succeeded/held") }
    }

    @Test func `jobs that were blocked are asked again by another version of the program`()
        async throws
    {
        let line = try RescueLine()
        try open(line, 2)
        try line.shape("kie", "html")
        for minute in [6, 20, 65, 90] {
            _ = try await line.run("stuck-sweeper", offset: "+\(minute)m")
        }
        #expect(try blocked(line) == "2")
        try line.shape("kie", "normal")
        // As if an older build had set them aside.
        try line.sql(
            "UPDATE holdfast.job SET blocked_versions = '{0.0.1}' WHERE blocked IS NOT NULL")
        _ = try await line.run("stuck-sweeper", offset: "+95m")
        for n in 1...2 { #expect(try line.outcome("job-\(n)") == "succeeded/held") }
    }
}

extension RescueLine {
    /// Changes the shape of all of a provider's answers about the tasks that are known.
    fileprivate func shape(_ provider: String, _ shape: String) throws {
        let tasks = try sql("SELECT task_id FROM holdfast.task WHERE provider = \(provider)")
        let orders = try tasks.map { row -> JSONValue in
            ["task_id": .string(try row.text("task_id")), "shape": .string(shape)]
        }
        _ = try simulator.post("/control/tasks", json: .array(orders))
    }
}
