import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A row that cannot be matched at night is named, and everything else is matched.
@Suite struct UnmatchableRows {
    /// What cannot be read, in the table where it stands, and how the report names it.
    struct Row: CustomTestStringConvertible, Sendable {
        var noun: String
        var table: String
        var column: String
        /// Which one; in SQL.
        var id: String
        var make: SQL?
        var testDescription: String { noun }
    }

    static let rows: [Row] = [
        Row(
            noun: "job", table: "asset", column: "job_id",
            id: """
                SELECT max(job_id) FROM holdfast.job
                WHERE job_id NOT IN (SELECT subject FROM night.planted)
                """),
        Row(
            noun: "account", table: "account", column: "account_id", id: "SELECT 'whale'",
            make: "SELECT holdfast.grant_credits('whale', 1, 'whale')"),
        Row(
            noun: "callback", table: "callback", column: "callback_id::text",
            id: "SELECT min(callback_id)::text FROM holdfast.callback",
            make: """
                INSERT INTO holdfast.callback (provider, headers, query, body, digest, received_at,
                    drained_at, result)
                SELECT 'kie', '{}', '', '{}', sha256(n::text::bytea), now(), now(), 'unmatched'
                FROM generate_series(1, 3) n
                """),
    ]

    /// Reading the row fails from now on, as a value that nobody thought of would.
    private func poison(_ line: RescueLine, _ row: Row) throws -> String {
        let id = try line.value("\(raw: row.id)")
        try line.sql(
            """
            CREATE FUNCTION holdfast.poison(odd boolean) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                IF odd AND current_query() LIKE '%holdfast.match%' THEN
                    RAISE EXCEPTION 'nobody thought of this';
                END IF;
                RETURN true;
            END $$
            """)
        try line.sql(
            """
            CREATE POLICY odd ON holdfast.\(raw: row.table) TO PUBLIC
            USING (holdfast.poison(\(raw: row.column) = '\(raw: id)')) WITH CHECK (true)
            """)
        try line.sql("ALTER TABLE holdfast.\(raw: row.table) ENABLE ROW LEVEL SECURITY")
        try line.sql("ALTER TABLE holdfast.\(raw: row.table) FORCE ROW LEVEL SECURITY")
        try line.sql("GRANT EXECUTE ON FUNCTION holdfast.poison(boolean) TO PUBLIC")
        return "\(row.noun) \(id)"
    }

    @Test(arguments: rows) func `it is named, and the rest is matched`(_ row: Row) async throws {
        let scene = try await NightScene(jobs: 20)
        let line = scene.line
        if let make = row.make { try line.sql(make) }
        try scene.plant(1, ["completed-not-charged"])
        let planted = try scene.planted()
        let name = try poison(line, row)
        let finished = try await scene.run(night: 1)
        #expect(finished.status == 1, "\(finished.stderr)")
        #expect(finished.stderr.contains("\(name) could not be matched"), "\(finished.stderr)")
        #expect(finished.stderr.contains("nobody thought of this"), "\(finished.stderr)")
        #expect(try scene.open().isSuperset(of: planted), "\(finished.stderr)")
    }
}
