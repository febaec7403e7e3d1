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
    /// What earlier runs committed and could not say: it is this run's to say now.
    package var news: [News] = []

    /// Takes one of the places that `max_runs` allows and writes the start down.
    ///
    /// One statement: it also says whether the schema is the expected one and whether anything is due.
    /// - Parameters:
    ///   - connection: The run's connection.
    ///   - context: The run as the entry knows it.
    ///   - schemaFits: Whether this build works with `holdfast.schema_version v`, as SQL.
    ///   - checkSchema: Throws what is wrong with the schema; asked when it is not the expected one.
    /// - Returns: nil when all places are taken, and this run has nothing to do but leave.
    package static func begin(
        _ connection: borrowing Connection, _ context: RunContext, schemaFits: String,
        checkSchema: (borrowing Connection) throws -> Void
    ) throws -> JobRun? {
        let offset = try context.settings.clockOffset()
        let row: Row
        do {
            row = try connection.query(
                """
                SELECT v.fits, b.*
                FROM (SELECT \(raw: schemaFits) AS fits FROM holdfast.schema_version v) v
                LEFT JOIN LATERAL (
                    SELECT * FROM holdfast.begin_run(\(context.runID)::uuid, \(context.command),
                        \(hostName), \(Int(getpid()))::integer, \(Version.current),
                        \(offset)::interval,
                        \(try context.settings.value("HOLDFAST_INSTALLATION")))
                    WHERE v.fits
                ) b ON true
                """
            ).single()
        } catch let error as PostgresError where error.sqlState == "HF012" {
            // Another clock offset is at work; the message names both.
            throw Failure(.configuration, code: "clock_offset", error.message)
        } catch let error as PostgresError where error.sqlState == "HF030" {
            // A copy, or not the database that the settings mean; the message names both sides.
            throw Failure(.configuration, code: "installation_copied", error.message)
        } catch let error as PostgresError
            where ["3F000", "42P01", "42883", "42703"].contains(error.sqlState)
        {
            try checkSchema(connection)
            throw error
        }
        guard try row.bool("fits") else {
            try checkSchema(connection)
            return nil
        }
        guard try row.bool("started") else { return nil }
        let news = try News.list(row.optionalText("news"))
        return JobRun(
            run: Run(
                runID: context.runID, command: context.command, clockOffset: offset,
                lease: try row.duration("lease_us"),
                requestTimeout: try row.duration("request_timeout_us"),
                transferLimit: try row.duration("transfer_limit_us"),
                maxFileBytes: try row.int64("max_file_bytes"),
                off: Set(try row.texts("off"))),
            hasWork: try row.bool("work"), hasCallbacks: try row.bool("callbacks"), news: news)
    }

    /// The same for a run that must write nothing, not even that it ran.
    package static func rehearse(
        _ connection: borrowing Connection, _ context: RunContext,
        checkSchema: (borrowing Connection) throws -> Void
    ) throws -> JobRun {
        try checkSchema(connection)
        let named = try context.settings.value("HOLDFAST_INSTALLATION")
        if let trouble = try connection.query(
            "SELECT holdfast.installation_trouble(\(named)) AS trouble"
        ).single().optionalText("trouble") {
            throw Failure(.configuration, code: "installation_copied", trouble)
        }
        return JobRun(
            run: Run(
                runID: context.runID, command: context.command,
                clockOffset: try context.settings.clockOffset()),
            hasWork: true, hasCallbacks: false)
    }

    /// Writes the end down and gives the place back.
    ///
    /// - Returns: how much news of this run the database keeps until it is told that it was said.
    @discardableResult
    package func finish(_ connection: borrowing Connection, _ report: RunReport) throws -> Int {
        try connection.query(
            """
            SELECT holdfast.finish_run(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(report.examined)::integer, \(Self.object(report.outcomes))::jsonb,
                \(Self.object(report.credits))::jsonb, \(Int(report.status.rawValue))::integer)
                AS untold
            """
        ).single().int("untold")
    }

    /// The news of this run that the database keeps.
    package func untold(_ connection: borrowing Connection) throws -> [News] {
        try connection.query(
            """
            SELECT code, job_id, message, (extract(epoch FROM happened_at) * 1000000)::bigint
                AS happened_us
            FROM holdfast.untold WHERE run_id = \(run.runID)::uuid ORDER BY untold_id
            """
        ).map { row in
            News(
                code: try row.text("code"), jobID: try row.optionalText("job_id"),
                message: try row.text("message"), happenedAt: nil)
        }
    }

    /// Notes in the database that a condition was met, and returns what is to be said of it.
    ///
    /// - Parameter isHeard: Whether what this run says goes to people by mail; then it counts as said.
    package func note(
        _ connection: borrowing Connection, condition name: String, subject: String,
        _ message: String, isHeard: Bool
    ) throws -> Saying {
        let row = try connection.query(
            """
            SELECT * FROM holdfast.note_condition(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(name), \(subject), \(message), \(isHeard)::boolean)
            """
        ).single()
        guard isHeard else { return .whole }
        guard try row.bool("is_due") else { return .nothing }
        let (times, lasted) = (try row.int("times"), try row.duration("lasted_us"))
        return times == 1 ? .whole : .lasting(for: lasted, times: times)
    }

    /// Says that the news of this run was said, or that nobody could hear it: then the next run says
    /// it at once.
    package func told(_ connection: borrowing Connection, _ wasSaid: Bool) throws {
        try connection.execute(
            "SELECT holdfast.told(\(run.runID)::uuid, \(wasSaid)::boolean)")
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
