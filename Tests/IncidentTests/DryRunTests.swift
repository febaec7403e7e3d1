import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// `--dry-run`: the same decisions for the same answers, and nothing written anywhere.
@Suite(.serialized) struct DryRuns {
    /// Jobs of every kind that the sweeper decides about.
    private func fill(_ line: RescueLine) throws {
        try line.liftRates()
        func open(_ id: String, _ member: String, _ value: JSONValue) throws {
            try line.open(
                id, provider: "kling", endpoint: "image2video", taskID: "task-\(id)",
                task: .init([.init(key: member, value: value)]))
        }
        try open("succeeds", "outcome", "succeed")
        try open("fails", "outcome", "fail")
        try open("runs", "outcome", "never")
        try open("says-nothing", "shape", "html")
        try line.open("kie-succeeds", taskID: "task-kie-succeeds")
        try line.open("kie-unknown", taskID: "task-kie-unknown", task: nil)
        // Never reached the provider; or perhaps did; or did, and nobody wrote it down.
        try line.open("never-sent", taskID: nil)
        for (id, provider) in [("answer-lost", "kie"), ("adopted", "kling")] {
            try line.open(id, provider: provider, endpoint: nil, taskID: nil)
            try line.sql("SELECT holdfast.mark_submitting(\(id))")
        }
        try line.order(
            provider: "kling", endpoint: "image2video", taskID: "9001", externalID: "adopted",
            .init([.init(key: "outcome", value: "never")]))
        try line.open("given-up", taskID: nil)
        try line.sql("UPDATE holdfast.job SET retriggers = 3 WHERE job_id = 'given-up'")
    }

    /// Jobs that the recoverer decides about.
    private func fillWatched(_ line: RescueLine) throws {
        try line.liftRates()
        let tasks: [(String, String, JSONValue)] = [
            ("succeeds", "outcome", "succeed"), ("fails", "outcome", "fail"),
            ("runs", "outcome", "never"), ("says-nothing", "shape", "empty"),
        ]
        for (id, member, value) in tasks {
            try line.open(
                id, provider: "kling", endpoint: "image2video", taskID: "task-\(id)",
                task: .init([.init(key: member, value: value)]))
            try line.sql("SELECT holdfast.mark_timed_out(\(id))")
        }
    }

