import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A line whose database can lose what was committed since an instant, while the provider, the store,
/// the state folder and the application's calls go on: what a failover to a standby that was behind, or
/// a restore to a point in time, leaves.
final class RewindScene: Sendable {
    let line: RescueLine
    /// The state folder; nil for a host without one.
    let state: String?
    private let copy: String

    init(
        state: Bool = true,
        providers: [PlayedProvider] = PlayedProvider.named("kie", "kling", "luma")
    ) throws {
        line = try RescueLine(providers: providers)
        let folder = NSTemporaryDirectory() + "holdfast-state-" + RunID.make()
        if state {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        }
        self.state = state ? folder : nil
        copy = line.database.name + "_copy"
    }

    deinit {
        if let state { try? FileManager.default.removeItem(atPath: state) }
        if let admin = try? TestCluster.shared().connect() {
            _ = try? admin.execute("DROP DATABASE IF EXISTS \(raw: copy) WITH (FORCE)")
        }
    }

    // MARK: The database

    /// Remembers how the database is now.
    func remember() async throws {
        let admin = try TestCluster.shared().connect()
        try admin.execute("DROP DATABASE IF EXISTS \(raw: copy) WITH (FORCE)")
        try await copyDatabase(line.database.name, copy, "")
    }

    /// Puts the database back to that, under its own number, as a restore of the whole server does.
    func rewind() async throws {
        let admin = try TestCluster.shared().connect()
        let name = line.database.name
        let number = try admin.query(
            "SELECT oid::text AS oid FROM pg_database WHERE datname = \(name)"
        ).single().text("oid")
        try admin.execute("DROP DATABASE \(raw: name) WITH (FORCE)")
        try await copyDatabase(copy, name, "OID \(number)")
    }

    /// Connections of programs that have just ended may still be there.
    private func copyDatabase(_ from: String, _ to: String, _ more: String) async throws {
        let admin = try TestCluster.shared().connect()
        try await line.waitUntil("\(from) is copied") {
            do {
                try admin.execute(
                    """
                    CREATE DATABASE \(raw: to) TEMPLATE \(raw: from) STRATEGY file_copy \(raw: more)
                    """)
                return true
            } catch let error as PostgresError where error.sqlState == "55006" {
                return false
            }
        }
    }

    // MARK: The runs

    var changes: [String: String?] { ["HOLDFAST_STATE_DIR": state] }

    func run(
        _ name: String, _ arguments: [String] = [], offset: String = "+6m",
        _ more: [String: String?] = [:]
    ) async throws -> Finished {
        try await line.run(name, arguments, offset: offset, changes.merging(more) { $1 })
    }

    func report(
        _ name: String, _ arguments: [String] = [], offset: String = "+6m",
        _ more: [String: String?] = [:]
    ) async throws -> JSONValue {
        let finished = try await run(name, arguments + ["--output", "json"], offset: offset, more)
        return try JSON.parse(finished.stdoutBytes)
    }

    func minute(offset: String = "+6m") async throws {
        try await line.minute(offset: offset, changes)
    }

    /// One job to its end, so that there is something to mark.
    func warmUp(offset: String = "+6m") async throws {
        try line.open("warm", taskID: "task-warm")
        try await minute(offset: offset)
        #expect(try line.outcome("warm") == "delivered/captured")
    }

    func triggers(_ id: String = "job-1") throws -> Int {
        let triggers = try line.simulator.get("/control/counts")["triggers"]
        return Int(triggers?[id]?["count"]?.int ?? 0)
    }

    /// What a run said of lost commits.
    static func signs(_ report: JSONValue) -> [String] {
        (report["errors"]?.array ?? []).filter { $0["code"]?.text == "rewind" }
            .compactMap { $0["message"]?.text }
    }

    func held() throws -> [String] {
        try line.sql(
            "SELECT job_id FROM holdfast.rewind_job WHERE let_go_at IS NULL ORDER BY job_id"
        ).map { try $0.text("job_id") }
    }

    /// The mark of this host in the state folder or in the store.
    func marks(in folder: String) -> [String] {
        let all =
            (try? FileManager.default.contentsOfDirectory(atPath: folder + "/.holdfast")) ?? []
        return all.filter { $0.hasPrefix("mark-") }.map { folder + "/.holdfast/" + $0 }
    }
}
