import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A generated night: any number of jobs, breaks planted in known numbers, and the runs over it.
final class NightScene: Sendable {
    let line: RescueLine
    /// Seconds from the database's clock to 03:17 of the night after the generated day.
    ///
    /// Measured once, so that the nights' clock never goes back.
    private let shift: Int

    /// - Parameters:
    ///   - jobs: How many; the day before yesterday is sealed, and empty.
    ///   - seed: Of the generator.
    init(jobs: Int = 400, accounts: Int = 60, seed: Int = 7) async throws {
        // No provider is asked for its bill: what the night holds is planted.
        line = try RescueLine(providers: [])
        let midnight = try line.value(
            """
            SELECT extract(epoch FROM date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC')
                - clock_timestamp() AT TIME ZONE 'UTC')::bigint
            """)
        shift = try #require(Int(midnight)) + 11_820
        let first = try await run(["--quiet"], night: -1)
        #expect(first.status == 0, "\(first.stderr)")
        try generate(jobs: jobs, accounts: accounts, seed: seed)
    }

    private func generate(jobs: Int, accounts: Int, seed: Int) throws {
        let connection = try line.database.connect()
        for file in ["generator", "breaks"] {
            let path = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../Night/\(file).sql")
            try connection.script(try String(contentsOf: path, encoding: .utf8))
        }
        try connection.execute(
            "SELECT night.clean(\(jobs)::integer, \(accounts)::integer, \(seed)::integer)")
    }

    /// Plants `many` breaks of each class, or of those that are named.
    func plant(_ many: Int, _ classes: [String]? = nil) throws {
        try line.database.connect().execute(
            "SELECT night.plant(\(many)::integer, \(classes)::text[])")
    }

    /// The clock offset that makes it 03:17 of a night: 0 is the one after the generated day.
    func offset(night: Int) -> String {
        let seconds = shift + night * 86_400
        return (seconds < 0 ? "-" : "+") + "\(abs(seconds))s"
    }

    func run(_ arguments: [String] = [], night: Int = 0) async throws -> Finished {
        try await line.run("ledger-reconciler", arguments, offset: offset(night: night))
    }

    func report(_ arguments: [String] = [], night: Int = 0) async throws -> JSONValue {
        try await line.report("ledger-reconciler", arguments, offset: offset(night: night))
    }

    /// `class subject` of what is planted.
    func planted() throws -> Set<String> {
        Set(
            try line.sql("SELECT class || ' ' || subject AS name FROM night.planted").map {
                try $0.text("name")
            })
    }

    /// `class subject` of the breaks that are open.
    func open() throws -> Set<String> {
        Set(
            try line.sql(
                """
                SELECT class || ' ' || subject AS name FROM holdfast.break
                WHERE closed_at IS NULL
                """
            ).map { try $0.text("name") })
    }

    /// How breaks of a class were closed.
    func closings(_ kind: String) throws -> [String] {
        try line.sql(
            """
            SELECT coalesce(closed_how, 'open') AS how FROM holdfast.break
            WHERE class = \(kind) ORDER BY break_id
            """
        ).map { try $0.text("how") }
    }
}
