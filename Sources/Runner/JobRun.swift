package import Core
import Glibc
package import Postgres

/// The record of one run in the database: its place among the copies of its executable, its start,
/// its end.
package struct JobRun: Sendable {
    package let run: Run
    /// Whether anything is due; an idle run ends without another question.
    package let hasWork: Bool
    package let hasCallbacks: Bool

    /// Takes one of the places that `max_runs` allows and writes the start down.
    ///
    /// One statement: it also says whether the schema is the expected one and whether anything is due.
    /// - Parameters:
    ///   - connection: The run's connection.
    ///   - context: The run as the entry knows it.
    ///   - schemaVersion: What this build works with.
    ///   - checkSchema: Throws what is wrong with the schema; asked when it is not the expected one.
    /// - Returns: nil when all places are taken, and this run has nothing to do but leave.
    package static func begin(
        _ connection: borrowing Connection, _ context: RunContext, schemaVersion: Int,
        checkSchema: (borrowing Connection) throws -> Void
    ) throws -> JobRun? {
        let offset = try context.settings.clockOffset()
        let row: Row
        do {
            row = try connection.query(
                """
                SELECT v.version, b.*
                FROM (SELECT coalesce(max(version), 0) AS version
                    FROM holdfast.schema_version) v
                LEFT JOIN LATERAL (
                    SELECT * FROM holdfast.begin_run(\(context.runID)::uuid, \(context.command),
                        \(hostName), \(Int(getpid()))::integer, \(Version.current),
                        \(offset)::interval)
                    WHERE v.version = \(schemaVersion)::integer
                ) b ON true
                """
            ).single()
        } catch let error as PostgresError where error.sqlState == "HF012" {
            // Another clock offset is at work; the message names both.
            throw Failure(.configuration, code: "clock_offset", error.message)
        } catch let error as PostgresError
            where ["3F000", "42P01", "42883", "42703"].contains(error.sqlState)
        {
            try checkSchema(connection)
            throw error
        }
        guard try row.int("version") == schemaVersion else {
            try checkSchema(connection)
            return nil
        }
        guard try row.bool("started") else { return nil }
        return JobRun(
            run: Run(
                runID: context.runID, command: context.command, clockOffset: offset,
                lease: try row.duration("lease_us"),
                requestTimeout: try row.duration("request_timeout_us"),
                transferLimit: try row.duration("transfer_limit_us"),
                maxFileBytes: try row.int64("max_file_bytes")),
            hasWork: try row.bool("work"), hasCallbacks: try row.bool("callbacks"))
    }

    /// The same for a run that must write nothing, not even that it ran.
    package static func rehearse(
        _ connection: borrowing Connection, _ context: RunContext,
        checkSchema: (borrowing Connection) throws -> Void
    ) throws -> JobRun {
        try checkSchema(connection)
        return JobRun(
            run: Run(
                runID: context.runID, command: context.command,
                clockOffset: try context.settings.clockOffset()),
            hasWork: true, hasCallbacks: false)
    }

    /// Writes the end down and gives the place back.
    package func finish(_ connection: borrowing Connection, _ report: RunReport) throws {
        try connection.execute(
            """
            SELECT holdfast.finish_run(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(report.examined)::integer, \(Self.object(report.outcomes))::jsonb,
                \(Self.object(report.credits))::jsonb, \(Int(report.status.rawValue))::integer)
            """)
    }

    private static func object(_ counts: [String: some BinaryInteger]) -> String {
        JSON.write(
            .object(
                JSONObject(
                    counts.sorted { $0.key < $1.key }
                        .map { .init(key: $0.key, value: .integer($0.value)) })))
    }

    /// The name of this host, as its kernel knows it.
    package static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
        return String(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
