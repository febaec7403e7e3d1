import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// With a long history behind it, nothing that is run each minute or asked on call reads it all.
@Suite struct HistoryCost {
    /// Finished jobs, each with transfers, a task, a file and lines of usage.
    static let jobs = 20_000
    /// Rows that a command may read of any table: those of the live jobs many times over, and far
    /// from the history.
    static let most = 2_000

    /// What may be read whole: policies do not grow, and of a large table of files `status` takes a
    /// sample.
    static func mayReadWhole(_ command: String, _ table: String) -> Bool {
        table == "policy" || command == "holdfast status" && table == "asset"
    }

    static let commands: [String] = [
        "stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "callback-receiver --provider kie",
        "stuck-sweeper", "stuck-sweeper --dry-run", "orphan-recoverer --dry-run",
        "storage-mirrorer --dry-run",
        "holdfast status", "holdfast doctor",
        "holdfast job show live-3", "holdfast job show job-00001000", "holdfast job list",
        "holdfast job list --stuck", "holdfast job list --state failed",
        "holdfast job list --account customer-0000003", "holdfast job list --blocked",
        "holdfast asset list", "holdfast asset list --state stored",
        "holdfast asset list --account customer-0000003", "holdfast asset list --expiring 1h",
        "holdfast asset verify --job live-3", "holdfast asset verify --since 1h --sample 5",
        "holdfast callback list", "holdfast callback list --job job-00001000",
        "holdfast callback list --result unmatched",
        "holdfast account show customer-0000003", "holdfast account statement customer-0000003",
        "holdfast break list", "holdfast books list", "holdfast usage list",
        "holdfast usage list --provider kie --task task-1000",
    ]

    @Test func `no command reads the whole history`() async throws {
        let line = try await Self.line()
        for command in Self.commands {
            let words = command.split(separator: " ").map(String.init)
            let before = try await Self.rowsRead(line)
            let finished = try await line.run(
                words[0], Array(words.dropFirst()), offset: "+6m",
                input: Array(#"{"data":{"taskId":"live-task-3"}}"#.utf8))
            let after = try await Self.rowsRead(line)
            // The doctor misses runs that never were.
            #expect(
                finished.status == (command == "holdfast doctor" ? 1 : 0),
                "\(command): \(finished.stdout)\(finished.stderr)")
            for (table, rows) in after where !Self.mayReadWhole(command, table) {
                let read = rows - (before[table] ?? 0)
                #expect(read < Self.most, "\(command) read \(read) rows of \(table)")
            }
        }
        #expect(try line.outcome("live-3") == "delivered/captured")
    }

    /// A long history, and jobs in flight whose tasks the provider has finished.
    private static func line() async throws -> RescueLine {
        let line = try RescueLine()
        let connection = try line.database.connect()
        let generator = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Night/generator.sql")
        try connection.script(try String(contentsOf: generator, encoding: .utf8))
        try connection.execute("SELECT night.clean(\(jobs)::integer, 5000, 11)")
        try connection.script(
            """
            SET LOCAL session_replication_role = replica;
            UPDATE holdfast.job SET created_at = created_at - interval '40 days',
                finished_at = finished_at - interval '40 days';
            UPDATE holdfast.asset SET stored_at = stored_at - interval '40 days';
            INSERT INTO holdfast.job_event (job_id, happened_at, actor, from_state, to_state)
            SELECT job_id, created_at, 'night', 'running', state FROM holdfast.job;
            INSERT INTO holdfast.observation (job_id, task_id, observed_at, source, state,
                error_class)
            SELECT job_id, task_id, created_at, 'poll', 'succeeded', 'none' FROM holdfast.job;
            INSERT INTO holdfast.callback (provider, headers, query, body, digest, received_at,
                drained_at, result, job_id)
            SELECT provider, '[]', '', '{}', sha256(job_id::bytea), created_at, created_at,
                'matched', job_id FROM holdfast.job;
            """)
        try connection.script("VACUUM ANALYZE")
        for number in 0..<20 {
            try line.open(
                "live-\(number)", taskID: "live-task-\(number)",
                task: .init([.init(key: "file_bytes", value: 600)]))
        }
        return line
    }

    /// Rows of each table that were read so far, by whatever way.
    private static func rowsRead(_ line: RescueLine) async throws -> [String: Int64] {
        // A session's counts are there when it is gone.
        try await line.waitUntil("the sessions before are gone") {
            try line.sql(
                """
                SELECT NOT EXISTS (SELECT FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend'
                        AND pid <> pg_backend_pid()) AS gone
                """
            ).single().bool("gone")
        }
        let rows = try line.sql(
            """
            SELECT relname AS name, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
            FROM pg_stat_user_tables WHERE schemaname = 'holdfast'
            """)
        return Dictionary(
            uniqueKeysWithValues: try rows.map { (try $0.text("name"), try $0.int64("rows")) })
    }
}
