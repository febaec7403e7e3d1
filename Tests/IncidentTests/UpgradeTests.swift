import Core
import Postgres
import TestSupport
import Testing

/// Programs of two releases on several hosts: while one migrates, and after it, nobody stops.
@Suite struct Upgrades {
    /// A step that only this test knows, as the next release would bring it.
    private static func nextRelease(after current: Int, worksWith oldest: Int) -> String {
        """
        BEGIN;
        SELECT pg_advisory_xact_lock(hashtextextended('holdfast.migrate', 0));
        ALTER TABLE holdfast.job ADD COLUMN of_the_next_release text;
        CREATE TABLE holdfast.of_the_next_release (job_id text PRIMARY KEY);
        INSERT INTO holdfast.schema_version (version, name, works_with)
        VALUES (\(current + 1), 'of the next release', \(oldest));
        COMMIT;
        """
    }

    private func version(_ line: RescueLine) throws -> Int {
        try line.sql("SELECT max(version) AS n FROM holdfast.schema_version").single().int("n")
    }

    private static let programs = [
        "stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler",
    ]

    @Test func `while two hosts migrate under load, and after it, no run of either stops`()
        async throws
    {
        let line = try RescueLine()
        let current = try version(line)
        try line.liftRates()
        for n in 1...24 { try line.open("job-\(n)", taskID: "task-\(n)") }
        let ended = try await withThrowingTaskGroup(of: [(String, Finished)].self) { group in
            for _ in ["host 1", "host 2"] {
                group.addTask {
                    var ended: [(String, Finished)] = []
                    for minute in [6, 7, 8] {
                        for program in Self.programs {
                            ended.append(
                                (program, try await line.run(program, offset: "+\(minute)m")))
                        }
                    }
                    return ended
                }
                group.addTask {
                    var ended: [(String, Finished)] = []
                    for _ in 1...3 {
                        ended.append(("migrate", try await line.run("holdfast", ["migrate"])))
                    }
                    return ended
                }
            }
            group.addTask {
                try line.database.connect().script(
                    Self.nextRelease(after: current, worksWith: current))
                return []
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        for (program, run) in ended {
            #expect(run.status == 0 || run.status == 69, "\(program): \(run.status) \(run.stderr)")
        }
        for n in 1...24 { #expect(try line.outcome("job-\(n)") == "delivered/captured") }
        // The release before goes on as it is, and takes nothing back.
        for arguments in [["status"], ["migrate"], ["setup"], ["books", "verify"]] {
            let run = try await line.run("holdfast", arguments)
            #expect(run.status == 0, "\(arguments): \(run.stderr)")
        }
        let doctor = try await line.run("holdfast", ["doctor"])
        #expect(
            doctor.stdout.contains("schema: version \(current + 1)"), "\(doctor.stdout)")
    }

    @Test func `a schema that has left this release behind names both sides`() async throws {
        let line = try RescueLine()
        let current = try version(line)
        try line.database.connect().script(
            Self.nextRelease(after: current, worksWith: current + 1))
        for arguments in [["status"], ["migrate"]] {
            let run = try await line.run("holdfast", arguments)
            #expect(run.status == 78)
            #expect(
                run.stderr.contains("\(current + 1)")
                    && run.stderr.contains("install the newer build"), "\(run.stderr)")
        }
        for program in Self.programs {
            let run = try await line.run(program)
            #expect(run.status == 78 && run.stderr.contains("install the newer build"))
        }
    }

    @Test func `a schema that is too old for this release is to be migrated`() async throws {
        let line = try RescueLine()
        try line.sql("DELETE FROM holdfast.schema_version WHERE version > 1")
        let run = try await line.run("stuck-sweeper")
        #expect(run.status == 78 && run.stderr.contains("run: holdfast migrate"), "\(run.stderr)")
    }
}
