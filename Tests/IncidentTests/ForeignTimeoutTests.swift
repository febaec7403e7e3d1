import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Time limits that somebody else set, on the database, the role or a pooler: a run that meets one
/// ends with 75, and what it had begun is done by the next one.
@Suite struct ForeignTimeouts {
    /// What a server says when it ends a session, a transaction or a statement, and what follows.
    static let states: [(state: String, code: String)] = [
        ("25P03", "database_unavailable"), ("25P04", "database_unavailable"),
        ("57P01", "database_unavailable"), ("57P02", "database_unavailable"),
        ("57P03", "database_unavailable"), ("57P04", "database_unavailable"),
        ("57P05", "database_unavailable"), ("53300", "database_unavailable"),
        ("57014", "database_busy"), ("55P03", "database_busy"), ("40P01", "database_busy"),
        ("40001", "database_busy"), ("53200", "database_busy"),
    ]

    @Test(
        arguments: states.map { ($0, "stuck-sweeper") } + [(states[0], "storage-mirrorer")])
    func `a limit of the server is 75, and the next run goes on`(
        _ one: (state: String, code: String), _ name: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        if name == "storage-mirrorer" { _ = try await line.run("stuck-sweeper") }
        let (table, event) =
            name == "storage-mirrorer" ? ("asset", "UPDATE") : ("observation", "INSERT")
        let condition = name == "storage-mirrorer" ? "WHEN (NEW.state = 'stored')" : ""
        try line.database.connect().script(
            """
            CREATE FUNCTION public.limit_met() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'a limit was met' USING ERRCODE = '\(one.state)'; END $$;
            GRANT EXECUTE ON FUNCTION public.limit_met() TO PUBLIC;
            CREATE TRIGGER limit_met BEFORE \(event) ON holdfast.\(table)
            FOR EACH ROW \(condition) EXECUTE FUNCTION public.limit_met();
            """)
        let finished = try await line.run(name, ["--output", "json"])
        // A lock that somebody holds puts off the job that needs it, and not the run.
        let isPutOff = one.state == "55P03" && finished.status == 0
        #expect(finished.status == 75 || isPutOff, "\(finished.stderr)")
        let object = try JSON.parse(finished.stdoutBytes)
        let code = object["errors"]?.array?.last?["code"]?.text
        #expect(code == one.code || isPutOff, "\(finished.stdout)")
        #expect(!finished.stderr.contains("refused"), "\(finished.stderr)")
        try line.sql("DROP TRIGGER limit_met ON holdfast.\(raw: table)")
        for offset in ["+5m", "+10m"] { try await line.minute(offset: offset) }
        try line.checkDelivered("job-1", task: "task-1")
        #expect(try line.violations() == [])
    }

    /// What an administrator sets for everybody, or for the login of the jobs.
    @Test(
        arguments: [
            "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
            "idle_session_timeout",
        ], [true, false])
    func `a setting of the database or the role is survived`(
        _ setting: String, _ ofRole: Bool
    ) async throws {
        let line = try RescueLine()
        for n in 1...3 {
            try line.open("job-\(n)", taskID: "task-\(n)")
            try line.callBack(#"{"data":{"taskId":"task-\#(n)"}}"#)
        }
        // So that a connection is idle for longer than it may.
        try line.fault(["provider": "all", "delay_ms": 400])
        let place =
            ofRole
            ? "ROLE holdfast_jobs IN DATABASE \(line.database.name)"
            : "DATABASE \(line.database.name)"
        try line.sql("ALTER \(raw: place) SET \(raw: setting) = '100ms'")
        let holder = try line.database.connect()
        if setting == "lock_timeout" || setting == "statement_timeout" {
            try holder.execute("BEGIN")
            try holder.execute("LOCK TABLE holdfast.observation IN ACCESS EXCLUSIVE MODE")
        }
        let jobs = ["HOLDFAST_DATABASE_URL": try line.database.url(role: "holdfast_jobs")]
        for finished in try await line.minute(jobs) {
            #expect([0, 75].contains(finished.status), "\(finished.stderr)")
        }
        if setting == "lock_timeout" || setting == "statement_timeout" {
            try holder.execute("ROLLBACK")
        }
        try line.sql("ALTER \(raw: place) RESET \(raw: setting)")
        try line.fault(["provider": "all", "clear": true])
        for offset in ["+5m", "+10m"] { try await line.minute(offset: offset, jobs) }
        for n in 1...3 { try line.checkDelivered("job-\(n)", task: "task-\(n)") }
        #expect(try line.violations() == [])
    }
}
