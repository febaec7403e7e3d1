import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A program with something to do, for a connection that is cut on the way.
struct CutScene: Sendable, CustomTestStringConvertible {
    let name: String
    let program: String
    var arguments: [String] = []
    /// When it is run and cut, and when it is run once more: past every lease and back-off.
    var minutes = (6, 16)
    var input: [UInt8] = []
    var changes: [String: String?] = [:]
    /// What it may end with when its connection is cut.
    var statuses: Set<Int32> = [75]
    /// What is run afterwards, where that is not the same once more.
    var next: (program: String, arguments: [String])?
    let prepare: @Sendable (CutWorld) async throws -> Void

    var testDescription: String { name }
}

/// A line of its own for one run that is cut, and the runs after it.
final class CutWorld: Sendable {
    let line: RescueLine
    let scene: CutScene
    let folder = NSTemporaryDirectory() + "holdfast-cut-" + RunID.make()
    private let proxy: CuttingProxy

    init(_ scene: CutScene) async throws {
        self.scene = scene
        line = try RescueLine()
        proxy = try CuttingProxy(before: line.database)
        for name in ["spool", "reports"] {
            try FileManager.default.createDirectory(
                atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        try await scene.prepare(self)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var changes: [String: String?] {
        [
            "HOLDFAST_SPOOL_DIR": folder + "/spool",
            "HOLDFAST_REPORT_URL": "file://" + folder + "/reports",
        ].merging(scene.changes) { $1 }
    }

    /// Runs the scene's program through the proxy.
    func cut(at trip: Int, _ when: CuttingProxy.When) async throws -> (
        Finished, CuttingProxy.Seen
    ) {
        try proxy.cut(at: trip, when)
        var changes = changes
        changes["HOLDFAST_DATABASE_URL"] = try proxy.url(of: line.database)
        let finished = try await line.run(
            scene.program, arguments, offset: "+\(scene.minutes.0)m", changes,
            input: scene.input)
        return (finished, try proxy.seen())
    }

    /// Runs what comes next with nobody in between.
    func goOn() async throws -> Finished {
        try line.awaitLeaving()
        return try await line.run(
            scene.next?.program ?? scene.program,
            scene.next.map { $0.arguments } ?? arguments,
            offset: "+\(scene.minutes.1)m", changes)
    }

    private var arguments: [String] {
        scene.arguments.map { $0.replacingOccurrences(of: "FOLDER", with: folder) }
    }

    /// What must not depend on a cut: jobs with their money, files and reasons, accounts, books,
    /// policies and usage.
    func end() throws -> [String] {
        let isInstalled = try line.sql("SELECT to_regclass('holdfast.job') IS NOT NULL AS there")
            .single().optionalBool("there")
        guard isInstalled == true else { return ["nothing is installed"] }
        var lines = try StormEnd.jobs(line).map { "\($0.key) \($0.value)" }.sorted()
        for (name, query) in Self.queries {
            lines += try line.sql(SQL(raw: query)).map { "\(name) \(try $0.text("line"))" }
        }
        let spooled = try FileManager.default.contentsOfDirectory(atPath: folder + "/spool")
        return lines + spooled.map { "spooled \($0)" }
    }

    private static let queries = [
        (
            "account",
            "SELECT concat_ws(' ', a.*) AS line FROM holdfast.account_balance a ORDER BY 1"
        ),
        (
            "break",
            """
            SELECT concat_ws(' ', class, subject, CASE WHEN closed_at IS NULL THEN 'open'
                ELSE 'closed' END) AS line FROM holdfast.break ORDER BY 1
            """
        ),
        (
            "policy",
            """
            SELECT concat_ws(' ', key, provider, kind, model, value) AS line FROM holdfast.policy
            WHERE NOT is_default UNION ALL SELECT concat_ws(' ', key, provider, kind, model, unit)
            FROM holdfast.dated_policy ORDER BY 1
            """
        ),
        (
            "usage",
            "SELECT concat_ws(' ', provider, line_key) AS line FROM holdfast.usage_line ORDER BY 1"
        ),
        (
            "top-up",
            "SELECT count(*)::text AS line FROM holdfast.provider_top_up"
        ),
        (
            "stray",
            "SELECT task_id AS line FROM holdfast.stray_task ORDER BY 1"
        ),
        (
            "function",
            """
            SELECT count(*) || ' ' || md5(string_agg(pg_get_functiondef(p.oid), '' ORDER BY
                p.oid::regprocedure::text)) AS line
            FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
            WHERE nspname = 'holdfast' AND prokind = 'f'
            """
        ),
        ("violation", "SELECT subject AS line FROM holdfast.invariant_violation"),
    ]

    /// Names that a person has to have read: jobs set aside, jobs whose file is lost, strays.
    func needed() throws -> Set<String> {
        let isInstalled = try line.sql("SELECT to_regclass('holdfast.job') IS NOT NULL AS there")
            .single().optionalBool("there")
        guard isInstalled == true else { return [] }
        return Set(
            try line.sql(
                """
                SELECT job_id AS name FROM holdfast.job_status WHERE blocked IS NOT NULL
                UNION SELECT job_id FROM holdfast.asset WHERE state = 'lost'
                UNION SELECT task_id FROM holdfast.stray_task WHERE reported_at IS NOT NULL
                """
            ).map { try $0.text("name") })
    }
}