    /// Every row of every table with the transaction that wrote it, and every sequence.
    private func everything(_ line: RescueLine) throws -> String {
        let tables = try line.sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'holdfast' ORDER BY 1"
        ).map { try $0.text("tablename") }
        #expect(tables.count >= 14)
        let parts = tables.map { table in
            """
            SELECT '\(table) ' || count(*) || ' ' || md5(coalesce(string_agg(
                t.ctid || ' ' || t.xmin || ' ' || t.xmax || ' ' || t::text, '|' ORDER BY t.ctid), ''))
                AS line
            FROM holdfast.\(table) t
            """
        }
        var all = try line.sql(SQL(raw: parts.joined(separator: " UNION ALL "))).map {
            try $0.text("line")
        }.sorted()
        all.append(
            try line.value(
                """
                SELECT string_agg(sequencename || ' ' || coalesce(last_value, 0), ',' ORDER BY 1)
                FROM pg_sequences WHERE schemaname = 'holdfast'
                """))
        return all.joined(separator: "\n")
    }

    /// Rehearses with a login that may only read, then runs, and compares.
    private func compare(
        _ line: RescueLine, _ name: String, offset: String, _ arguments: [String] = []
    ) async throws -> JSONValue {
        let readOnly = [
            "HOLDFAST_DATABASE_URL": try line.database.url(role: "holdfast_report") as String?
        ]
        let before = try everything(line)
        let earlier = try line.simulator.get("/control/counts")["max_in_flight"]?.object ?? .init()
        let rehearsed = try await line.run(
            name, arguments + ["--dry-run", "--output", "json"], offset: offset, readOnly)
        #expect(try everything(line) == before, "\(name) --dry-run wrote something")
        #expect(line.storedFiles() == [])
        let counts = try line.simulator.get("/control/counts")
        #expect(counts["triggers"]?.object?.members.isEmpty == true)
        #expect(counts["files"]?.object?.members.isEmpty == true)
        #expect(counts["refreshes"]?.object?.members.isEmpty == true)
        // Never two questions to one provider at once, unless a run before it asked them.
        for provider in ["kie", "kling"] where earlier[provider] == nil {
            #expect(counts["max_in_flight"]?[provider]?.int ?? 0 <= 1, "\(provider)")
        }
        #expect(rehearsed.stderr == "")

        let predicted = try JSON.parse(rehearsed.stdoutBytes)
        #expect(predicted["dry_run"]?.bool == true)
        let real = try await line.report(name, arguments, offset: offset)
        #expect(real["dry_run"]?.bool == false)
        #expect(
            predicted["examined"] == real["examined"],
            "\(JSON.write(predicted)) \(JSON.write(real))")
        #expect(try everything(line) != before)
        return try JSON.parse(
            Array(#"{"predicted":\#(JSON.write(predicted)),"real":\#(JSON.write(real))}"#.utf8))
    }

    @Test(arguments: ["+6m", "+61m"])
    func `the sweeper's rehearsal predicts its run`(_ offset: String) async throws {
        let line = try RescueLine()
        try fill(line)
        let both = try await compare(line, "stuck-sweeper", offset: offset)
        #expect(both["predicted"]?["outcomes"] == both["real"]?["outcomes"], "\(JSON.write(both))")
        // All the ways are really in it.
        let outcomes = Set(both["real"]?["outcomes"]?.object?.keys ?? [])
        #expect(
            outcomes.isSuperset(of: [
                "succeeded", "failed", "unknown", "retriggered", "submission_unknown",
                "never_submitted",
            ]), "\(outcomes)")
        #expect(outcomes.contains(offset == "+6m" ? "advanced" : "timed_out"), "\(outcomes)")
    }

    @Test(arguments: ["+1h", "+26h"])
    func `the recoverer's rehearsal predicts its run`(_ offset: String) async throws {
        let line = try RescueLine()
        try fillWatched(line)
        let both = try await compare(line, "orphan-recoverer", offset: offset)
        let predicted = both["predicted"]?["outcomes"]?.object
        for key in ["succeeded", "failed", "still_running", "abandoned", "unknown", "set_aside"] {
            #expect(
                predicted?[key] == both["real"]?["outcomes"]?[key], "\(key) \(JSON.write(both))")
        }
        #expect(predicted?.has(offset == "+1h" ? "still_running" : "abandoned") == true)
    }

    @Test func `the mirrorer's rehearsal names what it would fetch`() async throws {
        let line = try RescueLine()
        for n in 1...3 { try line.open("job-\(n)", outputs: 2, taskID: "task-\(n)") }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        let both = try await compare(line, "storage-mirrorer", offset: "+6m")
        #expect(both["predicted"]?["examined"]?.int == 6)
        #expect(both["real"]?["outcomes"]?["stored"]?.int == 6)
        #expect(both["real"]?["outcomes"]?["delivered"]?.int == 3)
    }

    @Test func `the reconciler's rehearsal finds what its run finds`() async throws {
        let line = try RescueLine()
        for n in 1...3 { try line.open("job-\(n)", taskID: "task-\(n)") }
        try line.sql("UPDATE holdfast.job SET blocked = 'person' WHERE job_id = 'job-1'")
        try line.sql(
            "UPDATE holdfast.account SET granted = granted + 1, available = available + 1")
        let both = try await compare(line, "ledger-reconciler", offset: "+24h")
        let (predicted, real) = (both["predicted"], both["real"])
        #expect(predicted?["breaks"] == real?["breaks"])
        #expect((predicted?["breaks"]?.array?.count ?? 0) >= 4)
        #expect(predicted?["exit_status"] == real?["exit_status"])
        #expect(predicted?["outcomes"]?["breaks_open"] == real?["outcomes"]?["breaks_open"])
    }

    @Test func `a rehearsal of chosen jobs looks at no others`() async throws {
        let line = try RescueLine()
        try fill(line)
        let both = try await compare(
            line, "stuck-sweeper", offset: "+1s", ["--job", "succeeds", "--job", "fails"])
        #expect(both["predicted"]?["examined"]?.int == 2)
        #expect(both["predicted"]?["outcomes"] == both["real"]?["outcomes"])
        #expect(try line.polls("task-runs", provider: "kling") == 0)
    }

    @Test func `a limit counts for a rehearsal as for a run`() async throws {
        let line = try RescueLine()
        try fillWatched(line)
        let both = try await compare(line, "orphan-recoverer", offset: "+1h", ["--limit", "2"])
        #expect(both["predicted"]?["examined"]?.int == 2)
    }

    /// Jobs that others hold, or that a person has to look at, are none of a rehearsal's business.
    @Test func `a rehearsal leaves out what a run would leave out`() async throws {
        let line = try RescueLine()
        for n in 1...4 {
            try line.open(
                "job-\(n)", provider: "kling", endpoint: "image2video", taskID: "task-\(n)")
        }
        try line.sql("UPDATE holdfast.job SET blocked = 'person' WHERE job_id = 'job-1'")
        try line.setPolicy("lease", "1h")
        try line.sql(
            """
            UPDATE holdfast.job SET lease_until = clock_timestamp() + interval '30 minutes',
                lease_owner = '00000000-0000-0000-0000-000000000001' WHERE job_id = 'job-2'
            """)
        try line.sql("SELECT holdfast.finish_job('job-3', 'failed')")
        let both = try await compare(line, "stuck-sweeper", offset: "+6m")
        #expect(both["predicted"]?["examined"]?.int == 1)
        #expect(both["predicted"]?["outcomes"] == both["real"]?["outcomes"])
    }

    @Test(arguments: ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler"])
    func `a rehearsal says in words that nothing was written`(_ name: String) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let before = try everything(line)
        let finished = try await line.run(name, ["--dry-run", "--verbose"], offset: "+6m")
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(try everything(line) == before)
        if name == "stuck-sweeper" {
            #expect(finished.stdout.contains("(dry run, nothing written)"), "\(finished.stdout)")
            #expect(finished.stdout.contains("1 succeeded"))
        }
    }

    /// A run beside a rehearsal is not disturbed by it: no lock, no place, no token is taken.
    @Test func `a rehearsal takes nothing from a run beside it`() async throws {
        let line = try RescueLine()
        try line.setPolicy("max_runs", "1")
        try line.setPolicy("rate_burst", "1", provider: "kling")
        try line.setPolicy("rate", "0.0001", provider: "kling")
        try line.open("job-1", provider: "kling", endpoint: "image2video", taskID: "task-1")
        for _ in 1...3 { _ = try await line.run("stuck-sweeper", ["--dry-run"], offset: "+6m") }
        let report = try await line.report("stuck-sweeper", offset: "+6m")
        #expect(report["outcomes"]?["succeeded"]?.int == 1)
        #expect(try line.polls("task-1", provider: "kling") == 4)
    }
}
